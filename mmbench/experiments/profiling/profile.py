"""`mmbench profile`: what a training step and a generated pair cost, as Tables 11 and 12 of arXiv 2405.17842 have it.

Needs neither weights nor data: a dataset's format is enough.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.guided import PairSystem
from mmbench.dataset_names import parse_dataset_name
from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.profiling.columns import DATASETS, DTYPES, TABLES, make_rows
from mmbench.experiments.profiling.gpu import gpu_state
from mmbench.experiments.profiling.inference import PROMPT, time_inference
from mmbench.experiments.profiling.stopwatch import WARM_UP, Stopwatch, free_memory
from mmbench.experiments.profiling.training import time_training
from mmbench.files import append_line, make_folder
from mmbench.networks.devices import precision_switches
from mmbench.optional_protocols import DeclaresFormat
from mmbench.registry import lookup, make_dataset
from mmbench.runs.circumstances import invocation
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system, parse_system_name, read_options, takes_setting
from mmbench.types import ClipFormat, Prompt, Request

CHECKPOINTED = {"auffusion_vc2": 1}  # base models, the video's first, that were trained so: its config's use_checkpoint


@dataclass(frozen=True, kw_only=True)
class ProfileSettings:
    """The settings of a profile.

    Attributes:
        what: "training" or "inference".
        systems: Registered names, with or without +mmdisco; pairs are guided and not.
        dataset: Whose format; None for the dataset that a system was published on.
        discriminator: Design, where a system names none.
        loss: Of training: "all", "disc" or "denoise".
        sizes: channels and num_blocks of the trained discriminator, where given.
        batch_size: Pairs of a batch.
        runs: Rounds that count.
        weights: Of the systems: "real" or "random".
        device: auto, cpu, cuda.
        dtype: Precision of generation; None for the published one on a GPU, and float32 on a CPU.
        checkpointing: Whether base models in training compute activations anew: "auto" as published, "on" or "off".
        options: Of the systems, "NAME=VALUE".
        cpu_time: Take processor time instead of wall time.
        out: Folder of profile.jsonl.
        command: What was typed.
    """

    what: str
    systems: Sequence[str]
    dataset: str | None = None
    discriminator: str = "res_mlp"
    loss: str = "all"
    sizes: Mapping[str, int] = field(default_factory=dict)
    batch_size: int = 8
    runs: int = 10
    weights: str = "random"
    device: str = "auto"
    dtype: str | None = None
    checkpointing: str = "auto"
    options: Sequence[str] = ()
    cpu_time: bool = False
    out: Path = Path("runs")
    command: Sequence[str] = ()


@dataclass(frozen=True)
class ProfileTable:
    """A table of timings, ready to be printed; `error` is what ended it before its last system."""

    rows: list[dict[str, Any]]
    columns: list[str]
    title: str
    notes: list[str]
    error: MMBenchError | None = None


def profile_systems(settings: ProfileSettings) -> ProfileTable:
    """Times every system in turn and keeps each record, with all its rounds, in profile.jsonl.

    Returns:
        The table, with the published numbers below those of systems of their size.
    """
    if settings.checkpointing not in ("auto", "on", "off"):
        raise UsageError(f"--checkpointing {settings.checkpointing}.", "auto, on or off", "--checkpointing auto")
    make_folder(settings.out)
    rows: list[dict[str, Any]] = []
    notes, error = _notes(settings), None
    for name in settings.systems:
        try:
            record = _profile(name, settings)
        except MMBenchError as raised:
            error = raised
            break
        rows += make_rows(record)
        notes += [f"{record['system']}, {arm}: out of memory ({why})." for arm, why in record["out_of_memory"].items()]
        free_memory()
    if error is not None and not rows:
        raise error
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return ProfileTable(rows, columns, f"Table {TABLES[settings.what]}", notes, error)


def _profile(name: str, settings: ProfileSettings) -> dict[str, Any]:
    """The record of one system, which is also appended to profile.jsonl."""
    from mmbench.networks.devices import local_device

    device = local_device(settings.device)
    base = parse_system_name(name).base
    dtype = settings.dtype or (DTYPES.get(base, "float32") if device.startswith("cuda") else "float32")
    dataset = profiled_dataset(name, settings.dataset)
    common = {"device": settings.device, "dtype": dtype, "weights": settings.weights}
    system = make_profiled_system(name, settings.discriminator, dataset, settings.options, **common)
    if isinstance(system, PairSystem):
        system.untrained_sizes = dict(settings.sizes)
    watch = Stopwatch(time.process_time if settings.cpu_time else time.perf_counter)
    batch = make_batch(dataset, settings.batch_size)
    setting = {
        "dataset": dataset.name,
        "dtype": dtype,
        "checkpointed": {"on": 2, "off": 0}.get(settings.checkpointing, CHECKPOINTED.get(base, 0)),
        "warm_up": WARM_UP if device.startswith("cuda") else 0.0,
    }
    before = gpu_state()
    timed = time_system(settings.what, system, batch, settings.runs, watch, settings.loss, setting, **settings.sizes)
    record = {**timed, "gpu": {"before": before, "after": gpu_state()}}
    shown = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items() if k != "command"}
    append_line(settings.out / "profile.jsonl", record | invocation(list(settings.command), shown))
    return record


def _notes(settings: ProfileSettings) -> list[str]:
    unit = f"{'pair' if settings.what == 'inference' else 'step'}, batches of {settings.batch_size}"
    kind, file = "Processor seconds" if settings.cpu_time else "Seconds", settings.out / "profile.jsonl"
    notes = [f"{kind} per {unit}: mean ± standard deviation; rounds: {settings.runs}, all in {file}."]
    notes.append("Guidance and what is trained are IEEE float32; TF32 is as torch has it for the rest (in the record).")
    if len(settings.systems) > 1:
        notes.append("Resident memory after the first system may hold what an earlier one left: profile it alone.")
    return notes


@dataclass(frozen=True)
class BlankDataset:
    """A dataset of which only the name and the format are there."""

    name: str
    format: ClipFormat


def profiled_dataset(system: str, name: str | None) -> Any:
    """The dataset to profile a system on, the published one by default; without its files where its class has a format.

    Args:
        system: Registered name, with or without +mmdisco.
        name: Of the dataset; None for the one that the system was published on.
    """
    name = name or DATASETS.get(parse_system_name(system).base, "bounce")
    parsed = parse_dataset_name(name)
    factory: object = lookup("dataset", parsed.base).factory
    if isinstance(factory, DeclaresFormat) and not parsed.argument:
        return BlankDataset(name, factory.format.changed(**parsed.shape))
    return make_dataset(name)


def make_profiled_system(system: str, design: str, dataset: Any, options: Sequence[str], **common: Any) -> Any:
    """Makes a system to profile: of a guidable pair its guided form, whose pair is also measured alone.

    Args:
        system: Registered name, with or without +mmdisco.
        design: Of the discriminator, where the name has none.
        dataset: Of `profiled_dataset`.
        options: Of the system, "NAME=VALUE".
        **common: Arguments of every system: device, dtype, weights.
    """
    parsed = parse_system_name(system)
    if not parsed.addition and lookup("system", parsed.base).guidable:
        parsed = replace(parsed, design=design)
    if not takes_setting(str(parsed), "weights"):  # how real weights are costs no time
        common.pop("weights", None)
    return make_system(str(parsed), dataset=dataset, **common, **read_options(options, [str(parsed)])[str(parsed)])


def make_profiled_pair(system: str, design: str, dataset: Any, options: Sequence[str], **common: Any) -> PairSystem:
    """`make_profiled_system` of a pair that a discriminator guides.

    Raises:
        UsageError: The system is no such pair.
    """
    if not lookup("system", parse_system_name(system).base).guidable:
        found = f"{system} is no pair of diffusion models: no discriminator guides it."
        raise UsageError(found, "a pair, as tiny or mm_diffusion", "mmbench list systems")
    made: PairSystem = make_profiled_system(system, design, dataset, options, **common)
    return made


def make_batch(dataset: Any, num: int) -> list[Request]:
    """`num` requests: the dataset's own prompts, or of a blank dataset all of one text."""
    if isinstance(dataset, BlankDataset):
        return [Request(Prompt(f"{i:05d}", PROMPT), i, 0) for i in range(num)]
    return make_requests(dataset, num, 0)


def time_system(
    what: str,
    system: Any,
    requests: Sequence[Request],
    runs: int,
    watch: Stopwatch,
    loss: str = "all",
    setting: Mapping[str, Any] | None = None,
    **sizes: int,
) -> dict[str, Any]:
    """Times a system's training or generation.

    Args:
        what: "training" or "inference".
        system: Of `make_profiled_system`.
        requests: A batch; of a step of training only their number counts.
        runs: Rounds that count.
        watch: Takes the times.
        loss: Of the discriminator that is trained, whose design is the system's: "all", "disc" or "denoise".
        setting: Further facts for the record; of these `warm_up` [s] and `checkpointed` say how to time.
        **sizes: channels and num_blocks of the discriminator that is trained.

    Returns:
        The setting, every interval of every round [s], and the peak memory within them [B].

    Raises:
        UsageError: There is no discriminator to train.
    """
    design, given = parse_system_name(system.name).design, dict(setting or {})
    warm_up, checkpointed = given.get("warm_up", 0.0), given.get("checkpointed", 0)
    if what == "inference":
        given.pop("checkpointed", None)
        time_inference(system, requests, runs, watch, warm_up)
    elif design:
        pair = system.pair()
        time_training(pair, design, loss, len(requests), runs, watch, warm_up, checkpointed, **sizes)
    else:
        found = f"{system.name} is no pair whose discriminator could be trained."
        raise UsageError(found, "a pair, as tiny or mm_diffusion", "mmbench list systems")
    given |= {"what": what, "system": system.name, "weights": system.weights, "batch": len(requests), **sizes}
    given |= {"design": design, "loss": loss} if what == "training" else _sampling(system)
    given["float32"] = {name: switch.fp32_precision for name, switch in precision_switches().items()}
    return {**given, "seconds": watch.seconds, "memory": watch.memory, "out_of_memory": watch.out_of_memory}


def _sampling(system: Any) -> dict[str, Any]:
    """Sampler, steps and precision of guidance, of a system that has them."""
    spec = system.spec()
    sampling, guiding = spec.get("sampling", {}), spec.get("mmdisco", {})
    found = {"sampler": sampling.get("sampler"), "steps": sampling.get("num_inference_steps")}
    own = {"guidance": guiding.get("guidance_precision", "ieee"), "every": guiding.get("guided_every", 1)}
    return (found if sampling else {}) | (own if guiding else {})

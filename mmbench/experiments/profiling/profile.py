"""`mmbench profile`: what a training step and a generated pair cost, as Tables 11 and 12 of arXiv 2405.17842 have it.

Needs neither weights nor data: a dataset's format is enough.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.experiments.profiling.stopwatch import PROMPT, Stopwatch, time_inference, time_training
from mmbench.files import append_line
from mmbench.optional_protocols import DeclaresFormat
from mmbench.registry import lookup, make_dataset
from mmbench.runs.circumstances import invocation
from mmbench.runs.spec import make_requests
from mmbench.system_names import SystemName, make_system, parse_system_name, read_options, takes_setting
from mmbench.tables.published import published
from mmbench.types import ClipFormat, Prompt, Request

TABLES = {"training": "11", "inference": "12"}
DATASETS = {"mm_diffusion": "landscape_ind", "audioldm_animatediff": "vggsound", "auffusion_vc2": "vggsound"}
MEMORY = {"peak_gpu_bytes": "peak GPU [GB]", "peak_memory_bytes": "peak resident [GB]"}
PERCENT = ("overhead", "speedup")


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
        dtype: Precision of generation.
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
    dtype: str = "float32"
    options: Sequence[str] = ()
    cpu_time: bool = False
    out: Path = Path("runs")
    command: Sequence[str] = ()


@dataclass(frozen=True)
class ProfileTable:
    """A table of timings, ready to be printed."""

    rows: list[dict[str, Any]]
    columns: list[str]
    title: str
    notes: list[str]


def profile_systems(settings: ProfileSettings) -> ProfileTable:
    """Times every system in turn and keeps each record, with all its rounds, in profile.jsonl.

    Returns:
        The table, with the published numbers below those of systems of their size.
    """
    settings.out.mkdir(parents=True, exist_ok=True)
    shown = {k: str(v) if isinstance(v, Path) else v for k, v in vars(settings).items() if k != "command"}
    common = {"device": settings.device, "dtype": settings.dtype, "weights": settings.weights}
    rows: list[dict[str, Any]] = []
    for name in settings.systems:
        dataset = profiled_dataset(name, settings.dataset)
        system = make_profiled_system(name, settings.discriminator, dataset, settings.options, **common)
        watch = Stopwatch(time.process_time if settings.cpu_time else time.perf_counter)
        batch = make_batch(dataset, settings.batch_size)
        record = time_system(settings.what, system, batch, settings.runs, watch, settings.loss, **settings.sizes)
        append_line(settings.out / "profile.jsonl", record | invocation(list(settings.command), shown))
        rows += make_rows(record)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return ProfileTable(rows, columns, f"Table {TABLES[settings.what]}", _notes(settings))


def _notes(settings: ProfileSettings) -> list[str]:
    unit = f"{'pair' if settings.what == 'inference' else 'step'}, batches of {settings.batch_size}"
    kind, file = "Processor seconds" if settings.cpu_time else "Seconds", settings.out / "profile.jsonl"
    notes = [f"{kind} per {unit}: mean ± standard deviation; rounds: {settings.runs}, all in {file}."]
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
    base, _, argument = name.partition(":")
    factory: object = lookup("dataset", base).factory
    if isinstance(factory, DeclaresFormat) and not argument:
        return BlankDataset(name, factory.format)
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
    if parsed.design is None and lookup("system", system.partition(":")[0]).guidable:
        parsed = SystemName(system, design, "")
    if not takes_setting(str(parsed), "weights"):  # how real weights are costs no time
        common.pop("weights", None)
    return make_system(str(parsed), dataset=dataset, **common, **read_options(options, [str(parsed)])[str(parsed)])


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
        **sizes: channels and num_blocks of the discriminator that is trained.

    Returns:
        The setting, every interval of every round [s], and the peak memory within them [B].

    Raises:
        UsageError: There is no discriminator to train.
    """
    design = parse_system_name(system.name).design
    if what == "inference":
        time_inference(system, requests, runs, watch)
    elif design:
        time_training(system.pair(), design, loss, len(requests), runs, watch, **sizes)
    else:
        found = f"{system.name} is no pair whose discriminator could be trained."
        raise UsageError(found, "a pair, as tiny or mm_diffusion", "mmbench list systems")
    setting = {"what": what, "system": system.name, "weights": system.weights, "batch": len(requests)}
    setting |= {"design": design, "loss": loss, **sizes} if what == "training" else {}
    return {**setting, "seconds": watch.seconds, "memory": watch.memory}


def make_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The row of a record of `time_system`, and below it the paper's, of systems of its size."""
    values = columns_of_rounds(record)
    peaks = {title: max(m.get(key, 0) for m in record["memory"].values()) for key, title in MEMORY.items()}
    shown = {name: format_rounds(name, v) for name, v in values.items()}
    shown |= {title: f"{peak / 1e9:.1f}" for title, peak in peaks.items() if peak}
    rows = [{"system": record["system"], "measured": "here", "weights": record["weights"], **shown}]
    table = published().get(TABLES[record["what"]], {"columns": (), "rows": ()})
    base = record["system"].partition("+")[0]
    if base in table["columns"] and record["weights"] != "tiny":
        k = table["columns"].index(base)
        cells = {row[0]: row[k] for row in table["rows"]}
        paper = {name: v if isinstance(v, str) else f"{v[0]:g} ± {v[1]:g}" for name, v in cells.items()}
        rows.append({"system": record["system"], "measured": "paper, one H100", **paper})
    return rows


def columns_of_rounds(record: dict[str, Any]) -> dict[str, list[float]]:
    """The columns of Table 11 or 12, round by round: seconds per step or per pair, and their ratios."""
    s, num = record["seconds"], record["batch"]
    if "generate" in s:
        return {"without": [t / num for t in s["generate"]]}
    if "sample" in s:
        each = list(zip(s["sample"], s["sample guided"], s["decode"], strict=True))
        without, guided = [(a + d) / num for a, _, d in each], [(g + d) / num for _, g, d in each]
        ratio = [g / w - 1 for g, w in zip(guided, without, strict=True)]
        return {"without": without, "with": guided, "overhead": ratio, "decode": [d / num for _, _, d in each]}
    bases = ("base_forward",) if record["loss"] != "disc" else ()  # discrimination asks the bases nothing
    needed = (*bases, "disc_forward", "disc_backward")
    baseline = [a + b for a, b in zip(s["base_graph"], s["base_backward"], strict=True)]
    step = [sum(each) for each in zip(*(s[name] for name in needed), strict=True)]
    speedup = [b / m for b, m in zip(baseline, step, strict=True)]
    parts = {name: s[name] for name in ("base_forward", "base_backward", "disc_forward", "disc_backward")}
    return {**parts, "baseline_step": baseline, "mmdisco_step": step, "speedup": speedup}


def format_rounds(name: str, values: Sequence[float]) -> str:
    """The mean and standard deviation over rounds, as the paper prints them; ratios in percent."""
    percent = name in PERCENT
    scale, unit = (100.0, " %") if percent else (1.0, "")
    mean, spread = scale * statistics.mean(values), scale * (statistics.stdev(values) if len(values) > 1 else 0.0)
    return f"{mean:.1f} ± {spread:.1f}{unit}" if percent else f"{mean:.3g} ± {spread:.2g}"

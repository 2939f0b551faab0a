"""`mmbench profile`: what a training step and a generated pair cost, as Tables 11 and 12 of arXiv 2405.17842 have it.

Needs neither weights nor data: a dataset's format is enough.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmbench.errors import UsageError
from mmbench.experiments.profiling import stopwatch as timing
from mmbench.registry import lookup, make_dataset
from mmbench.system_names import SystemName, make_system, parse_system_name, read_options, takes_setting
from mmbench.tables.published import published
from mmbench.types import ClipFormat, Request

TABLES = {"training": "11", "inference": "12"}
DATASETS = {"mm_diffusion": "landscape_ind", "audioldm_animatediff": "vggsound", "auffusion_vc2": "vggsound"}
MEMORY = {"peak_gpu_bytes": "peak GPU [GB]", "peak_memory_bytes": "peak resident [GB]"}
PERCENT = ("overhead", "speedup")


@dataclass(frozen=True)
class Blank:
    """A dataset of which only the name and the format are there."""

    name: str
    format: ClipFormat


def dataset_of(system: str, name: str | None) -> Any:
    """A dataset to profile a system on, the published one by default, for which no data is needed."""
    from mmbench.datasets.copies.cut_anywhere import FORMAT as IN_DOMAIN
    from mmbench.datasets.copies.two_seconds import FORMAT as OUT_OF_DOMAIN

    formats = {"landscape_ind": IN_DOMAIN, "aistpp": IN_DOMAIN, "vggsound": OUT_OF_DOMAIN, "landscape": OUT_OF_DOMAIN}
    name = name or DATASETS.get(parse_system_name(system).base, "bounce")
    return Blank(name, formats[name]) if name in formats else make_dataset(name)


def build(system: str, design: str, dataset: Any, options: Sequence[str], **common: Any) -> Any:
    """A system to profile: of a guidable pair its guided form, whose pair is also measured alone.

    Args:
        system: Registered name, with or without +mmdisco.
        design: Of the discriminator, where the name has none.
        dataset: Of `dataset_of`.
        options: Of the system, "NAME=VALUE".
        **common: What every system is told: device, dtype, weights.
    """
    parsed = parse_system_name(system)
    if parsed.design is None and lookup("system", system.partition(":")[0]).guidable:
        parsed = SystemName(system, design, "")
    if not takes_setting(str(parsed), "weights"):  # how real weights are costs no time
        common.pop("weights", None)
    return make_system(str(parsed), dataset=dataset, **common, **read_options(options, [str(parsed)])[str(parsed)])


def requests_of(dataset: Any, num: int) -> list[Request]:
    """`num` requests: the dataset's own prompts, or all of one text."""
    from mmbench.runs.spec import make_requests
    from mmbench.types import Prompt

    if isinstance(dataset, Blank):
        return [Request(Prompt(f"{i:05d}", timing.PROMPT), i, 0) for i in range(num)]
    return make_requests(dataset, num, 0)


def measure(
    what: str,
    system: Any,
    requests: Sequence[Request],
    runs: int,
    watch: timing.Stopwatch,
    loss: str = "all",
    **sizes: int,
) -> dict[str, Any]:
    """Time a system.

    Args:
        what: "training" or "inference".
        system: Of `build`.
        requests: A batch; of a step of training only their number counts.
        runs: Rounds that count.
        watch: Takes the times.
        loss: Of the discriminator that is trained, whose design is the system's: "all", "disc" or "denoise".
        **sizes: channels and num_blocks of the discriminator that is trained.

    Returns:
        What was timed: every interval of every round [s], and the peak memory within them [B].

    Raises:
        UsageError: There is no discriminator to train.
    """
    design = parse_system_name(system.name).design
    if what == "inference":
        timing.inference(system, requests, runs, watch)
    elif design:
        timing.training(system.pair(), design, loss, len(requests), runs, watch, **sizes)
    else:
        found = f"{system.name} is no pair whose discriminator could be trained."
        raise UsageError(found, "a pair, as tiny or mm_diffusion", "mmbench list systems")
    about = {"what": what, "system": system.name, "weights": system.weights, "batch": len(requests)}
    about |= {"design": design, "loss": loss, **sizes} if what == "training" else {}
    return {**about, "seconds": watch.seconds, "memory": watch.memory}


def rows_of(record: dict[str, Any]) -> list[dict[str, Any]]:
    """A row of what `measure` found, and below it the paper's, of systems of its size."""
    values = quantities(record)
    peaks = {title: max(m.get(key, 0) for m in record["memory"].values()) for key, title in MEMORY.items()}
    shown = {name: text_of(name, v) for name, v in values.items()}
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


def quantities(record: dict[str, Any]) -> dict[str, list[float]]:
    """Columns of Tables 11 and 12, round by round: seconds per step or per pair, and their ratios."""
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


def text_of(name: str, values: Sequence[float]) -> str:
    """Mean and standard deviation over rounds, as the paper prints them; ratios in percent."""
    percent = name in PERCENT
    scale, unit = (100.0, " %") if percent else (1.0, "")
    mean, spread = scale * statistics.mean(values), scale * (statistics.stdev(values) if len(values) > 1 else 0.0)
    return f"{mean:.1f} ± {spread:.1f}{unit}" if percent else f"{mean:.3g} ± {spread:.2g}"

"""From rounds of seconds to the rows of Tables 11 and 12 of arXiv 2405.17842, the published numbers below."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from mmbench.tables.published import published

TABLES = {"training": "11", "inference": "12"}
DATASETS = {"mm_diffusion": "landscape_ind", "audioldm_animatediff": "vggsound", "auffusion_vc2": "vggsound"}
DTYPES = {"audioldm_animatediff": "float16", "auffusion_vc2": "float16"}  # others were published in float32
MEMORY = {"peak_gpu_bytes": "peak GPU [GB]", "peak_memory_bytes": "peak resident [GB]"}
SETTING = ("dtype", "sampler", "steps", "guidance", "checkpointed")
PERCENT = ("overhead", "speedup")


def make_rows(record: dict[str, Any]) -> list[dict[str, Any]]:
    """The row of a record of `time_system`, and below it the paper's, of systems of its size on its dataset."""
    values = columns_of_rounds(record)
    peaks = {title: max(m.get(key, 0) for m in record["memory"].values()) for key, title in MEMORY.items()}
    shown = {name: format_rounds(name, v) for name, v in values.items()}
    shown |= {title: f"{peak / 1e9:.1f}" for title, peak in peaks.items() if peak}
    how = {key: str(record[key]) for key in SETTING if key in record}
    rows = [{"system": record["system"], "measured": "here", "weights": str(record["weights"]), **how, **shown}]
    table = published().get(TABLES[record["what"]], {"columns": (), "rows": ()})
    base = record["system"].partition("+")[0]
    as_published = record.get("dataset") in (None, DATASETS.get(base))
    if base in table["columns"] and record["weights"] != "tiny" and as_published:
        k = table["columns"].index(base)
        cells = {row[0]: row[k] for row in table["rows"]}
        paper = {name: v if isinstance(v, str) else f"{v[0]:g} ± {v[1]:g}" for name, v in cells.items()}
        rows.append({"system": record["system"], "measured": "paper, one H100", **paper})
    return rows


def columns_of_rounds(record: dict[str, Any]) -> dict[str, list[float]]:
    """The columns of Table 11 or 12, round by round: seconds per step or per pair, and their ratios.

    Columns of an arm that was out of memory are not there.
    """
    s, num = record["seconds"], record["batch"]

    def each(compute: Callable[..., float], *names: str) -> list[float]:
        return [compute(*values) for values in zip(*(s[name] for name in names), strict=True)]

    columns: dict[str, tuple[Any, ...]]
    if record["what"] == "inference":
        pair = (lambda a, d: (a + d) / num, "sample", "decode")
        columns = {
            "without": (lambda t: t / num, "generate") if "generate" in s else pair,
            "with": (lambda g, d: (g + d) / num, "sample guided", "decode"),
            "overhead": (lambda a, g, d: (g + d) / (a + d) - 1, "sample", "sample guided", "decode"),
            "decode": (lambda d: d / num, "decode"),
            "texts": (lambda t: t / num, "texts"),
        }
    else:
        bases = ("base_forward",) if record["loss"] != "disc" else ()  # discrimination asks the bases nothing
        needed = (*bases, "disc_forward", "disc_backward")
        single = ("base_forward", "base_backward", "disc_forward", "disc_backward")
        columns = {name: (float, name) for name in single} | {
            "baseline_step": (lambda a, b: a + b, "base_graph", "base_backward"),
            "mmdisco_step": (lambda *t: sum(t), *needed),
            "speedup": (lambda a, b, *t: (a + b) / sum(t), "base_graph", "base_backward", *needed),
        }
    return {name: each(f, *names) for name, (f, *names) in columns.items() if set(names) <= set(s)}


def format_rounds(name: str, values: Sequence[float]) -> str:
    """The mean and standard deviation over rounds, as the paper prints them; ratios in percent."""
    percent = name in PERCENT
    scale, unit = (100.0, " %") if percent else (1.0, "")
    mean, spread = scale * statistics.mean(values), scale * (statistics.stdev(values) if len(values) > 1 else 0.0)
    return f"{mean:.1f} ± {spread:.1f}{unit}" if percent else f"{mean:.3g} ± {spread:.2g}"

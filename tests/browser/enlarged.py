"""A report of as many samples and sets as wanted, made of a small one: its clips under many names, its scores drawn."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.report.data import describe, samples_as_script
from mmbench.report.material import Material
from mmbench.report.write import render_report


def read_script(folder: Path) -> dict[str, Any]:
    """What the samples.js of a report holds."""
    text = (folder / "samples.js").read_text()
    data: dict[str, Any] = json.loads(text.removeprefix("const REPORT = ").removesuffix(";\n"))
    return data


def write_enlarged(material: Material, small: Path, to: Path, rows: int, systems: int) -> Path:
    """Write a report of `rows` samples of `systems` sets, whose files are links to those of a small one.

    Args:
        material: Of the small report.
        small: Its folder.
        to: The new one.
        rows: Samples of each set.
        systems: Sets; those that the small report lacks have no scores on record, but values per sample.
    """
    known, sets = read_script(small), len(material.names)
    shown = [row["clips"] for row in known["rows"]]
    events = [[dict(shown[r % len(shown)][k % sets]) for k in range(systems)] for r in range(rows)]
    (to / "clips").mkdir(parents=True)
    for r, row in enumerate(events):
        for k, clip in enumerate(row):
            there, clip["file"] = small / "clips" / clip["file"], f"{k}-{r:06d}"
            for suffix in (".mp4", ".png"):
                os.link(there.with_suffix(suffix), to / "clips" / f"{clip['file']}{suffix}")
    names = [*material.names, *(f"further_{k}" for k in range(sets, systems))][:systems]
    rng = np.random.default_rng(0)
    enlarged = replace(
        material,
        names=names,
        columns=[material.columns[k % sets] for k in range(systems)],
        scores={metric: rng.uniform(0, 1, (rows, systems)) for metric in material.scores},
        rows=[[r % len(material.rows)] * systems for r in range(rows)],
        labels={name: [groups[r % len(groups)] for r in range(rows)] for name, groups in material.labels.items()},
    )
    (to / "samples.js").write_text(samples_as_script(enlarged, events))
    (to / "index.html").write_text(render_report(describe(enlarged), ["mmbench report"]))
    return to

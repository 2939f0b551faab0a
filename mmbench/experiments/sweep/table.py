"""The table of a sweep: means over trainings, and paired differences to the pair alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.experiments.sweep.grids import GRIDS, PAIR
from mmbench.experiments.sweep.log import outcomes, read_lines
from mmbench.scores.records import Record, read_records, read_scored
from mmbench.tables.compare import compare
from mmbench.tables.layout import Layout, _check, _columns, _fill, _paper

SWEPT = {grid.published: name for name, grid in GRIDS.items() if grid.published}


def _asked(file: Path) -> dict[str, Any]:
    """What a sweep was asked for at last."""
    asked = [line for line in read_lines(file) if "sweep" in line]
    if not asked:
        raise MMBenchError(f"{file} is not of a sweep.", "lines as mmbench sweep wrote them", f"rm {file}")
    return asked[-1]


def _fits(
    asked: Mapping[str, Any],
    dataset: str | None = None,
    systems: Sequence[str] = (),
    metrics: Sequence[str] = (),
    num_samples: int | None = None,
    seed: int | None = None,
) -> bool:
    same = dataset in (None, asked["dataset"]) and (not systems or asked["system"] in systems)
    return same and num_samples in (None, asked["n"]) and seed in (None, asked["seed"])


def of_sweep(file: Path) -> Layout:
    """The table of a sweep: means over trainings, with the standard error of the mean where there are several.

    With the differences to the pair alone, as far as they are known.
    """
    asked = _asked(file)
    grid, found = GRIDS[asked["table"]], outcomes(file)
    rows, all_records, paired = [], list[Record](), differences(file)
    for row in grid.rows:
        cells = [line for (label, _), line in found.items() if label == row.label]
        runs = [line["run"] for line in cells if line["status"] == "ok"]
        records = [_records_of(file.parent / run, asked["n"]) for run in runs]
        all_records += [r for by_metric in records for r in by_metric.values()]
        shown: dict[str, Any] = {"row": row.label, "trainings": len(runs) if row.design else None, "numbers": {}}
        failed = [line["reason"] for line in cells if line["status"] == "failed"]
        shown["status"] = f"failed: {failed[-1]}" if failed else "" if runs else "to do"
        for metric in asked["metrics"]:
            known = [paired[run][metric] for run in runs if metric in paired.get(run, {})]
            _fill(shown, metric, [r[metric] for r in records if metric in r], known)
        rows.append(shown | _paper(grid.published, row.published, asked["metrics"]))
    _check(all_records)
    number = f"Table {grid.published}" if grid.published else asked["table"]
    remarks = [
        "±: over samples, or where there are several trainings over these, which share samples' prompts and noise."
    ]
    if any("difference" in number for row in rows for number in row["numbers"].values()):
        remarks.append(f"Δ: to {PAIR}, by sample; ± over samples, and over trainings where there are several.")
    if (asked["system"], asked["dataset"].partition(":")[0]) != (grid.system, grid.dataset) and grid.published:
        remarks.append(f"paper: {grid.system} on {grid.dataset}; compare how rows differ, not numbers.")
    title = (
        f"{number}: {grid.title}; here {asked['system']} on {asked['dataset']}, n = {asked['n']}, seed {asked['seed']}"
    )
    return Layout(rows, _columns(rows), title, remarks)


def differences(file: Path) -> dict[str, dict[str, dict[str, float]]]:
    """Paired differences of a sweep's runs to the pair alone: {run: {metric: {"value", "stderr"}}}.

    Of the scores where they lie beside the records, else as the sweep's file keeps them.
    """
    asked, found = _asked(file), outcomes(file)
    kept: dict[str, dict[str, dict[str, float]]] = {}
    for line in read_lines(file):
        kept |= line.get("differences", {})
    alone = [line["run"] for (label, _), line in found.items() if label == PAIR and line["run"]]
    for run in [line["run"] for line in found.values() if alone and line["run"] and "discriminator" in line]:
        folders = [file.parent / alone[0], file.parent / run]
        if not all((folder / "scores").is_dir() for folder in folders):
            continue
        base, guided = (_records_of(folder, asked["n"]) for folder in folders)
        both = [metric for metric in asked["metrics"] if metric in base and metric in guided]
        cells = {
            m: compare([read_scored(f, r[m]) for f, r in zip(folders, (base, guided), strict=True)])[1].difference
            for m in both
        }
        kept[run] = {m: {"value": d.value, "stderr": d.stderr} for m, d in cells.items() if d and d.stderr is not None}
    return kept


def _records_of(folder: Path, n: int) -> dict[str, Record]:
    """Latest record by metric of the first n samples."""
    records = sorted(read_records(folder), key=lambda r: r.time)
    return {r.metric: r for r in records if r.n_expected == n}

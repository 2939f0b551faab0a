"""Tables of the paper (arXiv 2405.17842) filled with our records, the published numbers beside them.

Tables 2, 3, 4 and 13 compare systems: any folder of runs fills them. Tables 7 to 10 compare trainings of a
discriminator, whose systems share a name: the file of a sweep says which run belongs to which row.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.compare import comparable, compare, count_text, signed, with_error
from mmbench.errors import MMBenchError, UsageError
from mmbench.grids import GRIDS, PAIR
from mmbench.results import Record, finite, read_records
from mmbench.statistics import mean_estimate
from mmbench.sweep_file import outcomes, read_lines
from mmbench.tables import gather, notes, value_text

FILE = Path("results") / "paper" / "tables.json"
SYSTEMS = {  # datasets of tables of systems, by what a row calls them; "" where a table has one
    "2": {"landscape": "landscape_ind", "aistpp": "aistpp"},
    "3": {"": "landscape"},
    "4": {"": "vggsound"},
    "13": {"": "vggsound"},
}
SWEPT = {grid.published: name for name, grid in GRIDS.items() if grid.published}
FIRST = ("dataset", "system", "row", "trainings", "n", "weights", "networks")  # columns before the metrics


@dataclass(frozen=True)
class Layout:
    """A table ready to be printed."""

    rows: list[dict[str, Any]]
    columns: list[str]
    title: str
    notes: list[str]


@cache
def published() -> Mapping[str, Any]:
    """The printed tables by number, of the working directory or else of the checkout; none where neither has them."""
    checkout = Path(__file__).resolve().parent.parent
    file = next((folder / FILE for folder in (Path(), checkout) if (folder / FILE).is_file()), None)
    return json.loads(file.read_text())["tables"] if file else {}


def published_values(number: str, key: Sequence[Any]) -> dict[str, float]:
    """Printed numbers by column of the row whose first cells are `key`; none if there is no such row."""
    table = published().get(number, {"columns": (), "rows": ()})
    row = next((row for row in table["rows"] if key and row[: len(key)] == list(key)), None)
    if row is None:
        return {}
    cells = zip(table["columns"][len(key) :], row[len(key) :], strict=True)
    return {name: value for name, value in cells if isinstance(value, int | float)}


def printed_name(metric: str) -> str:
    """Column of the paper that a metric, or its miniature, belongs to: ib_bounce_av is ib_av."""
    return metric.partition(".")[0].replace("_bounce", "")


def lay_out(number: str, out: Path, **filters: Any) -> Layout:
    """Table `number` of the paper, filled from the runs or the latest sweep in `out`.

    Args:
        number: "2", "3", "4", "7", "8", "9", "10" or "13".
        out: Folder of runs; sweeps are also looked for in `out/sweep`.
        **filters: Of `mmbench.tables.gather`; for a sweep, its dataset, system, num_samples and seed.

    Raises:
        UsageError: Another table.
        MMBenchError: Nothing fits.
    """
    if number in SYSTEMS:
        return _of_systems(number, gather(out, **filters))
    if number not in SWEPT:
        known = ", ".join(sorted({*SYSTEMS, *SWEPT}, key=int))
        raise UsageError(f"Table {number} cannot be filled from records of runs.", f"one of {known}", "--paper 2")
    files = [file for folder in (out, out / "sweep") for file in folder.glob(f"{SWEPT[number]}-*.jsonl")]
    fitting = [file for file in files if _fits(_asked(file), **filters)]
    if not fitting:
        found = f"No sweep of {SWEPT[number]} in {out} fits."
        raise MMBenchError(
            found, f"the --out folder of mmbench sweep {SWEPT[number]}", f"mmbench sweep {SWEPT[number]}"
        )
    return of_sweep(max(fitting, key=lambda file: str(_asked(file)["time"])))


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
        cells = {m: compare(list(zip(folders, (base[m], guided[m]), strict=True)))[1].difference for m in both}
        kept[run] = {m: {"value": d.value, "stderr": d.stderr} for m, d in cells.items() if d and d.stderr is not None}
    return kept


def _records_of(folder: Path, n: int) -> dict[str, Record]:
    """Latest record by metric of the first n samples."""
    records = sorted(read_records(folder), key=lambda r: r.time)
    return {r.metric: r for r in records if r.n_expected == n}


def _of_systems(number: str, records: Sequence[Record]) -> Layout:
    """The paper's systems in its order, then others that were run on its datasets."""
    table = published().get(number)
    if table is None:
        raise MMBenchError(f"{FILE} is not here.", "a checkout of mmbench", "run in the folder of the checkout")
    datasets = SYSTEMS[number]
    wanted = [r for r in records if r.dataset.partition(":")[0] in datasets.values()]
    by_place: dict[tuple[str, str], dict[str, Record]] = {}
    for r in wanted:
        by_metric = by_place.setdefault((r.dataset.partition(":")[0], r.system), {})
        if r.metric in by_metric:
            found = f"{r.system} has several runs with {r.metric} (n, seed or spec differ)."
            raise MMBenchError(found, "one run per system", "--num-samples N, --seed K, or another --out")
        by_metric[r.metric] = r
    metrics = list(dict.fromkeys(r.metric for r in wanted))
    rows = []
    for printed, dataset in datasets.items():
        key = (printed,) if printed else ()
        in_paper = [row[len(key)] for row in table["rows"] if not key or row[0] == printed]
        others = sorted(system for d, system in by_place if d == dataset and system not in in_paper)
        for system in (*in_paper, *others):
            shown: dict[str, Any] = {"dataset": dataset, "system": system, "numbers": {}}
            for metric in metrics:
                record = by_place.get((dataset, system), {}).get(metric)
                _fill(shown, metric, [record] if record else [])
                if record is not None:
                    column = [r for r in wanted if (r.dataset, r.metric) == (record.dataset, metric)]
                    shown[_heading(record)] = value_text(record, column)
            rows.append(shown | _paper(number, (*key, system), metrics or table["columns"]))
    _check(wanted)
    missing = [f"Not on record here: {' and '.join(sorted(set(datasets.values())))}."] if not wanted else []
    return Layout(rows, _columns(rows), f"Table {number}: {table['title']}", [*missing, *notes(rows)])


def _fill(
    row: dict[str, Any], metric: str, records: Sequence[Record], paired: Sequence[Mapping[str, float]] = ()
) -> None:
    """Put a metric of one or several trainings into a row, with what a reader must know beside it."""
    if not records:
        return
    first = records[0]
    value, stderr = first.value, first.stderr
    if len(records) > 1:
        mean = mean_estimate(np.array([np.nan if r.value is None else r.value for r in records]))
        value, stderr = finite(mean.value), finite(mean.stderr)
    row[_heading(first)] = with_error(value, stderr)
    row["n"] = "; ".join(dict.fromkeys(count_text(r) for r in records))
    row["numbers"][metric] = {"value": value, "stderr": stderr, "trainings": [r.value for r in records]}
    if paired:
        values = np.array([d["value"] for d in paired])
        between = values.var(ddof=1) / len(values) if len(values) > 1 else 0.0
        error = float(np.sqrt(np.mean([d["stderr"] ** 2 for d in paired]) + between))
        row["numbers"][metric]["difference"] = {"value": float(values.mean()), "stderr": error}
        row[_heading(first)] += f"\nΔ {signed(float(values.mean()), error)}"
    for column, kind in (("weights", first.weights), ("networks", first.extractor_weights)):
        if kind in ("random", "tiny"):
            row[column] = kind


def _heading(record: Record) -> str:
    return record.metric + (" ↑" if record.higher_is_better else " ↓")


def _paper(number: str, key: Sequence[Any], metrics: Iterable[str]) -> dict[str, Any]:
    values = published_values(number, key)
    names = dict.fromkeys(printed_name(metric) for metric in metrics)
    return {f"paper {name}": values[name] for name in names if name in values}


def _columns(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Columns that any row has: who, how many, then every metric with the paper's beside it."""
    known = list(dict.fromkeys(column for row in rows for column in row))
    measured = [c for c in known if c not in (*FIRST, "numbers", "status") and not c.startswith("paper ")]
    paper = [c for c in known if c.startswith("paper ")]
    beside = []
    for column in measured:
        name = f"paper {printed_name(column.partition(' ')[0])}"
        beside += [column, name] if name in paper and name not in beside else [column]
    rest = [c for c in paper if c not in beside]
    status = ["status"] if any(row.get("status") for row in rows) else []
    return [*(c for c in FIRST if any(row.get(c) is not None for row in rows)), *beside, *rest, *status]


def _check(records: Sequence[Record]) -> None:
    """Refuse a column that mixes n, signatures or kinds of weights."""
    columns: dict[tuple[str, str], list[Record]] = {}
    for r in records:
        columns.setdefault((r.dataset, r.metric), []).append(r)
    for column in columns.values():
        comparable(column)

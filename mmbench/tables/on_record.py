"""Paired differences between systems on record: of their scores, or as a packed file keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.scores.records import Record, Scored, read_scored
from mmbench.statistics.paired import Difference
from mmbench.tables.borrowed import REAL
from mmbench.tables.compare import Cell, compare
from mmbench.tables.excess import excess_name
from mmbench.tables.runs import read_runs
from mmbench.types import Score


def compare_on_record(columns: Sequence[Sequence[Record]], places: Mapping[str, Path]) -> list[list[Cell]]:
    """The cells of records, each with its difference to real clips or, of a guided system, to its pair.

    A record without scores, and one whose scores are damaged, which is logged, has none; nor have records of unequal n.

    Args:
        columns: Records by metric, `ground_truth` first.
        places: The folder of each run, or its packed file, by run id.

    Raises:
        MMBenchError: Records of a metric do not compare.
    """
    files = {place for place in places.values() if place.is_file()}
    runs = [run for file in files for run in read_runs(file)]
    kept = {(run.name, str(d["metric"]), d["n_expected"]): d for run in runs for d in run.differences}
    return [_compare_column(column, places, kept) for column in columns]


def _compare_column(
    column: Sequence[Record], places: Mapping[str, Path], kept: Mapping[tuple[str, str, int], Mapping[str, Any]]
) -> list[Cell]:
    stored = [r for r in column if r.run_id not in places or not places[r.run_id].is_file()]
    cells = [Cell(r) for r in stored]
    if len({r.n_expected for r in stored}) == 1:
        cells = [_meant(cell) for cell in compare([_read(r, places) for r in stored])]
    found = {id(cell.record): cell for cell in cells}
    return [found.get(id(r)) or _restore(r, column, kept) for r in column]


def _read(record: Record, folders: Mapping[str, Path]) -> Scored:
    folder = folders.get(record.run_id, Path(record.run_id))
    if (folder / "scores" / f"{record.key}.jsonl").exists():
        try:
            return read_scored(folder, record)
        except IntegrityError as error:
            log.warning("%s So it has no difference. try: %s", error.found, error.next)
    return Scored(folder, record, Score(record.value or 0.0, record.stderr, record.n_scored))


def _meant(cell: Cell) -> Cell:
    """The cell without a difference to a system that is neither real nor the pair it guides, but just the first."""
    if cell.against == REAL or cell.record.system.startswith(f"{cell.against}+"):
        return cell
    return Cell(cell.record, cell.score)


def _restore(record: Record, column: Sequence[Record], kept: Mapping[tuple[str, str, int], Mapping[str, Any]]) -> Cell:
    value, excess = (
        kept.get((record.run_id, name, record.n_expected)) for name in (record.metric, excess_name(record.metric))
    )
    if value is None or value["against"] not in {r.system for r in column}:
        return Cell(record)
    of_excess = _read_difference(excess) if excess and excess["against"] == value["against"] else None
    return _meant(Cell(record, difference=_read_difference(value), against=str(value["against"]), excess=of_excess))


def _read_difference(kept: Mapping[str, Any]) -> Difference:
    return Difference(*(kept[name] for name in ("value", "stderr", "low", "high", "p", "n")))

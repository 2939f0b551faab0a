"""What a report is made of: scored sets side by side, their clips, and which samples stand in one row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.scored_sets import choose, find_sets, is_named
from mmbench.pictures.columns import Column, open_columns
from mmbench.pictures.preview import find_places
from mmbench.pictures.rows import pair_columns
from mmbench.report.truth import UNKNOWN, Truth, find_truth
from mmbench.runs.find import name_out
from mmbench.scores.records import Scored, read_samples
from mmbench.tables.compare import Cell
from mmbench.tables.groups import group_of, labels_on_record
from mmbench.tables.side_by_side import compare_sets
from mmbench.tables.table import table_order


@dataclass(frozen=True)
class Material:
    """Sets of samples that a report shows, the first the one that others are compared with.

    Attributes:
        names: What each is called.
        columns: Their clips.
        cells: The numbers, by metric, then in the order of the sets that have it.
        scores: Values per row and set, (rows, sets), NaN without; by metric, of those with values per sample.
        rows: Of each row the index of each set's sample; None where it has none.
        notes: What a reader must know: how samples paired, what was left out.
        labels: What samples can be filtered by, prompts apart; of each the group of each row, "" without.
        truth: True times of events in the rows' real clips.
    """

    names: Sequence[str]
    columns: Sequence[Column]
    cells: Mapping[str, Sequence[Cell]]
    scores: Mapping[str, np.ndarray]
    rows: Sequence[Sequence[int | None]]
    notes: Sequence[str]
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    truth: Truth = UNKNOWN


def gather(
    names: Sequence[str], out: Path, num: int | None, metrics: Sequence[str] = (), command: Sequence[str] = ()
) -> Material:
    """Gather what is on record of runs and of clips that were evaluated; all runs in `out` without names.

    Args:
        names: Runs, or clips.
        out: Folder of runs.
        num: The first so many samples; None for all.
        metrics: Only these.
        command: The words that were typed, for errors.

    Raises:
        UsageError: A name that is nothing, `num` below 1, or runs of different datasets or seeds.
        MMBenchError: Nothing is scored.
    """
    if num is not None and num < 1:
        raise UsageError(f"--num-samples is {num}.", "a whole number from 1", "mmbench report --num-samples 16")
    places, left_out = find_places(names, out, command, "report")
    called = list(names) if names else [place.name for place in places]
    found = {
        name: [(f, r) for f, r in records if is_named(r, metrics)]
        for name, records in find_sets(called, out, command).items()
    }
    if lacking := [name for name, records in found.items() if not records]:
        again = " ".join(["mmbench evaluate", *lacking, *name_out(out)])
        raise MMBenchError(f"{lacking[0]} is not scored.", "records of what is reported", again)
    if not names:  # in the order of `mmbench table`: controls, pairs, then what guides them
        called.sort(key=lambda name: table_order(found[name][0][1]))
    columns = open_columns([places[0].parent / name for name in called] if not names else places, out, "report")
    sets = [choose(found[name], list(found.values())) for name in called if name in found]
    if len(sets) != len(columns):
        raise UsageError("A packed file holds no samples.", "runs or clips", "mmbench report RUN ...")
    compared = compare_sets(sets)
    rows, unpaired = pair_columns(columns, num or max(len(c.sources) for c in columns))
    cells = {column[0].record.metric: column for column in compared.columns}
    systems = [_name_of(scores, compared.columns, k, columns) for k, scores in enumerate(sets)]
    scores = {metric: _per_row(metric, sets, columns, rows) for metric in cells}
    kept = {metric: values for metric, values in scores.items() if not np.isnan(values).all()}
    truth = find_truth(columns, rows)
    notes = [*compared.notes, *unpaired, *left_out, *([truth.note] if truth.note else [])]
    return Material(systems, columns, cells, kept, rows, notes, _labels_of_rows(sets, columns, rows), truth)


def _name_of(scores: Sequence[Scored], compared: Sequence[Sequence[Cell]], k: int, columns: Sequence[Column]) -> str:
    """What a set is called in the comparison, which tells sets of one system apart."""
    run = scores[0].record.run_id
    return next((c.record.system for column in compared for c in column if c.record.run_id == run), columns[k].name)


def _per_row(
    metric: str, sets: Sequence[Sequence[Scored]], columns: Sequence[Column], rows: Sequence[Sequence[int | None]]
) -> np.ndarray:
    values = np.full((len(rows), len(sets)), np.nan)
    for k, (scores, column) in enumerate(zip(sets, columns, strict=True)):
        scored = next((s for s in scores if s.record.metric == metric), None)
        if scored is None or scored.score.per_sample is None:
            continue
        known = [row.get("id", "") for row in read_samples(scored.folder, scored.record)]
        by_id = dict(zip(known, scored.score.per_sample.tolist(), strict=True))
        for r, row in enumerate(rows):
            i = row[k]
            values[r, k] = np.nan if i is None else by_id.get(column.samples[i]["id"], np.nan)
    return values


def _labels_of_rows(
    sets: Sequence[Sequence[Scored]], columns: Sequence[Column], rows: Sequence[Sequence[int | None]]
) -> dict[str, list[str]]:
    """Of each label that is on record the group of each row, as the first set that knows it says."""
    known: dict[str, list[str]] = {}
    for k, (scores, column) in enumerate(zip(sets, columns, strict=True)):
        largest = max(scores, key=lambda scored: scored.record.n_expected)
        samples = {sample.get("id", ""): sample for sample in read_samples(largest.folder, largest.record)}
        mine = [{} if (i := row[k]) is None else samples.get(column.samples[i]["id"], {}) for row in rows]
        for label in (name for name in labels_on_record(list(samples.values())) if name != "prompt"):
            groups = known.setdefault(label, [""] * len(rows))
            for r, sample in enumerate(mine):
                groups[r] = groups[r] or group_of(sample, label)
    return known

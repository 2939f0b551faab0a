"""What a report is made of: sets side by side, their numbers and clips, and which samples stand in one row."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.scored_sets import choose, is_named, records_at
from mmbench.pictures.columns import Column, open_columns
from mmbench.pictures.preview import find_places
from mmbench.pictures.rows import pair_columns
from mmbench.pictures.truth import UNKNOWN, Truth, find_truth
from mmbench.runs.find import name_out
from mmbench.runs.store import read_manifest
from mmbench.scores.records import Scored, read_samples
from mmbench.tables.compare import Cell
from mmbench.tables.compute import read_resources, seconds_per_sample
from mmbench.tables.groups import group_of, labels_on_record
from mmbench.tables.side_by_side import Comparison, compare_sets
from mmbench.tables.table import table_order
from mmbench.types import ClipSource


@dataclass(frozen=True)
class Material:
    """Sets of samples that a report shows; the first that is scored is the one that others are compared with.

    Attributes:
        names: What each is called.
        columns: Their clips.
        cells: The numbers, by metric, then in the order of the sets that have it; {} if nothing is scored.
        scores: Values per row and set, (all rows, sets), NaN without; by metric, of those with values per sample.
        rows: Of each row that is shown the index of each set's sample; None where it has none. The first ones of all.
        notes: What a reader must know: how samples paired, what was left out.
        folders: Where the records of each run are, by its id.
        unscored: The command that scores each set without records, by its name.
        seconds: What a sample of each set took [s], by its name; those on record.
        notice: What of the samples is not shown; "" if all are.
        labels: What samples can be filtered by, prompts apart; of each the group of each row, "" without.
        truth: True times of events in the rows' real clips.
    """

    names: Sequence[str]
    columns: Sequence[Column]
    cells: Mapping[str, Sequence[Cell]]
    scores: Mapping[str, np.ndarray]
    rows: Sequence[Sequence[int | None]]
    notes: Sequence[str]
    folders: Mapping[str, Path]
    unscored: Mapping[str, str]
    seconds: Mapping[str, float]
    notice: str = ""
    labels: Mapping[str, Sequence[str]] = field(default_factory=dict)
    truth: Truth = UNKNOWN

    @property
    def sources(self) -> list[list[ClipSource | None]]:
        """The clips of the rows that are shown, of each row one per set; None where a set has none."""
        return [
            [None if i is None else c.sources[i] for c, i in zip(self.columns, row, strict=True)] for row in self.rows
        ]


def gather(
    names: Sequence[str], out: Path, num: int | None, metrics: Sequence[str] = (), command: Sequence[str] = ()
) -> Material:
    """Gather what is on record of runs and of clips, scored or not; all runs in `out` without names.

    Args:
        names: Runs, or clips.
        out: Folder of runs.
        num: Show the first so many samples; None for all.
        metrics: Only these.
        command: The words that were typed, for errors.

    Raises:
        UsageError: A name that is nothing, `num` below 1, or runs of different datasets or seeds.
        MMBenchError: None of `metrics` is scored.
    """
    if num is not None and num < 1:
        raise UsageError(f"--num-samples is {num}.", "a whole number from 1", "mmbench report --num-samples 16")
    places, left_out = find_places(names, out, command, "report")
    if packed := [place for place in places if place.suffix == ".jsonl"]:
        raise UsageError(f"{packed[0]} holds no samples.", "runs or clips", f"mmbench table --out {packed[0]}")
    if not names:  # in the order of `mmbench table`: controls, pairs, then what guides them
        places.sort(key=lambda place: table_order(read_manifest(place).system))
    places = list(dict.fromkeys(places))
    columns = open_columns(places, out, "report")
    found = [[(f, r) for f, r in records_at(place, out) if is_named(r, metrics)] for place in places]
    called = [place.name if place.parent == out else str(place) for place in places]
    if metrics and not any(found):
        words = ["mmbench", "evaluate", *called, *(word for m in metrics for word in ("--metric", m)), *name_out(out)]
        raise MMBenchError(f"{', '.join(metrics)} is not scored.", "records of what is reported", shlex.join(words))
    scored = [k for k, records in enumerate(found) if records]
    sets = {k: choose(found[k], [found[j] for j in scored]) for k in scored}
    compared = compare_sets(list(sets.values()), even_alone=True) if sets else Comparison([], [])
    cells = {column[0].record.metric: column for column in compared.columns}
    systems = [_name_of(sets.get(k, ()), compared.columns, column.name) for k, column in enumerate(columns)]
    rows, unpaired = pair_columns(columns, max(len(c.sources) for c in columns))
    scores = {metric: _per_row(metric, sets, columns, rows) for metric in cells}
    shown = rows[:num]
    truth = find_truth(columns, shown)
    cut = f"Of {len(rows)} samples the first {len(shown)} are shown; numbers and plots are of all."
    return Material(
        names=systems,
        columns=columns,
        cells=cells,
        scores={metric: values for metric, values in scores.items() if not np.isnan(values).all()},
        rows=shown,
        notes=[*compared.notes, *unpaired, *left_out, *filter(None, [truth.note])],
        folders={r.run_id: folder for records in found for folder, r in records},
        unscored={
            systems[k]: shlex.join(["mmbench", "evaluate", called[k], *name_out(out)])
            for k in range(len(columns))
            if k not in sets
        },
        seconds={
            name: seconds
            for name, place, column in zip(systems, places, columns, strict=True)
            if not column.is_submission
            and (seconds := seconds_per_sample(read_resources(place, place.name), "seconds")) is not None
        },
        notice=cut if len(shown) < len(rows) else "",
        labels=_labels_of_rows(sets, columns, shown),
        truth=truth,
    )


def _name_of(scores: Sequence[Scored], compared: Sequence[Sequence[Cell]], otherwise: str) -> str:
    """What a set is called in the comparison, which tells sets of one system apart."""
    runs = {s.record.run_id for s in scores}
    return next((c.record.system for column in compared for c in column if c.record.run_id in runs), otherwise)


def _per_row(
    metric: str, sets: Mapping[int, Sequence[Scored]], columns: Sequence[Column], rows: Sequence[Sequence[int | None]]
) -> np.ndarray:
    values = np.full((len(rows), len(columns)), np.nan)
    for k, scores in sets.items():
        scored = next((s for s in scores if s.record.metric == metric), None)
        if scored is None or scored.score.per_sample is None:
            continue
        known = [row.get("id", "") for row in read_samples(scored.folder, scored.record)]
        by_id = dict(zip(known, scored.score.per_sample.tolist(), strict=True))
        for r, row in enumerate(rows):
            i = row[k]
            values[r, k] = np.nan if i is None else by_id.get(columns[k].samples[i]["id"], np.nan)
    return values


def _labels_of_rows(
    sets: Mapping[int, Sequence[Scored]], columns: Sequence[Column], rows: Sequence[Sequence[int | None]]
) -> dict[str, list[str]]:
    """Of each label that is on record the group of each row, as the first set that knows it says."""
    known: dict[str, list[str]] = {}
    for k, scores in sets.items():
        largest = max(scores, key=lambda scored: scored.record.n_expected)
        samples = {sample.get("id", ""): sample for sample in read_samples(largest.folder, largest.record)}
        mine = [{} if (i := row[k]) is None else samples.get(columns[k].samples[i]["id"], {}) for row in rows]
        for label in (name for name in labels_on_record(list(samples.values())) if name != "prompt"):
            groups = known.setdefault(label, [""] * len(rows))
            for r, sample in enumerate(mine):
                groups[r] = groups[r] or group_of(sample, label)
    return known

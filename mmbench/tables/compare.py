"""Systems side by side: values with standard errors, shuffled baselines, and paired differences.

A guided system is compared with the pair it guides where that is among them, every other one with the first.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.scores.records import Record, Scored
from mmbench.statistics.excess import subtract_excess
from mmbench.statistics.paired import Difference, Wins, count_wins, holm, paired_difference
from mmbench.statistics.planning import plan
from mmbench.tables.borrowed import find_owners
from mmbench.tables.excess import excess_record, note_excess
from mmbench.tables.floors import note_falling, note_floors
from mmbench.tables.format import real_clips_text
from mmbench.types import UNTRAINED, Score

DESCRIBES = ("formats", "differs")  # of a record's reference: words about the clips
OF_PAIRS = ("n", "paired_by")  # and how many of the samples had a real clip of their own


@dataclass(frozen=True)
class Cell:
    """The number of one system in a comparison.

    Attributes:
        record: The number.
        score: What it was made of.
        difference: Paired difference to the system `against`; None where samples do not pair.
        p_adjusted: Its p-value after Holm's correction over the table.
        against: The system that it is compared with; "" without a difference.
        wins: Share of the paired samples on which it is better; None for metrics without values per sample.
        same_as: The system whose number this is, for both show the same half; such a number has no difference.
        group: The samples that it is of, in a table by groups, `tables.groups.ALL` for all of them; else "".
        excess: Difference of the paired excesses to the system `against`, where both have one; it stands in the cell of
            the excess, which `adjust` makes.
    """

    record: Record
    score: Score | None = None
    difference: Difference | None = None
    p_adjusted: float | None = None
    against: str = ""
    wins: Wins | None = None
    same_as: str = ""
    group: str = ""
    excess: Difference | None = None

    @property
    def needs(self) -> int | None:
        """Samples that find the observed difference with 80 % power; None where it is significant, 0 or not known."""
        d = self.difference
        if d is None or is_significant(self) or not d.stderr or not d.value or d.n < 2:
            return None
        needed = plan(d.stderr, d.n, abs(d.value)).needed
        return needed if needed is not None and needed > d.n else None


def make_cell(scored: Scored, base: Scored, scores: tuple[Score, Score] | None) -> Cell:
    """The cell of a number that is compared with another one.

    Args:
        scored: The number.
        base: That of the system it is compared with.
        scores: Scores of the base and of it in which equal places are the same samples; None where none pair.
    """
    if scores is None:
        return Cell(scored.record, scored.score)
    first, second = scores
    wins = None
    if first.per_sample is not None and second.per_sample is not None:
        wins = count_wins(first.per_sample, second.per_sample, scored.record.higher_is_better)
    difference = paired_difference(first, second)
    excess = subtract_excess(first, second)
    return Cell(scored.record, scored.score, difference, against=base.record.system, wins=wins, excess=excess)


def comparable(records: Sequence[Record], any_n: bool = False) -> None:
    """Refuse to compare numbers of different samples, definitions or kinds of weights.

    Args:
        records: Of one metric.
        any_n: Take means over different numbers of samples; distances between sets never compare across n.

    Raises:
        MMBenchError: Says what differs.
    """
    any_n = any_n and all(r.reference is None for r in records)

    def refuse(what: str, values: Sequence[object], next: str) -> None:
        systems = "; ".join(f"{r.system}: {v}" for r, v in zip(records, values, strict=True))
        found = f"{records[0].metric} cannot be compared across {what} ({systems})."
        raise MMBenchError(found, f"one {what}", next)

    for what, values in (
        ("n", [0 if any_n else r.n_expected for r in records]),
        ("signature", [r.signature for r in records]),
        ("dataset", [r.dataset for r in records]),
        ("reference", [str(identify_reference(r)) for r in records]),
    ):
        if len(set(values)) > 1:
            again = ["mmbench", "evaluate", *dict.fromkeys(r.run_id for r in records), "--metric", records[0].metric]
            refuse(what, values, shlex.join(again) if what != "n" else _at_least_n(records))
    kinds = [r.weights for r in records]
    if set(UNTRAINED) & set(kinds) and {"real", "trained"} & set(kinds):
        real = dict.fromkeys(r.system for r in records if r.weights not in UNTRAINED)
        alone = ["mmbench", "table", *(word for system in real for word in ("--system", system))]
        refuse("kind of weights", kinds, shlex.join(alone))


def _at_least_n(records: Sequence[Record]) -> str:
    """The command that scores all runs over as many samples as the smallest has."""
    runs, n = dict.fromkeys(r.run_id for r in records), min(r.n_expected for r in records)
    return shlex.join(["mmbench", "evaluate", *runs, "--num-samples", str(n), "--metric", records[0].metric])


def identify_reference(record: Record) -> dict[str, Any]:
    """Which real clips a record compared with, without the words that describe them, which older records lack."""
    about = record.reference or {}
    words = (*DESCRIBES, *OF_PAIRS) if "paired_by" in about else DESCRIBES
    return {k: v for k, v in about.items() if k not in words}


def compare(column: Sequence[Scored]) -> list[Cell]:
    """The cells of one metric, each with its paired difference to another system's where samples pair.

    Args:
        column: One score per system.

    Returns:
        One cell per record: a guided system (name+mmdisco) compared with its base of the same seed where that is
        among them, every other one with the first.

    Raises:
        MMBenchError: The records do not compare.
    """
    records = [scored.record for scored in column]
    comparable(records)
    out = []
    for i, scored in enumerate(column):
        base = column[find_opponent(records, i)]
        out.append(make_cell(scored, base, (base.score, scored.score) if _share_samples(base, scored) else None))
    return out


def table_of(scored: Sequence[Scored]) -> list[list[Cell]]:
    """Compares scores metric by metric, in order of appearance, with p-values corrected over the whole table."""
    columns: dict[str, list[Scored]] = {}
    for s in scored:
        columns.setdefault(s.record.metric, []).append(s)
    return adjust([compare(column) for column in columns.values()])


def find_opponent(records: Sequence[Record], i: int) -> int:
    """The index of the record that record i is compared with: a guided system's base of its seed, else the first."""
    base, guided, _ = records[i].system.partition("+")
    bases = [k for k, r in enumerate(records) if guided and r.system == base and r.seed == records[i].seed]
    return bases[0] if bases else 0


def _share_samples(a: Scored, b: Scored) -> bool:
    """Whether two scores can be paired: of one seed, by values per sample, or of sets that lack the same."""
    if a is b or a.record.seed != b.record.seed or b.score.num_scored <= 1:
        return False
    if a.score.per_sample is not None and b.score.per_sample is not None:
        return True
    if a.score.replicates is None or b.score.replicates is None:
        return False
    return a.absent == b.absent and a.score.num_scored == b.score.num_scored


def adjust(columns: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """The columns of a table, the excess of a metric before its value, and p-values corrected after Holm over all.

    Borrowed numbers have no difference.
    """
    columns = [_drop_borrowed(part) for column in columns for part in (_take_excess(column), column) if part]
    cells = [c for column in columns for c in column if c.difference and c.difference.p_value is not None]
    adjusted = holm([c.difference.p_value or 0.0 for c in cells if c.difference])
    by_cell = {id(c): float(p) for c, p in zip(cells, adjusted, strict=True)}
    return [[replace(c, p_adjusted=by_cell.get(id(c))) for c in column] for column in columns]


def _take_excess(column: Sequence[Cell]) -> list[Cell]:
    """The cells of the excess of a metric, of all numbers that have a shuffled baseline."""
    return [
        Cell(excess_record(c.record), c.score, c.excess, against=c.against if c.excess else "", group=c.group)
        for c in column
        if c.record.excess is not None
    ]


def _drop_borrowed(column: Sequence[Cell]) -> list[Cell]:
    owners = find_owners([c.record for c in column], [c.against for c in column])
    alone: dict[str, Any] = {"difference": None, "against": "", "wins": None}
    return [replace(c, **alone, same_as=owner) if owner else c for c, owner in zip(column, owners, strict=True)]


def heading(record: Record) -> str:
    """A metric with an arrow in the direction that is good: "fvd.stylegan_v_16f ↓"."""
    return record.metric + (" ↑" if record.higher_is_better else " ↓")


def is_significant(cell: Cell) -> bool:
    """Whether the difference has a p-value below 0.05 after Holm's correction."""
    return cell.p_adjusted is not None and cell.p_adjusted < 0.05


def list_caveats(records: Sequence[Record]) -> list[str]:
    """The notes on what is no fair measure: distances that fall with n, unlike clips, lossy ones, untrained weights."""
    notes = note_excess(records) + _note_distances(records)
    notes += [*_note_unscored(records), *_note_above_1(records)]
    if any(r.lossy for r in records):
        notes.append(
            "Clips came through lossy codecs: " + ", ".join(sorted({r.system for r in records if r.lossy})) + "."
        )
    notes += [f"{system}: {words}." for system, words in sorted({(r.system, r.fitted) for r in records if r.fitted})]
    for kind in UNTRAINED:
        systems = sorted({r.system for r in records if r.weights == kind})
        networks = sorted({r.metric for r in records if r.extractor_weights == kind})
        if systems:
            notes.append(f"Systems with {kind} weights, no quality: {', '.join(systems)}.")
        if networks:
            notes.append(f"Metrics on networks with {kind} weights, no quality: {', '.join(networks)}.")
    return notes


def _note_above_1(records: Sequence[Record]) -> list[str]:
    """A line for each metric with samples above 1, more than a share of matches can be: how many of each system."""
    counts: dict[str, list[str]] = {}
    for r in records:
        if above := r.details.get("above_1"):
            counts.setdefault(r.metric, []).append(f"{r.system} {above} of {r.n_scored}")
    return [f"Samples above 1 under {metric}: {', '.join(systems)}." for metric, systems in counts.items()]


def _note_unscored(records: Sequence[Record]) -> list[str]:
    """A line for each system and reason why samples are not scored, with the metrics that it holds for."""
    found: dict[tuple[str, str], list[str]] = {}
    for r in records:
        for reason, count in r.unscored.items():
            metric = f"{r.metric.partition('.')[0]} {count} of {r.n_expected}"
            found.setdefault((r.system, reason), []).append(metric)
    return [f"Not scored, {system}: {', '.join(where)} ({reason})." for (system, reason), where in found.items()]


def _note_distances(records: Sequence[Record]) -> list[str]:
    """What to know of distances to real clips: how many these are, what they are like, and what real clips score."""
    compared = [r for r in records if r.reference]
    if not compared:
        return []
    real = sorted({real_clips_text(r) for r in compared})
    notes = [f"{falling} Real clips: {', '.join(real)}." for falling in note_falling(compared)]
    return (
        notes
        + note_floors(compared)
        + sorted({str(r.reference["differs"]) + "." for r in compared if r.reference and "differs" in r.reference})
    )

"""Systems side by side: values with standard errors, shuffled baselines, and paired differences.

A guided system is compared with the pair it guides where that is among them, every other one with the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.scores.records import Record, finite, read_samples, read_score
from mmbench.statistics.paired import Difference, holm, paired_difference
from mmbench.tables.format import count_text, digits_of, signed, with_error
from mmbench.types import UNTRAINED, Score


@dataclass(frozen=True)
class Cell:
    """One system's number with its difference to another system's, named in `against`."""

    record: Record
    score: Score
    difference: Difference | None = None
    p_adjusted: float | None = None
    against: str = ""


def comparable(records: Sequence[Record]) -> None:
    """Refuse to compare numbers of different samples, definitions or kinds of weights.

    Raises:
        MMBenchError: Says what differs.
    """

    def refuse(what: str, values: Sequence[object], next: str) -> None:
        systems = "; ".join(f"{r.system}: {v}" for r, v in zip(records, values, strict=True))
        found = f"{records[0].metric} cannot be compared across {what} ({systems})."
        raise MMBenchError(found, f"one {what}", next)

    for what, values in (
        ("n", [r.n_expected for r in records]),
        ("signature", [r.signature for r in records]),
        ("dataset", [r.dataset for r in records]),
        ("reference", [str(r.reference) for r in records]),
    ):
        if len(set(values)) > 1:
            refuse(what, values, "mmbench evaluate RUN --num-samples N with one N and one --metric for all")
    kinds = [r.weights for r in records]
    if set(UNTRAINED) & set(kinds) and {"real", "trained"} & set(kinds):
        refuse("kind of weights", kinds, "leave out the systems with random or tiny weights: --system ...")


def compare(cells: Sequence[tuple[Path, Record]]) -> list[Cell]:
    """Cells of one metric: +mmdisco against its base where that is there, everything else against the first."""
    records = [record for _, record in cells]
    comparable(records)
    scores = [read_score(folder, record) for folder, record in cells]
    out = []
    for i, record in enumerate(records):
        k = _rival(records, i)
        pairs = k != i and record.seed == records[k].seed and scores[i].num_scored > 1
        pairs = pairs and _pair(cells[k], cells[i], scores[k], scores[i])
        difference = paired_difference(scores[k], scores[i]) if pairs else None
        out.append(Cell(record, scores[i], difference, against=records[k].system if difference else ""))
    return out


def _rival(records: Sequence[Record], i: int) -> int:
    """Whom record i is compared with: the base of a guided system with the same seed, else the first."""
    base, guided, _ = records[i].system.partition("+")
    bases = [k for k, r in enumerate(records) if guided and r.system == base and r.seed == records[i].seed]
    return bases[0] if bases else 0


def _pair(a: tuple[Path, Record], b: tuple[Path, Record], score_a: Score, score_b: Score) -> bool:
    """Whether two scores speak of the same samples: value by value, or resampled from sets that miss the same ones."""
    if score_a.per_sample is not None and score_b.per_sample is not None:
        return True
    if score_a.replicates is None or score_b.replicates is None:
        return False
    absent = [
        [r["index"] for r in read_samples(folder, record) if "missing" in r or "unreadable" in r]
        for folder, record in (a, b)
    ]
    return absent[0] == absent[1] and score_a.num_scored == score_b.num_scored


def adjust(columns: Sequence[Sequence[Cell]]) -> list[list[Cell]]:
    """The same cells with p-values corrected (Holm) over all differences of the table."""
    cells = [c for column in columns for c in column if c.difference and c.difference.p_value is not None]
    adjusted = holm([c.difference.p_value or 0.0 for c in cells if c.difference])
    by_cell = {id(c): float(p) for c, p in zip(cells, adjusted, strict=True)}
    return [[replace(c, p_adjusted=by_cell.get(id(c))) for c in column] for column in columns]


def as_row(cell: Cell) -> dict[str, Any]:
    """One line of the comparison: what is printed, and the record with its difference for JSON."""
    r, d = cell.record, cell.difference
    return {
        "system": r.system,
        "metric": r.metric + (" ↑" if r.higher_is_better else " ↓"),
        "value": with_error(r.value, r.stderr),
        "shuffled": with_error(r.baseline, r.baseline_stderr),
        "n": count_text(r),
        "Δ [95 %]": difference_text(cell),
        "record": asdict(r),
        "difference": None
        if d is None
        else {
            "value": finite(d.value),
            "stderr": finite(d.stderr),
            "low": finite(d.low),
            "high": finite(d.high),
            "p": finite(d.p_value),
            "p_holm": finite(cell.p_adjusted),
            "n": d.n,
            "against": cell.against,
        },
    }


def difference_text(cell: Cell) -> str | None:
    """ "+0.120 ± 0.021 [+0.079, +0.161] * to tiny"; the star marks a Holm-corrected p below 0.05."""
    d = cell.difference
    if d is None:
        return None
    k = digits_of(d.stderr)
    text = signed(d.value, d.stderr)
    if d.stderr is not None:
        text += f" [{d.low:+.{k}f}, {d.high:+.{k}f}]"
    star = " *" if cell.p_adjusted is not None and cell.p_adjusted < 0.05 else ""
    return f"{text}{star} to {cell.against}"


def footnotes(columns: Sequence[Sequence[Cell]]) -> list[str]:
    """What a reader of the table must know: marks, lossy clips, weights that are not real."""
    records = [cell.record for column in columns for cell in column]
    notes = []
    if any(cell.p_adjusted is not None for column in columns for cell in column):
        notes.append("Δ: paired by sample; * p < 0.05 after Holm's correction over the table.")
    if any(r.baseline is not None for r in records):
        notes.append("shuffled: the same metric with audio and video of different samples.")
    if any(r.lossy for r in records):
        notes.append(
            "Clips came through lossy codecs: " + ", ".join(sorted({r.system for r in records if r.lossy})) + "."
        )
    for kind in UNTRAINED:
        systems = sorted({r.system for r in records if r.weights == kind})
        networks = sorted({r.metric for r in records if r.extractor_weights == kind})
        if systems:
            notes.append(f"Systems with {kind} weights, no quality: {', '.join(systems)}.")
        if networks:
            notes.append(f"Metrics on networks with {kind} weights, no quality: {', '.join(networks)}.")
    return notes

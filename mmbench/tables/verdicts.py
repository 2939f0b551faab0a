"""What a comparison says, in words: of each guided system whether guidance helps, and of each metric what differs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from mmbench.scores.records import Record
from mmbench.statistics.excess import subtract_excess
from mmbench.tables.borrowed import CONTROLS, REAL
from mmbench.tables.compare import Cell, is_significant
from mmbench.tables.excess import excess_name, is_excess
from mmbench.tables.format import interval_text, signed, with_error
from mmbench.tables.marks import needed_text, short_names


def conclude(columns: Iterable[Sequence[Cell]]) -> list[str]:
    """The verdict on each guided system: does guidance help, by paired excess; is quality worse; what is still lacking.

    What is sure is so after Holm's correction over the table; intervals are of 95 %. A metric that a system was chosen
    or guided by is no evidence. What is lacking is told against the cascade, which is the same videos with sounds
    made for them, and against real clips.

    Args:
        columns: The cells of each metric, as `mmbench.tables.compare.adjust` gives them.
    """
    by_metric = {column[0].record.metric: {c.record.system: c for c in column if not c.group} for column in columns}
    names = short_names(by_metric)
    excess = {names[m]: cells for m, cells in by_metric.items() if is_excess(m)}
    quality = {
        names[m]: cells for m, cells in by_metric.items() if not is_excess(m) and excess_name(m) not in by_metric
    }
    shared: dict[str, str] = {}
    for c in (c for cells in by_metric.values() for c in cells.values()):
        shared[c.record.system] = shared.get(c.record.system) or c.same_as or c.record.video_of
    cascades = {s: base for s, base in shared.items() if base and "+" not in s and s not in CONTROLS}
    against = {s: c.against for cells in by_metric.values() for s, c in cells.items() if _guides(s, c.against)}
    return [
        " ".join(
            [
                _say_gain(system, excess),
                *_say_quality(system, quality),
                *_say_lack(system, [s for s, of in cascades.items() if of == base], excess),
            ]
        )
        for system, base in against.items()
        if any(system in cells for cells in excess.values())
    ]


def _guides(system: str, base: str) -> bool:
    """Whether a system is this pair with guidance; either name may be followed by options in parentheses."""
    pair, guided, _ = system.partition("+")
    return bool(guided) and pair == base.partition(" (")[0]


_Table = Mapping[str, Mapping[str, Cell]]  # cells by the metric's short name, then by system


def _say_gain(system: str, excess: _Table) -> str:
    cells = {name: column[system] for name, column in excess.items() if system in column}
    known = {name: cell for name, cell in cells.items() if cell.difference}
    if not known:
        return f"{system}: whether guidance helps cannot be said, for no excess has an interval."
    sure = [cell for cell in known.values() if is_significant(cell) and not cell.record.optimised_for]
    won = [_is_better(cell) for cell in sure]
    head = "guidance helps" if won and all(won) else "guidance harms" if won and not any(won) else "no sure gain"
    head = "guidance helps by one metric and harms by another" if any(won) and not all(won) else head
    told = []
    for name, cell in known.items():
        doubt = "" if is_significant(cell) else ", not sure"
        if chosen := cell.record.optimised_for:
            doubt = f", no evidence: chosen or guided by {chosen}"
        told.append(f"{name} {_by(cell)}{doubt}")
    return f"{system}: {head} against {next(iter(known.values())).against}: {'; '.join(told)}."


def _say_quality(system: str, quality: _Table) -> list[str]:
    """What became of the metrics that are none of pairing."""
    cells = {name: c for name, column in quality.items() if (c := column.get(system)) and c.difference}
    if not cells:
        return []
    sure = {name: cell for name, cell in cells.items() if is_significant(cell)}
    worse = [f"{name} {_by(cell)}" for name, cell in sure.items() if not _is_better(cell)]
    better = [f"{name} {_by(cell)}" for name, cell in sure.items() if _is_better(cell)]
    alike = [name for name in cells if name not in sure]
    told = {"worse by": worse, "better by": better, "not surely worse by": alike}
    parts = [f"{how} {', '.join(names)}" for how, names in told.items() if names]
    return [f"Quality: {'; '.join(parts)}."]


def _say_lack(system: str, cascades: Sequence[str], excess: _Table) -> list[str]:
    """How far the excesses are from those of the cascade and of real clips."""
    told = []
    for other in (*cascades, REAL):
        parts = [
            f"{name} {_distance(column[other], column[system])}"
            for name, column in excess.items()
            if other in column and system in column
        ]
        told += [f"to {other} {', '.join(parts)}"] if parts else []
    return [f"Distance {'; '.join(told)}."] if told else []


def _distance(first: Cell, second: Cell) -> str:
    """The second excess less the first, with an interval where both are of the same samples."""
    a, b = first.record, second.record
    d = subtract_excess(first.score, second.score) if first.score and second.score and _are_paired(a, b) else None
    if d is None:
        return "unknown" if a.value is None or b.value is None else signed(b.value - a.value, None)
    return f"{signed(d.value, d.stderr)} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}".strip()


def _are_paired(a: Record, b: Record) -> bool:
    return (a.dataset, a.seed, a.n_expected) == (b.dataset, b.seed, b.n_expected)


def _is_better(cell: Cell) -> bool:
    return cell.difference is not None and (cell.difference.value > 0) == cell.record.higher_is_better


def _by(cell: Cell) -> str:
    """A difference with its error and interval: "+0.12 ± 0.02 [+0.08, +0.16]"."""
    d = cell.difference
    assert d is not None
    return f"{signed(d.value, d.stderr)} {interval_text(d.low, d.high, d.stderr, sign=True) or ''}".strip()


def tell(cells: Mapping[str, Sequence[Cell]], names: Mapping[str, str]) -> list[str]:
    """A sentence per metric, sure things first: who is better by how much, with 95 % interval; what n the unsure need.

    Where a system, or the one it is compared with, was chosen or guided by the metric, another sentence says so.

    Args:
        cells: By metric.
        names: What each metric is called.
    """
    told = []
    for metric, column in cells.items():
        if compared := [cell for cell in column if cell.difference]:
            clauses = "; ".join(map(_clause, sorted(compared, key=lambda cell: not is_significant(cell))))
            caveats = dict.fromkeys(_caveat(cell, column) for cell in compared)
            told.append(f"{names[metric]}: {clauses}.{''.join(caveats)}")
    return told


def _clause(cell: Cell) -> str:
    d, r = cell.difference, cell.record
    assert d is not None
    if not is_significant(cell):
        needs = f", for which it would take n = {needed_text(cell.needs)}" if cell.needs else ""
        return f"no sure difference between {r.system} and {cell.against} ({_by(cell)}{needs})"
    low, high = (d.low, d.high) if d.value > 0 else (_minus(d.high), _minus(d.low))
    by = f"{with_error(abs(d.value), d.stderr)} {interval_text(low, high, d.stderr) or ''}".strip()
    word = "better" if _is_better(cell) else "worse"
    return f"{r.system} is {word} than {cell.against} by {by}"


def _minus(x: float | None) -> float | None:
    return None if x is None else -x


def _caveat(cell: Cell, column: Sequence[Cell]) -> str:
    """What follows a sentence where one of both systems was optimised for what it is judged by; else nothing."""
    both = cell.record.system, cell.against
    judged = [c.record for c in column if c.record.optimised_for and c.record.system in both and not c.same_as]
    told = dict.fromkeys(f"{r.system} was chosen or guided by {r.optimised_for}" for r in judged)
    return f" No independent evidence: {' and '.join(told)}." if told else ""

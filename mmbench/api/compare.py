"""Sets of clips beside each other: paired differences with intervals and corrected p-values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from mmbench.api.scores import Scores
from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.compare import compare as set_side_by_side
from mmbench.tables.compare import Cell, heading
from mmbench.tables.format import count_text, interval_text, signed, with_error
from mmbench.tables.marks import AT_FLOOR, OPTIMISED, explain_optimised, mark_of

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True, eq=False)
class Comparison:
    """Sets under every metric that two of them share; prints as a table. Made by `compare`.

    Attributes:
        notes: How samples paired, what was left out and why.
    """

    _columns: Sequence[Sequence[Cell]]
    notes: Sequence[str]

    def __repr__(self) -> str:
        cells = [cell for column in self._columns for cell in column]
        rows = [("", "", "value", "n", "Δ [95 %]"), *(_texts(cell, c) for c in self._columns for cell in c)]
        widths = [max(len(row[k]) for row in rows) for k in range(5)]
        lines = ["  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        lines.append("Δ: paired by sample; * better, † worse, p < 0.05 after Holm's correction.")
        if any(cell.same_as for cell in cells):
            lines.append("( ): the number of another set with the same videos or sounds; it has no difference.")
        own = [cell.record for cell in cells if not cell.same_as]
        lines += [explain_optimised(own)] if any(record.optimised_for for record in own) else []
        return "\n".join([*lines, *self.notes])

    def to_pandas(self) -> DataFrame:
        """A DataFrame with a row per metric and set: its value, and its difference to the set `against`.

        `difference` has `difference_stderr`, a 95 % interval `difference_low`, `difference_high`, a two-sided `p`, and
        `p_holm`, corrected over the whole table; NaN where samples do not pair. `won` is the share of pairs on which
        the set is better. `same_as` names the set whose number it is, where both have the same videos or sounds;
        `optimised_for` the metric that its samples were chosen or guided by, where that makes the value no evidence.
        """
        from pandas import DataFrame

        rows = [_row(cell) for column in self._columns for cell in column]
        return DataFrame(rows).set_index(["metric", "name"])


def compare(
    *sets: Scores | str | Path, baseline: str = "", metrics: Sequence[str] = (), out: str | Path = "runs"
) -> Comparison:
    """Set scores side by side: paired differences, 95 % intervals, Holm's correction; as `mmbench compare`.

    Samples pair by id, else by prompt.

    Args:
        *sets: Two or more: Scores, runs (folder, id, beginning of an id), or folders of clips that are on record.
        baseline: Name of the one that all are compared with; by default the first.
        metrics: Only these.
        out: Folder of runs.

    Raises:
        UsageError: Fewer than two sets, or something unknown.
        MMBenchError: No metric compares; says why.
    """
    if len(sets) < 2:
        raise UsageError(f"{len(sets)} set is no comparison.", "two or more", "mmbench.compare(scores, other_scores)")
    if wrong := [type(s).__name__ for s in sets if not isinstance(s, Scores | str | Path)]:
        raise UsageError(f"A {wrong[0]} cannot be compared.", "Scores, runs, or folders of clips", "mmbench.score(...)")
    with TemporaryDirectory() as folder:
        saved = {i: str(s.save(Path(folder) / str(i))) for i, s in enumerate(sets) if isinstance(s, Scores)}
        names = [saved.get(i, str(s)) for i, s in enumerate(sets)]
        try:
            found = set_side_by_side(names, Path(out), baseline, metrics)
        except MMBenchError as error:
            if folder not in str(error):
                raise
            what = error.found  # names a path that is gone by now, and a command on it
            for i, path in saved.items():
                what = what.replace(path, f"{sets[i].name!r}")  # type: ignore[union-attr]
            remedy = 'baseline="NAME"' if isinstance(error, UsageError) else "score all of them with the same metrics"
            raise type(error)(what, error.expected, remedy) from error
    arrays = len(saved) == len(sets)
    return Comparison(found.columns, [_say_in_python(note, arrays) for note in found.notes])


def _say_in_python(note: str, arrays: bool) -> str:
    """A note of the command line as a program understands it; `arrays` if no set is of files."""
    note = note.replace("paired by file name", "paired by id")
    found, _, remedy = note.partition(" try: ")
    if arrays and "no file name and no prompt" in found and remedy:
        return found.replace("no file name", "no id") + " try: ids=[...] or prompts=[...], the same in both"
    return note


def _row(cell: Cell) -> dict[str, Any]:
    record, d, nan = cell.record, cell.difference, float("nan")
    return {
        "metric": record.metric,
        "name": record.system,
        "value": nan if record.value is None else record.value,
        "stderr": nan if record.stderr is None else record.stderr,
        "n": record.n_scored,
        "same_as": cell.same_as,
        "optimised_for": record.optimised_for,
        "against": cell.against,
        "difference": nan if d is None else d.value,
        "difference_stderr": nan if d is None or d.stderr is None else d.stderr,
        "difference_low": nan if d is None or d.low is None else d.low,
        "difference_high": nan if d is None or d.high is None else d.high,
        "p": nan if d is None or d.p_value is None else d.p_value,
        "p_holm": nan if cell.p_adjusted is None else cell.p_adjusted,
        "pairs": 0 if d is None else d.n,
        "won": nan if cell.wins is None else cell.wins.share,
    }


def _texts(cell: Cell, column: Sequence[Cell]) -> tuple[str, ...]:
    record, records = cell.record, [other.record for other in column]
    value = with_error(record.value, record.stderr) or ""
    value = f"({value})" if value and cell.same_as else value + OPTIMISED * bool(record.optimised_for)
    d, difference = cell.difference, ""
    if d is not None:
        interval = interval_text(d.low, d.high, d.stderr, sign=True) or ""
        mark = mark_of(cell, records).replace(AT_FLOOR, "")
        difference = f"{signed(d.value, d.stderr)} {interval} {mark}".strip() + f" to {cell.against}"
    return heading(record), record.system, value, count_text(record), difference

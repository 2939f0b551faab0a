"""A table of systems as a suite prints it: its columns, then what differs from the paper or is missing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmbench.tables.known_suites import suite_named
from mmbench.tables.layout import Layout
from mmbench.tables.suites import Suite, SuiteColumn


@dataclass(frozen=True)
class SuiteTable:
    """How a suite shows a table of systems.

    Attributes:
        suite: What is shown, and in which order; other metrics follow.
        places: Where the runs are, to say how numbers that are not on record are made; () if all were asked for.
        skipped: Metrics that were left out on purpose, with or without their variants.
    """

    suite: Suite
    places: Sequence[Path] = ()
    skipped: Sequence[str] = ()

    def lay_out(self, layout: Layout) -> Layout:
        """The table with the columns of the suite, and notes on what they are."""
        title = f"Suite {self.suite.name}: {layout.title}" if layout.title else f"Suite {self.suite.name}"
        return replace(layout, suite=self.suite, title=title, notes=[*layout.notes, *self._notes(layout)])

    def _notes(self, layout: Layout) -> list[str]:
        suite = self.suite
        notes = [f"{suite.name}: {suite.reproduces}" + (f" ({suite.source})." if suite.source else ".")]
        unlike = [f"{column.printed} ({column.differs})" for column in suite.columns if column.differs]
        notes += [f"Not as in the paper: {'; '.join(unlike)}."] if unlike else []
        scaled = [c for c in suite.columns if c.factor != 1 and any(map(c.holds, layout.headings.values()))]
        factors = "; ".join(f"{c.printed} is {c.factor} times {c.metric}" for c in scaled)
        notes += [f"Factors stand in the heads of this table alone: {factors}."] if scaled else []
        absent = [column for column in suite.columns if not any(map(column.holds, layout.headings.values()))]
        left_out = [column for column in absent if self._is_skipped(column)]
        notes += [f"Left out by --skip: {_names(left_out)}."] if left_out else []
        return notes + self._say_what_lacks(layout)

    def _is_skipped(self, column: SuiteColumn) -> bool:
        return column.metric in self.skipped or column.metric.partition(".")[0] in self.skipped

    def _say_what_lacks(self, layout: Layout) -> list[str]:
        """A line with the metrics that runs lack and the command that computes them; none where all are there."""
        wanted = [column for column in self.suite.columns if not self._is_skipped(column)]
        known: dict[str, set[str]] = {}
        for record in (record for row in layout.table for cell in row.cells for record in cell.records):
            known.setdefault(record.run_id, set()).add(record.metric)
        lacks = {run: [c for c in wanted if not any(map(c.holds, metrics))] for run, metrics in known.items()}
        lacks = {run: columns for run, columns in lacks.items() if columns}
        if not lacks or not self.places:
            return []
        names = _names([column for column in wanted if any(column in columns for columns in lacks.values())])
        homes = {run: place for run in lacks for place in self.places if (place / run).is_dir()}
        if not homes:
            return [f"- not on record: {names}. A packed file has no clips to score."]
        elsewhere = set(homes.values()) - {Path("runs")}
        where = ["--out", str(*elsewhere)] if len(set(homes.values())) == len(elsewhere) == 1 else []
        runs = [str(place / run) if elsewhere and not where else run for run, place in homes.items()]
        command = shlex.join(["mmbench", "evaluate", *runs, "--suite", self.suite.name, *where])
        return [f"- not on record: {names}. try: {command}"]


def _names(columns: Sequence[SuiteColumn]) -> str:
    return ", ".join(column.printed or column.metric for column in columns)


def suite_table(name: str, places: Sequence[Path] = (), skipped: Sequence[str] = ()) -> SuiteTable | None:
    """How the suite called `name` shows a table; None for "". Other arguments as of `SuiteTable`."""
    return SuiteTable(suite_named(name), places, skipped) if name else None

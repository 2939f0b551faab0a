"""Suites: the metrics that a paper's table prints, in its order, under its names and multiplied as it multiplies them.

A suite says how numbers are shown. Records keep the metric's own number, whatever suite it was asked for with.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from mmbench.tables.excess import EXCESS, is_excess, scored_name


@dataclass(frozen=True)
class SuiteColumn:
    """One column of a suite.

    Attributes:
        metric: name.variant.
        printed: What the paper calls it; "" for the metric's own name.
        arrow: The direction that is good.
        factor: What the metric's number is multiplied by in the paper.
        unit: Of the number as printed; "" for none.
        differs: How the metric's definition differs from the paper's; "" if it does not.
    """

    metric: str
    printed: str
    arrow: str
    factor: int = 1
    unit: str = ""
    differs: str = ""

    @property
    def title(self) -> str:
        """What stands above it: "IB-score ×100 ↑", "DeSync [s] ↓"."""
        unit = f" [{self.unit}]" if self.unit else ""
        return f"{self.printed or self.metric}{unit}{factor_text(self.factor)} {self.arrow}".strip()

    def holds(self, metric: str) -> bool:
        """Whether this is the column of `metric`, which is name.variant."""
        return self.metric in (metric, metric.partition(".")[0])

    def holds_excess(self, metric: str) -> bool:
        """Whether `metric` is the excess of this column's, which stands before it."""
        return is_excess(metric) and self.holds(scored_name(metric))

    @property
    def of_excess(self) -> SuiteColumn:
        """The column of its excess, under the paper's name and multiplied as the value is."""
        return replace(self, printed=self.printed and self.printed + EXCESS)


@dataclass(frozen=True)
class Suite:
    """The metrics of a table.

    Attributes:
        name: What it is called by.
        reproduces: The table.
        source: Where its columns and their order are from; "" for none.
        columns: In the table's order.
    """

    name: str
    reproduces: str
    source: str
    columns: tuple[SuiteColumn, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Its metrics, in order."""
        return tuple(column.metric for column in self.columns)

    def place(self, metric: str) -> int:
        """The place of the column of a metric or of its excess; that after the last for one which has none."""
        name = scored_name(metric)
        return next((k for k, column in enumerate(self.columns) if column.holds(name)), len(self.columns))


def factor_text(factor: int) -> str:
    """A factor as it stands above a column: " ×100", " ×10⁴"; "" for 1."""
    if factor == 1:
        return ""
    zeros = len(str(factor)) - 1
    power = f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[zeros]}" if zeros > 3 and factor == 10**zeros else str(factor)
    return f" ×{power}"

"""Suites: the metrics that a paper's table prints, in its order, under its names and multiplied as it multiplies them.

A suite says how numbers are shown. Records keep the metric's own number, whatever suite it was asked for with.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from mmbench.errors import UsageError
from mmbench.registry import discover, full_metric_name

ALL = "all"
BETTER = {True: "↑", False: "↓", None: ""}


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
        """The place of a metric's column; that after the last for a metric which has none."""
        return next((k for k, column in enumerate(self.columns) if column.holds(metric)), len(self.columns))


def factor_text(factor: int) -> str:
    """A factor as it stands above a column: " ×100", " ×10⁴"; "" for 1."""
    if factor == 1:
        return ""
    zeros = len(str(factor)) - 1
    power = f"10{'⁰¹²³⁴⁵⁶⁷⁸⁹'[zeros]}" if zeros > 3 and factor == 10**zeros else str(factor)
    return f" ×{power}"


PAPER = (
    SuiteColumn("fvd.stylegan_v_16f", "FVD", "↓"),
    SuiteColumn("ib_tv.official", "IB-TV", "↑"),
    SuiteColumn("fad.audioldm_eval", "FAD", "↓"),
    SuiteColumn("ib_ta.official", "IB-TA", "↑"),
    SuiteColumn("ib_av.official", "IB-AV", "↑"),
    SuiteColumn("av_align.mmdisco_96ms", "AV-Align", "↑"),
)
V2A = (
    SuiteColumn("fd_passt.avbench_8s", "FD_PaSST", "↓"),
    SuiteColumn("fd_pann.avbench_8s", "FD_PANNs", "↓"),
    SuiteColumn(
        "fad.audioldm_eval", "FD_VGG", "↓", differs="the first channel of the whole sound, not all channels of 8 s"
    ),
    SuiteColumn("kl_pann.avbench_8s", "KL_PANNs", "↓"),
    SuiteColumn("kl_passt.avbench_8s", "KL_PaSST", "↓"),
    SuiteColumn("is_pann.avbench_8s", "IS", "↑"),
    SuiteColumn("ib_score.avbench", "IB-score", "↑", factor=100),
    SuiteColumn("desync.avbench_8s", "DeSync", "↓", unit="s"),
)
JAVISBENCH = (
    SuiteColumn("fvd.stylegan_v_16f", "FVD", "↓", differs="the first 16 frames, not frames from all of the clip"),
    SuiteColumn("fad.audioldm_eval", "FAD", "↓", differs="VGGish, not AudioCLIP: another number altogether"),
    SuiteColumn("ib_tv.official", "TV-IB", "↑"),
    SuiteColumn("ib_ta.official", "TA-IB", "↑"),
    SuiteColumn("clip_sim.javisbench_bgr", "CLIP", "↑"),
    SuiteColumn("clap.javisbench", "CLAP", "↑"),
    SuiteColumn("ib_av.official", "AV-IB", "↑"),
    SuiteColumn("avh_score.javisbench", "AVHScore", "↑"),
    SuiteColumn("javis_score.javisbench", "JavisScore", "↑"),
    SuiteColumn("desync.javisbench_4s_loop", "DeSync", "↓", unit="s"),
)
SUITES = {
    suite.name: suite
    for suite in (
        Suite("paper", "MMDisCo, Tables 3, 4 and 13", "arXiv 2405.17842", PAPER),
        Suite("v2a", "MMAudio, Table 1", "arXiv 2412.15322; hkchengrex/av-benchmark@050a5cd:av_bench/evaluate.py", V2A),
        Suite(
            "javisbench",
            "JavisBench, its metrics in the order of its guide",
            "arXiv 2503.23377; JavisVerse/JavisDiT@515d4f6:eval/javisbench/README.md",
            JAVISBENCH,
        ),
    )
}


def suite_named(name: str) -> Suite:
    """The suite called `name`; "all" is every metric there is in its default variant but the miniatures of `bounce`.

    Raises:
        UsageError: No such suite; names the near ones.
    """
    if name == ALL:
        entries = {key: entry for key, entry in discover("metric")[0].items() if "_bounce" not in key}
        columns = tuple(
            SuiteColumn(full_metric_name(key), "", BETTER[getattr(entry.factory, "higher_is_better", None)])
            for key, entry in entries.items()
        )
        return Suite(ALL, "every metric in its default variant, those on bounce's own networks left out", "", columns)
    if name not in SUITES:
        known = [*SUITES, ALL]
        near = difflib.get_close_matches(name, known, n=2, cutoff=0.4)
        expected = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(known)}"
        raise UsageError(f"Unknown suite {name!r}.", expected, f"mmbench table --suite {(near or known)[0]}")
    return SUITES[name]

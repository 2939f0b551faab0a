"""The suites there are: which metric, in which variant, stands for which column of which paper's table."""

from __future__ import annotations

import difflib

from mmbench.errors import UsageError
from mmbench.registry import discover, full_metric_name
from mmbench.tables.suites import Suite, SuiteColumn

ALL = "all"
BETTER = {True: "↑", False: "↓", None: ""}

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
        raise UsageError(f"Unknown suite {name!r}.", expected, f"mmbench run --suite {(near or known)[0]} --dry-run")
    return SUITES[name]

"""A job's suite: its metrics with those asked for by name, and what cannot score the clips refused in one message."""

from __future__ import annotations

import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import UsageError
from mmbench.jobs.generate import preview_plan
from mmbench.jobs.given_clips import GivenClips, clips_of_dataset, clips_of_samples
from mmbench.jobs.opening import make_metrics, metric_names
from mmbench.jobs.settings import Settings
from mmbench.jobs.submissions import WHOLE, Cut, open_submission
from mmbench.media.clip_files import write_lossless
from mmbench.registry import make_dataset
from mmbench.tables.known_suites import SUITES
from mmbench.tables.suites import Suite, SuiteColumn
from mmbench.types import full_name
from tests.builders import clip
from tests.commands import mmbench_here

V = "bounce_v1"
COLUMNS = (
    SuiteColumn(f"ib_bounce_tv.{V}", "IB-TV", "↑", factor=100),
    SuiteColumn("desync.avbench_8s", "DeSync", "↓", unit="s"),
    SuiteColumn(f"ib_bounce_av.{V}", "IB-AV", "↑"),
    SuiteColumn(f"fad_bounce.{V}", "FAD", "↓"),
)


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suite of small networks, with a metric that needs prompts, one that needs length, one that needs real clips."""
    monkeypatch.setitem(SUITES, "tried", Suite("tried", "Table 9", "arXiv 0", COLUMNS))
    lost = SuiteColumn("long_lost.v", "Lost", "↑")
    monkeypatch.setitem(SUITES, "lacking", Suite("lacking", "Table 8", "arXiv 0", (lost, *COLUMNS)))


def names(**given: Any) -> list[str]:
    """Metrics of a job of these settings."""
    return list(metric_names(Settings(**given), None))


def test_suite_and_metrics_add_up_and_what_is_asked_for_twice_counts_once() -> None:
    of_suite = [column.metric for column in COLUMNS]
    assert names(suite="tried") == of_suite
    assert names(suite="tried", metrics=("desync", "av_align.matched")) == [*of_suite, "av_align.matched"]
    assert names(metrics=("av_align", "av_align.mmdisco_96ms")) == ["av_align"]


def test_metrics_are_skipped_by_either_name_and_a_wrong_name_is_refused() -> None:
    assert names(suite="tried", skip=("desync", f"fad_bounce.{V}")) == [COLUMNS[0].metric, COLUMNS[2].metric]
    with pytest.raises(UsageError, match="--skip desink: it is not asked for"):
        names(suite="tried", skip=("desink",))
    with pytest.raises(UsageError, match="leaves no metric"):
        names(metrics=("av_align",), skip=("av_align",))


def test_metrics_that_are_not_installed_are_named_with_the_command_without_them() -> None:
    with pytest.raises(UsageError, match=r"are not installed: long_lost\.v\.") as error:
        names(suite="lacking", command=("mmbench", "run", "--suite", "lacking"))
    assert error.value.next == "mmbench run --suite lacking --skip long_lost.v"
    assert names(suite="lacking", skip=("long_lost.v",)) == names(suite="tried")


def test_all_that_cannot_score_the_clips_is_refused_in_one_message() -> None:
    settings = Settings(suite="tried", weights="random", command=("mmbench", "evaluate", "x"))
    with pytest.raises(UsageError, match="3 of 4 metrics of the suite tried cannot be computed") as error:
        make_metrics(settings, None, [GivenClips("x", 2.0, False)])
    assert "\n  ib_bounce_tv" in error.value.found
    assert "desync.avbench_8s needs clips of 4.8 s; those of x have 2 s." in error.value.found
    assert "fad_bounce compares with real clips." in error.value.found
    skips = [f"ib_bounce_tv.{V}", "desync.avbench_8s", f"fad_bounce.{V}"]
    assert shlex.split(error.value.next) == ["mmbench", "evaluate", "x", *(w for m in skips for w in ("--skip", m))]
    made = make_metrics(Settings(suite="tried", skip=tuple(skips)), None, [GivenClips("x", 2.0, False)])
    assert [full_name(metric) for metric in made] == [f"ib_bounce_av.{V}"]
    dataset = make_dataset("bounce?seconds=8")
    assert len(make_metrics(settings, dataset, [GivenClips("x", 8.0, True)])) == 4


def test_a_dry_run_refuses_what_the_run_would(tmp_path: Path) -> None:
    settings = Settings(systems=("ground_truth",), num_samples=2, out=tmp_path, suite="tried", quiet=True)
    with pytest.raises(UsageError, match="1 of 4 metrics of the suite tried cannot be computed"):
        preview_plan(settings, scored=True)
    (row,) = preview_plan(replace(settings, skip=("desync",)), scored=True)
    assert row["metrics"] == ", ".join(c.metric for c in COLUMNS if not c.metric.startswith("desync"))
    with pytest.raises(UsageError, match=r"desync\.avbench_8s needs clips of 4\.8 s"):
        preview_plan(replace(settings, suite="", metrics=("desync",)), scored=True)


def test_clips_are_known_by_their_descriptions(tmp_path: Path) -> None:
    for i, frames in enumerate((8, 24)):
        write_lossless(clip(i, frames=frames, size=16, samples=2000 * frames), tmp_path / f"{i}.mkv")
    samples = open_submission(tmp_path, "mine", WHOLE).samples
    assert clips_of_samples("mine", samples) == GivenClips("mine", 3.0, False)
    with (tmp_path / "prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "prompt"), ("0.mkv", "a ball")])
    cut = open_submission(tmp_path / "1.mkv", "mine", Cut(12)).samples
    assert clips_of_samples("mine", cut) == GivenClips("mine", 1.5, False)
    assert clips_of_samples("mine", open_submission(tmp_path, "mine", WHOLE).samples).has_prompts
    assert clips_of_dataset(make_dataset("bounce?seconds=8"), 2, 0) == GivenClips("bounce", 8.0, True)


@pytest.mark.e2e
def test_a_suite_from_its_refusal_to_its_tables(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    pair = ["-s", "ground_truth", "-s", "independent", "-n", "3"]
    refused = mmbench_here(capsys, "run", *pair, "--suite", "tried", "-m", "ib_bounce_ta")
    assert refused.returncode == 2
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").glob("*/samples"))
    typed = shlex.split(refused.stderr.partition("try: mmbench ")[2].splitlines()[0])
    done = mmbench_here(capsys, *typed)
    assert done.returncode == 0, done.stderr
    header = next(line for line in done.stdout.splitlines() if "system" in line)
    places = [header.index(title) for title in ("IB-TV ×100 ↑", "DeSync [s] ↓", "IB-AV ↑", "FAD ↓", "ib_bounce_ta ↑")]
    assert places == sorted(places)
    assert "Left out by --skip: DeSync." in done.stdout
    shown = mmbench_here(capsys, "table", "--suite", "tried")
    assert "- not on record: DeSync. try: mmbench evaluate ground_truth-" in shown.stdout
    assert "ib_bounce_ta" not in shown.stdout
    rows = json.loads(mmbench_here(capsys, "table", "--suite", "tried", "-f", "json").stdout)
    value = next(row for row in rows if row["system"] == "ground_truth")[f"ib_bounce_tv.{V} ↑"]
    assert -1 <= value <= 1
    (line,) = [line for line in shown.stdout.splitlines() if line.startswith("ground_truth")]
    assert float(line.split()[1]) == pytest.approx(100 * value, rel=0.05)
    again = shlex.split(shown.stdout.partition("try: mmbench ")[2].splitlines()[0])
    told = mmbench_here(capsys, *again)
    assert "desync.avbench_8s needs clips of 4.8 s" in told.stderr
    last = shlex.split(told.stderr.partition("try: mmbench ")[2].splitlines()[0])
    assert mmbench_here(capsys, *last).returncode == 0
    compared = mmbench_here(capsys, "compare", "ground_truth", "independent", "--suite", "tried")
    assert "IB-TV ×100 ↑" in compared.stdout
    assert mmbench_here(capsys, "table", "--paper", "2", "--suite", "v2a").returncode == 2

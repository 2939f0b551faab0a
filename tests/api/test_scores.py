"""`Scores` and `compare`: what a program gets is what is on record, and the comparison that of the command line."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mmbench as mm
from mmbench.errors import MMBenchError, UsageError
from mmbench.scores.records import read_records, read_samples
from tests.api.material import bounce_clips
from tests.commands import mmbench_here

METRICS = ("fvd_bounce", "ib_bounce_av")


@pytest.fixture(scope="module")
def scores() -> mm.Scores:
    return mm.score(bounce_clips(6), metrics=METRICS, reference=bounce_clips(6, seed=2), name="mine")


@pytest.fixture(scope="module")
def shifted() -> mm.Scores:
    clips = bounce_clips(6)
    rolled = [*clips.audios[1:], clips.audios[0]]
    return mm.score(clips.videos, rolled, 8, 16000, ids=clips.ids, metrics=METRICS, reference=bounce_clips(6, seed=2))


def test_scores_are_a_mapping_and_a_table(scores: mm.Scores) -> None:
    assert list(scores) == list(METRICS)
    agreement = scores["ib_bounce_av"]
    assert (agreement.metric, agreement.n, agreement.higher_is_better) == ("ib_bounce_av.bounce_v1", 6, True)
    assert agreement.per_sample is not None
    assert float(agreement) == agreement.value == pytest.approx(agreement.per_sample.mean())
    assert agreement.low is not None
    assert agreement.high is not None
    assert agreement.low < agreement.value < agreement.high
    assert agreement.baseline is not None
    assert scores["fvd_bounce"].per_sample is None
    assert "kvd" in scores["fvd_bounce"].details
    text = repr(scores).splitlines()
    assert text[0] == "mine, 6 clips"
    assert text[2].startswith("fvd_bounce.bounce_v1 ↓")
    assert "Real clips: 6 of given clips." in repr(scores)


def test_frames_hold_every_number(scores: mm.Scores) -> None:
    frame = scores.to_pandas()
    assert frame.index.tolist() == list(METRICS)
    assert frame.loc["fvd_bounce", "value"] == scores["fvd_bounce"].value
    assert math.isnan(frame.loc["fvd_bounce", "baseline"])
    assert frame["n"].tolist() == [6, 6]
    each = scores.per_sample()
    assert each.index.tolist() == bounce_clips(6).ids
    assert each.columns.tolist() == ["prompt", "ib_bounce_av"]
    assert each["ib_bounce_av"].mean() == pytest.approx(scores["ib_bounce_av"].value)


def test_saved_scores_are_runs_of_the_command_line(
    scores: mm.Scores, shifted: mm.Scores, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = scores.save(tmp_path)
    assert scores.save(tmp_path) == folder, "the same scores again"
    saved = {r.metric: r.value for r in read_records(folder)}
    assert saved == {s.metric: s.value for s in scores.values()}
    other = shifted.save(tmp_path)
    shown = mmbench_here(capsys, "compare", folder.name, other.name, "--out", tmp_path, "--format", "json")
    assert shown.returncode == 0, shown.stderr
    rows = {(r["record"]["metric"], r["system"]): r["difference"] for r in json.loads(shown.stdout)}
    for found in (
        mm.compare(scores, shifted),
        mm.compare(folder.name, shifted, out=tmp_path),
        mm.compare(folder, other, out=tmp_path / "elsewhere"),
    ):
        frame = found.to_pandas()
        assert set(frame.index) == set(rows)
        for key, difference in rows.items():
            if difference is None:
                assert math.isnan(frame.loc[key, "difference"])
                continue
            named = {
                "difference": "value",
                "difference_low": "low",
                "difference_high": "high",
                "p": "p",
                "p_holm": "p_holm",
            }
            for column, name in named.items():
                assert frame.loc[key, column] == pytest.approx(difference[name], rel=1e-12)
    again = mmbench_here(capsys, "evaluate", folder, "--out", tmp_path)
    assert again.returncode == 1
    assert "holds records of a submission, no samples" in again.stderr
    assert mmbench_here(capsys, "show", folder).returncode == 0


def test_a_comparison_says_what_was_optimised_for(scores: mm.Scores, shifted: mm.Scores) -> None:
    found = mm.compare(scores, shifted, metrics=("ib_bounce_av",))
    _, (mine, other) = found._columns
    assert "‡" not in repr(found)
    assert found.to_pandas().optimised_for.tolist() == ["", "", "", ""]
    chosen = replace(mine, record=replace(mine.record, optimised_for="ib_bounce_av.bounce_v1"))
    judged = replace(found, _columns=[[chosen, other]])
    value, difference, *below = repr(judged).splitlines()[1:]
    assert "‡" in value
    assert "†‡ to mine" in difference, "worse than a set that was chosen by the metric"
    assert any(line.startswith("‡ no independent evidence") for line in below)
    assert judged.to_pandas().optimised_for.tolist() == ["ib_bounce_av.bounce_v1", ""]


def test_a_comparison_says_how_samples_paired(scores: mm.Scores, shifted: mm.Scores) -> None:
    found = mm.compare(scores, shifted, metrics=("ib_bounce_av",))
    assert "samples to mine: paired by id, 6 of 6." in found.notes
    assert "† to mine" in repr(found)
    both = repr(mm.compare(scores, shifted))
    assert "~" not in both
    assert "( ): the number of another set" in both
    row = found.to_pandas().loc["ib_bounce_av.bounce_v1", "samples"]
    assert (row.pairs, row.against) == (6, "mine")
    want = shifted["ib_bounce_av"].value - scores["ib_bounce_av"].value
    assert row.difference == pytest.approx(want)
    assert row.difference_low < want < row.difference_high
    both = mm.compare(scores, shifted)  # of the same videos
    assert both.to_pandas().same_as.to_dict() == {
        (f"{metric}.bounce_v1", name): "mine" if (metric, name) == ("fvd_bounce", "samples") else ""
        for metric in (*METRICS, "ib_bounce_av excess")
        for name in ("mine", "samples")
    }
    assert "samples  (" in repr(both)
    strangers = mm.score(bounce_clips(2), metrics="av_align", prompts=["", ""], ids=["x", "y"])
    others = mm.score(bounce_clips(2), metrics="av_align", prompts=["", ""], ids=["v", "w"], name="others")
    assert "share no id and no prompt. try: ids=[...] or prompts=[...]" in mm.compare(strangers, others).notes[-1]
    turned = mm.compare(scores, shifted, baseline="samples").to_pandas()
    assert turned.loc["ib_bounce_av.bounce_v1", "mine"].difference == pytest.approx(-want)


def test_what_does_not_compare_is_refused_without_a_path_that_is_gone(scores: mm.Scores, shifted: mm.Scores) -> None:
    with pytest.raises(UsageError, match="1 set is no comparison"):
        mm.compare(scores)
    flat = mm.score([np.zeros((3, 8, 8, 3), np.uint8)] * 3, np.zeros((3, 99)), 8, 16000, metrics="ib_bounce_ta")
    with pytest.raises(MMBenchError, match="No metric compares") as error:
        mm.compare(scores, flat)
    assert "/" not in error.value.next
    with pytest.raises(MMBenchError, match="'mine' has no such record"):
        mm.compare(scores, shifted, metrics=("av_align",))
    with pytest.raises(UsageError, match="None of what is compared is called 'yours'") as error:
        mm.compare(scores, shifted, baseline="yours")
    assert error.value.next == 'baseline="NAME"'


def test_reasons_of_clips_without_a_value_are_printed_once_for_all_metrics() -> None:
    still = np.zeros((2, 1, 8, 8, 3), np.uint8)
    one = mm.score(still, np.zeros((2, 99)), 8, 16000, metrics=("av_align", "av_align.matched"))
    line = "2 unscored by av_align.mmdisco_96ms, av_align.matched: A single frame shows no motion."
    assert [note for note in one.notes if "unscored" in note] == [line]
    assert "nan" not in repr(one)
    few = mm.score(bounce_clips(6), metrics="fvd_bounce", reference=bounce_clips(6)[:1])
    assert set(few["fvd_bounce"].unscored.values()) == {"too few real clips: 1"}


def test_prompts_with_any_line_break_come_back_from_disk(tmp_path: Path) -> None:
    odd = ["one\u2028two", "one\x85two", "one\x0ctwo", "one\ntwo\r", "🎾", ""]
    clips, names = bounce_clips(6), (list("abcdef"), list("ghijkl"))
    one, other = (mm.score(mm.Clips(clips.clips, odd, ids), metrics="av_align") for ids in names)
    assert "paired by prompt and index, 5 of 6" in repr(mm.compare(one, other))  # one clip has no prompt
    folder = one.save(tmp_path)
    (record,) = read_records(folder)
    assert [row["text"] for row in read_samples(folder, record)] == odd

"""What a report gathers: sets with and without records, all samples for the numbers, the first ones to look at."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.report.data import describe
from mmbench.report.material import gather
from mmbench.report.write import render_report
from tests.commands import mmbench_here
from tests.report.synthetic import DISTANCE, write_runs


def write_mixed(out: Path) -> None:
    """Two scored runs, and two of the same samples that are not, between them by name."""
    write_runs(out, 2, 8)
    write_runs(out / "more", 4, 8, scored=False)
    for folder in (out / "more").glob("system_[23]*"):
        folder.rename(out / folder.name)


def test_what_is_not_scored_is_shown_and_says_how_to_score_it(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    write_mixed(out)
    material = gather([], out, None)
    assert material.names == ["ground_truth", "system_1", "system_2", "system_3"]
    assert all(i is not None for row in material.rows for i in row), "clips of all stand side by side"
    assert set(material.unscored) == {"system_2", "system_3"}
    run = next(out.glob("system_2*")).name
    assert material.unscored["system_2"] == shlex.join(["mmbench", "evaluate", run, "--out", str(out)])
    report = describe(material)
    assert [system["score"] for system in report["systems"]] == ["", "", *material.unscored.values()]
    assert len(report["verdicts"]) == 3, "what is scored is compared"
    page = render_report(report, ["mmbench report"])
    assert page.count("not scored") == 4, "at the top and in the table"
    assert "Nothing is compared" not in page


def test_nothing_scored_is_a_page_to_look_at(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "runs"
    write_runs(out, 2, 2, scored=False)
    done = mmbench_here(capsys, "report", "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("is not scored. try: mmbench evaluate ") == 2
    page = (out / "report" / "index.html").read_text()
    assert "Nothing is compared: nothing is scored." in page
    assert "<svg" not in page.split('id="scatter"')[0], "no plot of nothing"


def test_numbers_that_one_set_alone_has_are_there(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    for run, gone in zip(write_runs(out, 2, 8), ("fvd", "a"), strict=True):
        records = run / "records.jsonl"
        lines = [line for line in records.read_text().splitlines() if f'"metric": "{gone}' not in line]
        records.write_text("".join(f"{line}\n" for line in lines if '"metric": "ib' not in line))
    material = gather([], out, None)
    report = describe(material)
    shown = {m["short"]: [bool(number) for number in m["numbers"]] for m in report["metrics"]}
    assert shown == {"av_align excess": [True, False], "av_align": [True, False], "fvd": [False, True]}
    assert f"{DISTANCE} is not scored for ground_truth." in report["notes"]
    assert report["verdicts"] == []
    assert "Nothing is compared: no metric of two sets, or samples that do not pair." in render_report(
        report, ["mmbench"]
    )


def test_clips_that_were_not_evaluated_are_shown(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    scored = write_runs(out, 1, 4)[0]
    clips = tmp_path / "my clips"
    clips.mkdir()
    for file in (scored / "samples").glob("*.mkv"):
        (clips / file.name).write_bytes(file.read_bytes())
    material = gather([scored.name, str(clips)], out, None)
    assert len(material.rows) == 4
    assert material.rows[0][0] is not None
    assert list(material.unscored.values()) == [shlex.join(["mmbench", "evaluate", str(clips), "--out", str(out)])]


def test_the_first_samples_are_shown_and_all_are_in_the_plots(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    write_runs(out, 2, 8)
    material = gather([], out, 3)
    assert (len(material.rows), len(material.sources)) == (3, 3)
    assert {values.shape for values in material.scores.values()} == {(8, 2)}
    assert material.notice == "Of 8 samples the first 3 are shown; numbers and plots are of all."
    assert material.notice in render_report(describe(material), ["mmbench report"])
    (histogram,) = [m["histogram"] for m in describe(material)["metrics"] if m["short"] == "av_align"]
    assert [sum(counts) for counts in histogram.counts] == [8, 8]
    assert gather([], out, 8).notice == gather([], out, None).notice == ""


def test_metrics_that_nobody_has_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    runs = write_runs(out, 2, 8)
    assert list(gather([], out, None, ["fvd"]).cells) == [DISTANCE]
    with pytest.raises(MMBenchError, match="desync is not scored") as error:
        gather([], out, None, ["desync"])
    names = " ".join(run.name for run in sorted(runs))
    assert error.value.next == f"mmbench evaluate {names} --metric desync --out {out}"


def test_runs_that_do_not_pair_say_what_does(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    write_runs(out, 1, 2)
    write_runs(out, 1, 2, seed=1)
    with pytest.raises(UsageError, match="do not pair") as error:
        gather([], out, None)
    words = shlex.split(error.value.next)
    assert words[:2] == ["mmbench", "report"]
    assert len(gather(words[2:-2], Path(words[-1]), None).names) == 1


def test_seconds_and_numbers_stand_beside_each_other(tmp_path: Path) -> None:
    out = tmp_path / "runs"
    (truth, _, untimed) = write_runs(out, 3, 8)
    (untimed / "resources.jsonl").unlink()
    material = gather([], out, None)
    assert material.seconds == {"system_1": 2.0}
    report = describe(material)
    assert report["untimed"] == ["system_2"]
    for metric in report["metrics"]:
        assert [k for k, _ in metric["cost"].rows] == [0, 1]
    page = render_report(report, ["mmbench report"])
    assert "No seconds on record: system_2." in page
    assert truth.name in page, "its records' dialogs"


def test_the_excess_over_chance_stands_before_the_number(tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", 2, 64)
    material = gather([], tmp_path / "runs", None)
    metrics = describe(material)["metrics"]
    at = [m["short"] for m in metrics].index("av_align")
    excess, metric = metrics[at - 1 : at + 1]
    record = material.cells[metric["name"]][1].record
    assert record.value is not None
    assert record.baseline is not None
    assert excess["short"] == "av_align excess"
    assert excess["numbers"][1]["value"] == pytest.approx(record.value - record.baseline)
    page = render_report(describe(material), ["mmbench report"])
    assert page.index("av_align excess ↑") < page.index("av_align ↑")
    assert f'<dialog id="{record.metric}@{record.run_id}"' in page, "an address that stays"
    assert f'<dialog id="{excess["name"].replace(" ", "-")}@{record.run_id}"' in page

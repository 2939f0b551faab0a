"""The command beside a number, typed as it stands there, gives the same number."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from mmbench.report.data import describe
from mmbench.report.material import gather
from mmbench.scores.records import read_records
from tests.commands import mmbench_here
from tests.report.test_report import write_model


def test_of_a_run_elsewhere_and_of_another_seed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "some runs"
    metrics = ("-m", "fvd_bounce", "-m", "av_align")
    options = ("-s", "ground_truth", "-n", "4", "--seed", "3", "--out", out)
    done = mmbench_here(capsys, "run", *options, *metrics)
    assert done.returncode == 0, done.stderr
    (run,) = out.glob("ground_truth*")
    before = {r.metric: r for r in read_records(run)}
    shown = [metric["numbers"][0]["record"]["again"] for metric in describe(gather([], out, None))["metrics"]]
    assert len(shown) == len(set(shown)) + 1 == 3, "an excess is of the metric before whose value it stands"
    for command in map(shlex.split, dict.fromkeys(shown)):
        assert command[0] == "mmbench"
        done = mmbench_here(capsys, *command[1:])
        assert done.returncode == 0, done.stderr
    after = {r.metric: r for r in read_records(run)}
    assert set(after) == set(before)
    for metric, record in after.items():
        assert record.time >= before[metric].time
        assert (record.value, record.stderr, record.baseline) == (
            before[metric].value,
            before[metric].stderr,
            before[metric].baseline,
        )
    lines = (run / "records.jsonl").read_text().splitlines()
    assert len(lines) == 4, "each was scored once more"


def test_of_clips_is_what_scored_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, clips = tmp_path / "runs", tmp_path / "my clips"
    write_model(clips, ["a", "b"], 0)
    typed = ("evaluate", clips, "-m", "av_align", "--name", "mine", "--out", out)
    assert mmbench_here(capsys, *typed).returncode == 0
    excess, metric = describe(gather([str(clips)], out, None))["metrics"]
    command = metric["numbers"][0]["record"]["again"]
    assert excess["numbers"][0]["record"]["again"] == command
    assert command == shlex.join(["mmbench", *map(str, typed)])
    assert mmbench_here(capsys, *shlex.split(command)[1:]).returncode == 0


def test_of_what_is_not_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "some runs"
    done = mmbench_here(capsys, "generate", "-s", "ground_truth", "-n", "4", "--out", out)
    assert done.returncode == 0, done.stderr
    (command,) = gather([], out, None).unscored.values()
    assert mmbench_here(capsys, *shlex.split(command)[1:]).returncode == 0
    scored = gather([], out, None)
    assert not scored.unscored
    assert "av_align.mmdisco_96ms" in scored.cells

"""True times of events on a page: of real clips and of what shares a half with them, and of nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmbench.baselines.ground_truth import STREAM
from mmbench.media.clip_files import read_lossless
from mmbench.pictures.truth import UNKNOWN, Look, find_truth
from mmbench.registry import make_dataset
from mmbench.report.material import gather
from mmbench.report.write import write_report
from mmbench.runs.spec import make_requests
from tests.commands import mmbench

NUM = 3


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scored runs of real clips and of real videos with another sound."""
    out: Path = tmp_path_factory.mktemp("runs")
    done = mmbench("run", "-s", "ground_truth", "-s", "independent", "-m", "av_align", "-n", str(NUM), "--out", out)
    assert done.returncode == 0, done.stderr
    return out


def impacts() -> list[list[float]]:
    """Impact times of the real clips, as the world of bounce computes them."""
    dataset = make_dataset("bounce")
    items = [dataset.real(request, STREAM) for request in make_requests(dataset, NUM, 0)]
    return [[round(float(t), 3) for t in item.truth["impact_times"]] for item in items]


def test_impacts_stand_beside_what_is_real_of_a_clip(runs: Path) -> None:
    material = gather((), runs, None)
    write_report(material, runs / "report", ["mmbench report"])
    text = (runs / "report" / "samples.js").read_text()
    data: dict[str, Any] = json.loads(text.removeprefix("const REPORT = ").removesuffix(";\n"))
    real, apart = (data["systems"].index(name) for name in ("ground_truth", "independent"))
    for row, times in zip(data["rows"], impacts(), strict=True):
        assert row["clips"][real]["truth"] == {"video": times, "audio": times}
        assert row["clips"][apart]["truth"] == {"video": times}  # its sound is that of another clip
        assert row["clips"][real]["fps"] == 8.0
    assert "impacts where they are known" in (runs / "report" / "index.html").read_text()
    assert data["labels"]["material"] == [p.data["material"] for p in make_dataset("bounce").prompts(NUM, 0)]


def test_one_pixel_or_sample_else_and_nothing_is_said(runs: Path) -> None:
    material = gather((), runs, None)
    look = material.truth.of_row(1)
    clip = read_lossless(next(runs.glob("ground_truth-*")) / "samples" / "000001.mkv")
    assert look(clip).keys() == {"video", "audio"}
    video, audio = clip.video.copy(), clip.audio.copy()
    video[0, 0, 0, 0] ^= 1
    audio[0] += 2 / 32768
    assert look(replace(clip, video=video)).keys() == {"audio"}
    assert look(replace(clip, audio=audio)).keys() == {"video"}
    assert look(replace(clip, video=video, audio=audio)) == {}
    assert material.truth.of_row(0)(clip) == {}  # the clip of another row


def test_a_dataset_that_is_gone_is_told(runs: Path) -> None:
    (column, *_) = gather((), runs, None).columns
    assert column.run is not None
    gone = replace(column, run=replace(column.run, dataset="no_such_dataset"))
    found = find_truth([gone], [[0]])
    assert "no_such_dataset" in found.note
    assert found.of_row(0)(read_lossless(next(runs.glob("ground_truth-*")) / "samples" / "000000.mkv")) == {}


def test_datasets_that_know_no_events_have_no_legend(runs: Path, tmp_path: Path) -> None:
    (column, *_) = gather((), runs, None).columns
    assert column.run is not None
    (tmp_path / "prompts.txt").write_text("a ball bouncing\n")
    prompts = replace(column, run=replace(column.run, dataset=f"prompts:{tmp_path / 'prompts.txt'}"))
    assert find_truth([prompts], [[0]]) == UNKNOWN
    assert list(find_truth([column], [[None]]).rows) == [Look()]

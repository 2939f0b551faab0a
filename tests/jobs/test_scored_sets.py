"""Of several records of one metric the one is chosen that the other sets have, too."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.jobs.scored_sets import Found, choose, find_evaluated
from mmbench.jobs.submissions import list_sources
from mmbench.media.clip_files import write_lossless
from mmbench.media.sources import submission_digest
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder
from mmbench.scores.records import save
from mmbench.types import Score
from tests.builders import clip, record


def recorded(out: Path, system: str, dataset: str, time: str, reference: bool = True) -> Found:
    """A distance of a system to real clips of a dataset, with its folder."""
    about = {"system": system, "dataset": dataset, "time": time}
    r = record(**about, reference={"dataset": dataset, "n": 8} if reference else None)
    folder = out / f"{system}-{dataset}"
    folder.mkdir(exist_ok=True)
    save(folder, r, Score(0.5, 0.1, 8), [None] * 8)
    return [(folder, r)]


def test_a_later_distance_to_other_real_clips_hides_no_comparable_one(tmp_path: Path) -> None:
    mine = [*recorded(tmp_path, "a", "bounce", "2026-01-01"), *recorded(tmp_path, "a", "folder:x", "2026-01-02")]
    yours = recorded(tmp_path, "b", "bounce", "2026-01-01")
    assert [s.record.dataset for s in choose(mine, [mine, yours])] == ["bounce"]
    assert [s.record.dataset for s in choose(mine, [mine])] == ["folder:x"]


def test_of_means_over_samples_the_latest_counts_whatever_the_dataset(tmp_path: Path) -> None:
    mine = [
        *recorded(tmp_path, "a", "bounce", "2026-01-01", reference=False),
        *recorded(tmp_path, "a", "none", "2026-01-02", reference=False),
    ]
    yours = recorded(tmp_path, "b", "bounce", "2026-01-01", reference=False)
    assert [s.record.dataset for s in choose(mine, [mine, yours])] == ["none"]


def test_a_damaged_run_hides_no_clips_that_were_scored(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_lossless(clip(), clips / "0.mkv")
    digest = submission_digest(list_sources(clips))
    for name in ("a", "b"):
        create_run_folder(tmp_path / "runs", RunSpec(name, "none", 0, "real", {"submission": digest}))
    first, second = sorted((tmp_path / "runs").iterdir())
    (first / "manifest.json").write_bytes((first / "manifest.json").read_bytes().replace(b'"a"', b'"q"'))
    assert find_evaluated(clips, tmp_path / "runs") == [second]
    assert f"{first.name} is passed over" in caplog.text

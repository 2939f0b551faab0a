"""Shared videos come from the run that made them rather than from one that took them over."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.runs.shared_videos import videos_for
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.types import Prompt, Request
from tests.builders import clip

REQUEST = Request(Prompt("p0", "hiss"), 0, 0)
ASKING = RunSpec("cascade", "d", 0, "none", {"sound": 1}, video="v", video_of="pair")


def run_with_sample(out: Path, system: str, video: str = "v", video_of: str = "") -> SampleStore:
    """A run with one sample; its clip's content is the same in all of them."""
    store = SampleStore.create(out, RunSpec(system, "d", 0, "none", {"of": system}, video=video, video_of=video_of))
    store.commit(REQUEST, clip(), 0.1)
    return store


def test_the_run_that_made_the_videos_comes_first_whatever_its_name(tmp_path: Path) -> None:
    run_with_sample(tmp_path, "another_cascade", video_of="pair")
    made = run_with_sample(tmp_path, "pair")
    run_with_sample(tmp_path, "zebra_cascade", video_of="pair")
    found = videos_for(ASKING, tmp_path)(REQUEST)
    assert found is not None
    assert found.notes["video_of"] == made.run.run_id


def test_one_that_took_them_over_serves_where_no_other_is_left(tmp_path: Path) -> None:
    taken = run_with_sample(tmp_path, "another_cascade", video_of="pair")
    found = videos_for(ASKING, tmp_path)(REQUEST)
    assert found is not None
    assert found.notes["video_of"] == taken.run.run_id


def test_other_videos_samples_and_prompts_are_not_taken(tmp_path: Path) -> None:
    run_with_sample(tmp_path, "pair", video="another")
    assert videos_for(ASKING, tmp_path)(REQUEST) is None
    run_with_sample(tmp_path / "more", "pair")
    find = videos_for(ASKING, tmp_path / "more")
    assert find(REQUEST) is not None
    assert find(Request(Prompt("p0", "hiss"), 1, 0)) is None
    assert find(Request(Prompt("p1", "roar"), 0, 0)) is None


def test_runs_that_say_nothing_of_their_videos_share_none(tmp_path: Path) -> None:
    run_with_sample(tmp_path, "pair", video="")
    assert videos_for(RunSpec("cascade", "d", 0, "none", {}), tmp_path)(REQUEST) is None


def test_a_damaged_sample_is_passed_over_for_the_next_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = run_with_sample(tmp_path, "pair")
    taken = run_with_sample(tmp_path, "another_cascade", video_of="pair")
    (made.samples / "000000.mkv").write_bytes(b"torn")
    found = videos_for(ASKING, tmp_path)(REQUEST)
    assert found is not None
    assert found.notes["video_of"] == taken.run.run_id
    assert "the video of sample 0 is not taken from" in caplog.text

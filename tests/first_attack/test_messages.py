"""S5: what is said badly, good files that are refused, and names that pass for others."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

from tests.chaos.pieces import picture, sound
from tests.first_attack.attacked import GUIDED, User
from tests.media_files import write_media

AV = ["-m", "av_align"]


class Code:
    """Its pickle runs code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return print, ("here",)


def test_a_refused_pickle_gives_no_advice_to_run_it(user: User) -> None:
    (user.folder / "bad.pt").write_bytes(pickle.dumps(Code()))
    done = user(*GUIDED, "--set", "discriminator=bad.pt")
    assert done.code
    assert "weights_only" not in done.err


def test_escapes_of_a_name_do_not_reach_the_terminal(user: User, clips: Path) -> None:
    (clips / "a\x1b]0;owned\x07\x1b[2J.mp4").write_bytes(b"no video")
    done = user("evaluate", "clips", *AV)
    assert "owned" in done.err
    assert "\x1b]0" not in done.err + done.out


def test_frames_of_uneven_times_are_no_early_end(user: User) -> None:
    stamps = np.cumsum([0.0, *(0.03 + 0.02 * (k % 3) for k in range(47))]).round(3)
    (user.folder / "mine").mkdir()
    frames = picture(frames=8).repeat(6, axis=0)
    for name in "ab":
        write_media(user.folder / "mine" / f"{name}.mp4", frames, sound(float(stamps[-1])), stamps=list(stamps))
    done = user("evaluate", "mine", *AV, "-f", "json")
    assert {record["n_scored"] for record in done.records} == {2}


def test_sound_that_begins_late_is_no_early_end(user: User) -> None:
    (user.folder / "mine").mkdir()
    for name in "ab":
        path = user.folder / "mine" / f"{name}.mkv"
        write_media(path, picture(frames=24), sound(2.1), sound_start=0.3)
    done = user("evaluate", "mine", *AV, "-f", "json")
    assert {record["n_scored"] for record in done.records} == {2}


def test_clips_are_not_named_as_a_system_that_mmbench_has(user: User, clips: Path) -> None:
    assert user("evaluate", "clips", *AV, "--name", "ground_truth").code

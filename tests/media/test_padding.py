"""Lossy sound ends with its picture, and nothing else is touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.media.clip_files import write_lossless, write_preview
from mmbench.media.decode import decode
from mmbench.media.padding import CODEC_FRAME, FITTED, fit_sound
from mmbench.media.sources import FileSource
from mmbench.types import Clip
from tests.builders import clip

LENGTH = 32000  # samples of 16 frames at 8 fps and 16 kHz


def heard(samples: int, lossy: bool = True) -> Clip:
    """A clip of 2 s of picture whose sound came from a file."""
    notes: dict[str, Any] = {"audio": {"codec": "some", "lossy": lossy}, "steps": ["first"]}
    return replace(clip(0, frames=16, samples=samples), notes=notes)


def test_a_lossy_file_is_as_long_as_what_was_encoded(tmp_path: Path) -> None:
    made = clip(0, frames=16, size=32, samples=LENGTH)
    write_preview(made, tmp_path / "a.mp4")
    write_lossless(made, tmp_path / "b.mkv")
    padded, fitted = decode(tmp_path / "a.mp4"), FileSource("a", str(tmp_path / "a.mp4")).load()
    assert len(padded.audio) > LENGTH, "AAC ends with a whole frame; else this proves nothing"
    assert fitted.size() == made.size() == FileSource("b", str(tmp_path / "b.mkv")).load().size()
    np.testing.assert_array_equal(fitted.audio, padded.audio[:LENGTH])
    assert fitted.notes[FITTED] == LENGTH - len(padded.audio)
    assert "the length of the picture" in fitted.notes["steps"][-1]


@pytest.mark.parametrize("missing", [1, CODEC_FRAME - 1, -1, 1 - CODEC_FRAME])
def test_less_than_a_codec_frame_is_cut_or_completed(missing: int) -> None:
    found, before = fit_sound(heard(LENGTH - missing)), heard(LENGTH - missing)
    assert len(found.audio) == LENGTH
    kept = min(LENGTH, len(before.audio))
    np.testing.assert_array_equal(found.audio[:kept], before.audio[:kept])
    assert not found.audio[kept:].any()
    assert found.notes[FITTED] == missing
    assert found.notes["steps"][0] == "first"


@pytest.mark.parametrize(
    "untouched",
    [
        heard(LENGTH),
        heard(LENGTH + CODEC_FRAME),
        heard(LENGTH - CODEC_FRAME),
        heard(LENGTH + 768, lossy=False),
        heard(0),
        clip(0, frames=16, samples=LENGTH + 768),
    ],
    ids=["equal", "longer", "shorter", "exact codec", "silent", "of no file"],
)
def test_everything_else_stays_as_it_is(untouched: Clip) -> None:
    assert fit_sound(untouched) is untouched

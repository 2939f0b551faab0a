"""Films written frame by frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MediaError
from mmbench.media.decode import decode
from mmbench.media.film import write_film


def test_frames_and_sound_arrive(tmp_path: Path) -> None:
    frames = (np.full((32, 48, 3), 20 * k, np.uint8) for k in range(10))
    tone = 0.5 * np.sin(2 * np.pi * 440 * np.arange(8000) / 16000)
    write_film(frames, 20, tone.astype(np.float32), 16000, tmp_path / "a.mp4")
    clip = decode(tmp_path / "a.mp4")
    assert clip.video.shape == (10, 32, 48, 3)
    assert float(clip.fps) == 20.0
    np.testing.assert_allclose(clip.video.mean(axis=(1, 2, 3)), 20 * np.arange(10), atol=4)
    assert len(clip.audio) == pytest.approx(8000, abs=1024)
    assert np.abs(clip.audio[2000:6000]).max() == pytest.approx(0.5, abs=0.05)


def test_a_film_that_cannot_be_written(tmp_path: Path) -> None:
    odd = (np.zeros((31, 48, 3), np.uint8) for _ in range(2))
    with pytest.raises(MediaError, match=r"cannot be written to .*a\.mp4"):
        write_film(odd, 20, np.empty(0, np.float32), 16000, tmp_path / "a.mp4")

"""Exact MP4 and WAV files: what they hold comes back by every decoder at hand, bit by bit."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MediaError
from mmbench.media.clip_files import write_exact, write_wav
from mmbench.media.decode import decode
from mmbench.types import Clip
from tests.builders import clip


@pytest.mark.parametrize(("size", "fps"), [(32, 8.0), (33, Fraction(30000, 1001)), (1, 7.3), (16, 25)])
def test_pixels_samples_and_rates_come_back(tmp_path: Path, size: int, fps: float) -> None:
    for samples in (1, 4096, 16001):
        made = replace(clip(size, frames=9, size=size, samples=samples), fps=fps)
        write_exact(made, tmp_path / "a.mp4")
        write_exact(made, tmp_path / "b.mp4")
        assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
        write_wav(made, tmp_path / "a.wav")
        for back in (decode(tmp_path / "a.mp4"), decode(tmp_path / "a.mp4", tmp_path / "a.wav")):
            assert back.digest() == made.digest()
            assert back.notes["steps"] == []
            assert back.notes["audio"]["lossy"] is False


def test_opencv_reads_the_same_pixels(tmp_path: Path) -> None:
    cv2 = pytest.importorskip("cv2")
    made = clip(3, frames=9, size=33)
    write_exact(made, tmp_path / "a.mp4")
    video = cv2.VideoCapture(str(tmp_path / "a.mp4"))
    frames = []
    while (read := video.read())[0]:
        frames.append(read[1][..., ::-1])
    assert np.array_equal(np.stack(frames), made.video)
    assert video.get(cv2.CAP_PROP_FPS) == pytest.approx(8.0)


def test_a_clip_without_sound_has_no_track_of_it_and_an_empty_one_is_refused(tmp_path: Path) -> None:
    silent = clip(1, samples=0)
    write_exact(silent, tmp_path / "a.mp4")
    back = decode(tmp_path / "a.mp4")
    assert back.video_digest() == silent.video_digest()
    assert back.notes["audio"] is None
    with pytest.raises(MediaError, match="no pixels"):
        write_exact(Clip(np.zeros((0, 8, 8, 3), np.uint8), 8.0, silent.audio, 16000), tmp_path / "b.mp4")

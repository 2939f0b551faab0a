"""Contact sheets and animations."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.pictures.clip_images import (
    MARK,
    WAVE,
    animation,
    clip_sheet,
    log_spectrogram,
    spectrogram_image,
    waveform_image,
)
from mmbench.types import Clip

RATE = 16000


def tone(frequency: float, seconds: float = 2.0, amplitude: float = 1.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


def clip(seconds: float = 2.0, frames: int = 16, height: int = 32, width: int = 32) -> Clip:
    video = np.zeros((frames, height, width, 3), np.uint8)
    video[:] = np.linspace(0, 255, frames).astype(np.uint8)[:, None, None, None]
    return Clip(video, 8.0, tone(440.0, seconds, 0.5), RATE)


@pytest.mark.e2e
def test_sheet_shows_every_frame_in_order() -> None:
    sheet = clip_sheet([clip()], ["x"], frame_size=32, gap=4)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1] == 16 * 32 + 8
    row = sheet[4 + 20 + 16, 4 + 16 : 4 + 16 * 32 : 32, 0]
    np.testing.assert_array_equal(row, clip().video[:, 0, 0, 0])


def test_sheet_of_clips_of_different_formats() -> None:
    sheet = clip_sheet([clip(), clip(frames=8, width=64), clip(seconds=0.5)], ["a", "b", "c"])
    one = clip_sheet([clip()], ["a"])
    assert sheet.shape[0] == 3 * (one.shape[0] - 10) + 10


def test_marks_stand_at_their_time() -> None:
    plain = clip_sheet([clip()], ["x"], frame_size=32, gap=4)
    marked = clip_sheet([clip()], ["x"], marks=[[1.0, 7.0]], frame_size=32, gap=4)
    columns = np.flatnonzero((plain != marked).any(axis=(0, 2)))
    assert set(columns) <= {4 + 255, 4 + 256}
    assert (marked[:, 4 + 256] == MARK).all(axis=-1).any()


def test_title_is_drawn() -> None:
    assert not np.array_equal(clip_sheet([clip()], ["glass"]), clip_sheet([clip()], ["metal"]))


def test_silent_and_soundless_clips() -> None:
    silent = Clip(clip().video, 8.0, np.zeros(2 * RATE, np.float32), RATE)
    none = Clip(clip().video, 8.0, np.zeros(0, np.float32), RATE)
    np.testing.assert_array_equal(clip_sheet([silent], ["x"]), clip_sheet([none], ["x"]))


@pytest.mark.parametrize(("clips", "titles", "marks"), [([], [], None), ([clip()], [], None), ([clip()], ["x"], [])])
def test_counts_must_agree(clips: list[Clip], titles: list[str], marks: list[list[float]] | None) -> None:
    with pytest.raises(ValueError, match="expected one of each"):
        clip_sheet(clips, titles, marks=marks)


def test_spectrogram_level_and_place_of_a_tone() -> None:
    mel = log_spectrogram(tone(1000.0), RATE)
    assert mel[:, 50].max() == pytest.approx(0.0, abs=4.0)  # triangles split a line between two bands
    assert log_spectrogram(tone(1000.0, amplitude=0.1), RATE)[:, 50].max() - mel[:, 50].max() == pytest.approx(
        -20, abs=0.1
    )
    assert log_spectrogram(tone(3000.0), RATE)[:, 50].argmax() > mel[:, 50].argmax()
    assert log_spectrogram(np.zeros(100, np.float32), RATE).max() == -70.0


def test_low_frequencies_are_at_the_bottom() -> None:
    image = spectrogram_image(tone(200.0), RATE, 60, 100).astype(int).sum(axis=(1, 2))
    assert image[30:].sum() > image[:30].sum()


def test_waveform_height_follows_amplitude() -> None:
    def tall(amplitude: float) -> int:
        return int((waveform_image(tone(440.0, amplitude=amplitude), 41, 100) == WAVE).all(axis=-1).sum(axis=0).max())

    assert tall(1.0) == 41
    assert tall(0.5) == 21
    assert (waveform_image(tone(440.0, 0.001), 41, 100) == WAVE).all(axis=-1).any()


def test_animation_moves_its_playhead() -> None:
    frames = animation([clip(), clip()], ["a", "b"], frame_size=64)
    assert frames.dtype == np.uint8
    assert len(frames) == 16
    heads = [np.flatnonzero((frame == MARK).all(axis=-1).any(axis=0)).min() for frame in frames]
    assert (np.diff(heads) == 4).all()
    with pytest.raises(ValueError, match="equally many frames"):
        animation([clip(), clip(frames=8)], ["a", "b"])

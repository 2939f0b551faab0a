"""Spectrograms, waveforms and text of pictures."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmbench.pictures.clip_images import (
    INK,
    WAVE,
    common_palette,
    log_spectrogram,
    spectrogram_image,
    waveform_image,
    write_text,
)

RATE = 16000


def tone(frequency: float, seconds: float = 2.0, amplitude: float = 1.0) -> np.ndarray:
    return (amplitude * np.sin(2 * np.pi * frequency * np.arange(int(seconds * RATE)) / RATE)).astype(np.float32)


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


def test_text_that_is_too_wide_ends_earlier() -> None:
    def drawn(text: str, width: float) -> np.ndarray:
        image = Image.new("RGB", (400, 20), "white")
        write_text(ImageDraw.Draw(image), 0, 10, text, 12, INK, width, "lm")
        return np.flatnonzero((np.asarray(image) != 255).any(axis=(0, 2)))

    assert drawn("a small wooden ball bouncing", 400).max() > 100
    assert 60 < drawn("a small wooden ball bouncing", 100).max() <= 100


def test_paper_stays_white_in_few_colours() -> None:
    image = np.full((120, 120, 3), 255, np.uint8)
    image[:, :90] = np.random.default_rng(0).integers(0, 255, (120, 90, 3))
    image[::7, 100:] = 251
    image[::5, 100:] = 249
    drawn = np.asarray(
        Image.fromarray(image).quantize(palette=common_palette(image), dither=Image.Dither.NONE).convert("RGB")
    )
    assert (drawn[(image == 255).all(axis=-1)] == 255).all()

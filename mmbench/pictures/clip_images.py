"""What pictures of clips are made of: colours, text, scaled frames, waveforms and spectrograms, as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmbench.networks.compiled import import_librosa

Color = tuple[int, int, int]
INK, MUTED, PAPER, MARK = (38, 42, 52), (110, 116, 128), (255, 255, 255), (226, 74, 51)
WAVE = (52, 101, 164)
FLOOR_DB = -70.0
# Dark blue over violet and orange to pale yellow, lightness rising evenly: still readable in grey.
COLORMAP = np.array([(8, 8, 32), (58, 15, 110), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)])


def log_spectrogram(audio: np.ndarray, sample_rate: int, *, num_bands: int = 64, hop_length: int = 128) -> np.ndarray:
    """Mel spectrogram (num_bands, n) float32 in decibels below full scale, at least -70, lowest band first."""
    librosa = import_librosa()

    n_fft = 512 if sample_rate <= 24000 else 1024
    padded = np.pad(audio, (0, max(0, n_fft - len(audio))))
    power = librosa.feature.melspectrogram(
        y=padded, sr=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=num_bands, norm=None
    )
    full_scale = (n_fft / 4) ** 2  # a sine of amplitude 1 under a Hann window
    return np.maximum(10.0 * np.log10(np.maximum(power, 1e-12) / full_scale), FLOOR_DB).astype(np.float32)


def write_text(draw: Any, x: float, y: float, text: str, size: float, color: Color, width: float, at: str) -> None:
    """Draw one line of text at (x, y) by its anchor `at`, its end left out where it is wider than `width` [px]."""
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    if draw.textlength(text, font) > width:
        while text and draw.textlength(text + "…", font) > width:
            text = text[:-1]
        text += "…"
    draw.text((x, y), text, fill=color, font=font, anchor=at)


def scaled(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """An image (h, w, 3) uint8 in another size: (height, width, 3) uint8."""
    from PIL import Image

    enlarging = height >= image.shape[0] and width >= image.shape[1]
    method = Image.Resampling.BICUBIC if enlarging else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(image).resize((width, height), method))


def waveform_image(audio: np.ndarray, height: int, width: int) -> np.ndarray:
    """Envelope of audio (S,) in [-1, 1], smallest to largest sample per column: (height, width, 3) uint8."""
    image = np.full((height, width, 3), PAPER, np.uint8)
    rows = np.arange(height)
    image[height // 2] = (205, 209, 216)
    edges = np.linspace(0, len(audio), width + 1).astype(int)
    for x, (start, stop) in enumerate(zip(edges, np.maximum(edges[1:], edges[:-1] + 1), strict=False)):
        piece = audio[start:stop]
        if not piece.any():
            continue
        top, bottom = ((1.0 - np.clip((piece.max(), piece.min()), -1, 1)) / 2 * (height - 1)).round()
        image[(rows >= top) & (rows <= bottom), x] = WAVE
    return image


def spectrogram_image(audio: np.ndarray, sample_rate: int, height: int, width: int) -> np.ndarray:
    """Mel spectrogram of audio (S,), low frequencies at the bottom: (height, width, 3) uint8."""
    if not len(audio):
        return np.full((height, width, 3), COLORMAP[0], np.uint8)
    level = 1.0 - log_spectrogram(audio, sample_rate)[::-1] / FLOOR_DB
    place = np.clip(level, 0.0, 1.0) * (len(COLORMAP) - 1)
    channels = [np.interp(place, np.arange(len(COLORMAP)), COLORMAP[:, c]) for c in range(3)]
    return scaled(np.stack(channels, axis=-1).round().astype(np.uint8), height, width)


def common_palette(image: np.ndarray) -> Any:
    """A picture whose palette of 256 colours, its whites pure, suits an image (h, w, 3) uint8; for Image.quantize."""
    from PIL import Image

    palette = Image.fromarray(np.ascontiguousarray(image[::2, ::2])).quantize(256, kmeans=1)
    colors = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    colors[colors.min(axis=1) >= 244] = PAPER  # Pillow looks colours up in steps: paper would become its neighbour
    palette.putpalette(colors.tobytes())
    return palette

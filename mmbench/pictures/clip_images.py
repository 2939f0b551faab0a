"""Pictures of clips for people: contact sheets and animations, as arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mmbench.types import Clip

INK, MUTED, PAPER, MARK = (38, 42, 52), (110, 116, 128), (255, 255, 255), (226, 74, 51)
WAVE = (52, 101, 164)
FLOOR_DB = -70.0
# Dark blue over violet and orange to pale yellow, lightness rising evenly: still readable in grey.
COLORMAP = np.array([(8, 8, 32), (58, 15, 110), (140, 41, 129), (222, 73, 104), (254, 159, 109), (252, 253, 191)])


def log_spectrogram(audio: np.ndarray, sample_rate: int, *, num_bands: int = 64, hop_length: int = 128) -> np.ndarray:
    """Mel spectrogram (num_bands, n) float32 in decibels below full scale, at least -70, lowest band first."""
    import librosa

    n_fft = 512 if sample_rate <= 24000 else 1024
    padded = np.pad(audio, (0, max(0, n_fft - len(audio))))
    power = librosa.feature.melspectrogram(
        y=padded, sr=sample_rate, n_fft=n_fft, hop_length=hop_length, n_mels=num_bands, norm=None
    )
    full_scale = (n_fft / 4) ** 2  # a sine of amplitude 1 under a Hann window
    return np.maximum(10.0 * np.log10(np.maximum(power, 1e-12) / full_scale), FLOOR_DB).astype(np.float32)


def _text(text: str, size: int, color: tuple[int, int, int], height: int, width: int) -> np.ndarray:
    from PIL import Image, ImageDraw, ImageFont

    image = Image.new("RGB", (width, height), PAPER)
    font = ImageFont.load_default(size)
    ImageDraw.Draw(image).text((1, height / 2), text, fill=color, font=font, anchor="lm")
    return np.asarray(image)


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


def sound_panel(clip: Clip, marks: Sequence[float], width: int, wave_height: int, mel_height: int) -> np.ndarray:
    """Waveform over spectrogram; the axis is the video's duration, longer audio is cut, shorter is padded."""
    duration = len(clip.video) / float(clip.fps)
    length = round(duration * clip.sample_rate)
    audio = np.pad(clip.audio[:length], (0, max(0, length - len(clip.audio))))
    wave = waveform_image(audio, wave_height, width)
    for time in marks:
        column = int(time / duration * width)
        if 0 <= column < width:
            wave[: wave_height // 5, max(0, column - 1) : column + 1] = MARK
    return np.concatenate([wave, spectrogram_image(audio, clip.sample_rate, mel_height, width)])


def clip_sheet(
    clips: Sequence[Clip],
    titles: Sequence[str],
    *,
    marks: Sequence[Sequence[float]] | None = None,
    frame_size: int = 64,
    wave_height: int = 44,
    mel_height: int = 56,
    gap: int = 10,
) -> np.ndarray:
    """A picture of clips under each other: frames in a row over waveform and mel spectrogram, on one time axis.

    Args:
        clips: Clips of any format; frame i stands over the time from i / fps to (i + 1) / fps.
        titles: One line of text per clip.
        marks: Times [s] per clip, drawn as short red strokes over the waveform (impacts, onsets).
        frame_size: Height of a frame in the picture [px]; its width follows from the clip.
        wave_height: Height of the waveform [px].
        mel_height: Height of the spectrogram [px].
        gap: Space around and between clips [px].

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: No clips, or not one title (and mark list) per clip.
    """
    marks = [()] * len(clips) if marks is None else marks
    if not clips or len(titles) != len(clips) or len(marks) != len(clips):
        raise ValueError(f"{len(clips)} clips, {len(titles)} titles, {len(marks)} lists of marks: expected one of each")
    blocks = []
    for clip, title, times in zip(clips, titles, marks, strict=True):
        width = round(frame_size * clip.video.shape[2] / clip.video.shape[1])
        strip = np.concatenate([scaled(frame, frame_size, width) for frame in clip.video], axis=1)
        heading = _text(title, 14, INK, 20, strip.shape[1])
        blocks.append(
            np.concatenate([heading, strip, sound_panel(clip, times, strip.shape[1], wave_height, mel_height)])
        )
    total = max(block.shape[1] for block in blocks) + 2 * gap
    rows = [np.full((gap, total, 3), PAPER, np.uint8)]
    for block in blocks:
        padding = ((0, gap), (gap, total - gap - block.shape[1]), (0, 0))
        rows.append(np.pad(block, padding, constant_values=255))
    return np.concatenate(rows)


def animation(
    clips: Sequence[Clip], titles: Sequence[str], *, frame_size: int = 128, mel_height: int = 40, gap: int = 6
) -> np.ndarray:
    """An animation of clips side by side, each over its spectrogram with a playhead at the frame's time.

    Args:
        clips: Clips with equally many frames.
        titles: One short line of text per clip.
        frame_size: Height and width of a frame in the picture [px].
        mel_height: Height of the spectrogram [px].
        gap: Space around and between clips [px].

    Returns:
        (T, H, W, 3) uint8.
    """
    num_frames = len(clips[0].video)
    if any(len(clip.video) != num_frames for clip in clips) or len(titles) != len(clips):
        raise ValueError("an animation needs clips with equally many frames and one title per clip")
    columns = []
    for clip, title in zip(clips, titles, strict=True):
        heading = _text(title, 11, MUTED, 16, frame_size)
        sound = sound_panel(clip, (), frame_size, mel_height // 2, mel_height)
        frames = []
        for i, frame in enumerate(clip.video):
            panel = sound.copy()
            column = int(i / num_frames * frame_size)
            panel[:, column : column + 2] = MARK
            frames.append(np.concatenate([scaled(frame, frame_size, frame_size), panel, heading]))
        columns.append(np.pad(np.stack(frames), ((0, 0), (gap, gap), (0, gap), (0, 0)), constant_values=255))
    return np.pad(np.concatenate(columns, axis=2), ((0, 0), (0, 0), (gap, 0), (0, 0)), constant_values=255)

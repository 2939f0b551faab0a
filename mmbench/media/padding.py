"""Sound of lossy files, which ends where its codec's last frame does, brought to the length of its picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mmbench.media.resample import exact_rate
from mmbench.types import Clip

CODEC_FRAME = 2048  # samples: the longest frame of AAC; that of MP3 is 1152, that of Opus at 48 kHz mostly 960
FITTED = "fitted"  # in a clip's notes: samples of silence that were added; negative for samples that were cut off


def fit_sound(clip: Clip) -> Clip:
    """End the sound of a lossy file with its picture, if the two differ by less than a codec frame.

    A lossy encoder fills its last frame up with silence, or leaves an unfinished one out, so the same clip has other
    lengths by other codecs: 2 s at 16 kHz are 32768 samples in AAC. Longer sound is cut and shorter sound completed
    with silence, as `notes["steps"]` then says and `notes["fitted"]` counts. Sound of exact codecs stays as it is, and
    so does any larger difference.

    Returns:
        The clip, with round(T / fps * sample_rate) samples of sound where it was fitted.
    """
    sound = clip.notes.get("audio")
    missing = round(len(clip.video) / exact_rate(clip.fps) * clip.sample_rate) - len(clip.audio)
    if not sound or not sound.get("lossy") or not len(clip.audio) or not 0 < abs(missing) < CODEC_FRAME:
        return clip
    audio = clip.audio[:missing] if missing < 0 else np.pad(clip.audio, (0, missing))
    how = "cut" if missing < 0 else "silence at the end"
    step = f"samples {len(clip.audio)} -> {len(audio)}, the length of the picture: {how}"
    notes = {**clip.notes, "steps": [*clip.notes.get("steps", []), step], FITTED: missing}
    return replace(clip, audio=audio, notes=notes)

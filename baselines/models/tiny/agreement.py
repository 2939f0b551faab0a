"""How well video and sound of clean latents of the embedded pair agree, with a graph: the cosine of `ib_bounce_av`.

The video network sees the decoded frames. The audio network reads another spectrogram than the codec makes, of shorter
windows; the codec's is turned into that one band by band, without a waveform between.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.baselines.models.tiny.networks import FFT, FLOOR, MEL_CENTER, MEL_SCALE, SAMPLE_RATE, WINDOW, mel_filters
from mmbench.metrics.networks import audio_frontend
from mmbench.metrics.networks.bounce import NUM_MELS, SILENCE

# a window of half as many bins and about half as long sees half as many of a tone's bins, of half their magnitude
GAIN = audio_frontend.FFT / FFT * audio_frontend.FFT / WINDOW


@cache
def magnitudes_of_bands() -> Tensor:
    """(64, 513) float32: from mel magnitudes of the codec to a spectrum, as Griffin-Lim begins."""
    return torch.from_numpy(np.linalg.pinv(mel_filters()).T.copy()).float()


@cache
def bands_of_magnitudes() -> Tensor:
    """(513, 48) float32: the audio network's filters on a spectrum of the codec's bins."""
    filters = audio_frontend.mel_filters(NUM_MELS, 60.0, SAMPLE_RATE / 2)
    own, codec = (np.arange(size // 2 + 1) / size for size in (audio_frontend.FFT, FFT))
    columns = [np.interp(codec, own, band) for band in filters.T]
    return torch.from_numpy(np.stack(columns, 1)).float()


def heard(mel: Tensor) -> Tensor:
    """What the audio network reads of the codec's spectrograms: (n, 1, 128, 64) to (n, 128, 48), with a graph."""
    bands = (mel[:, 0] * MEL_SCALE + MEL_CENTER).exp() - FLOOR
    magnitudes = (bands @ magnitudes_of_bands().to(mel)).clamp_min(0)
    return (GAIN * (magnitudes @ bands_of_magnitudes().to(mel)) + SILENCE).log()


def agreement(frames: Tensor, mel: Tensor, video_tower: nn.Module, audio_tower: nn.Module) -> Tensor:
    """The cosine (n,) of both embeddings, which have length 1.

    Args:
        frames: (n, 16, 3, 64, 64) about [-1, 1].
        mel: (n, 1, 128, 64) as the codec decodes it.
        video_tower: Of `mmbench.metrics.networks.bounce`.
        audio_tower: The same of sound.
    """
    return (video_tower((frames / 2 + 0.5).clamp(0, 1))[1] * audio_tower(heard(mel))[1]).sum(1)

"""How well frames and waveforms agree under ImageBind, with a graph: the cosine of `ib_av`, to be raised by guidance.

Clips of up to two seconds and square frames, of which ImageBind's loaders make one view: the first and the last frame,
and the whole sound.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.metrics.networks.audio_frontend import FFT, HOP, KALDI_FLOOR, SAMPLE_RATE, WINDOW, mel_filters
from mmbench.metrics.networks.imagebind import CROP, MEL_FRAMES, MELS, ImageBind
from mmbench.metrics.networks.imagebind_preprocess import CLIP_SECONDS, MEL_MEAN, MEL_STD, normalised


def agreement(frames: Tensor, waves: Tensor, vision: ImageBind, audio: ImageBind) -> Tensor:
    """The cosine (n,) of videos and their sounds.

    Args:
        frames: (n, 2, 3, h, h) in [0, 1], the first and the last of each video.
        waves: (n, s) at 16 kHz, two seconds at most.
        vision: Embeds views of videos.
        audio: Embeds views of sounds.

    Raises:
        ValueError: Frames that are not square, or longer sounds, of which there would be several views.
    """
    if frames.shape[-1] != frames.shape[-2] or waves.shape[1] > CLIP_SECONDS * SAMPLE_RATE:
        raise ValueError(f"frames {tuple(frames.shape)}, waves {tuple(waves.shape)}; expected square and two seconds")
    first, second = vision.embed_vision(video_view(frames)), audio.embed_audio(audio_view(waves))
    return F.cosine_similarity(first, second)


def video_view(frames: Tensor) -> Tensor:
    """(n, 2, 3, h, h) in [0, 1] to (n, 3, 2, 224, 224), as `video_views` makes of square videos.

    Bilinear as two products, whose gradient has a deterministic kernel on every device.
    """
    lines = torch.eye(frames.shape[-1], device=frames.device)[None]
    weights = F.interpolate(lines, CROP, mode="linear", align_corners=False)[0]
    small = weights.T @ frames.flatten(0, 1) @ weights
    return normalised(small).unflatten(0, frames.shape[:2]).transpose(1, 2)


def audio_view(waves: Tensor) -> Tensor:
    """(n, s) at 16 kHz to (n, 1, 128, 204), as `audio_views` makes of two seconds; float64 inside."""
    centred = waves.double() - waves.double().mean(1, keepdim=True)
    mel = fbank(centred)[:, :MEL_FRAMES]
    padded = F.pad(mel, (0, 0, 0, MEL_FRAMES - mel.shape[1]))
    return ((padded.mT[:, None] - MEL_MEAN) / MEL_STD).float()


def fbank(waves: Tensor) -> Tensor:
    """Kaldi's log filter bank with a graph: (n, s) float64 at 16 kHz to (n, frames, 128), equal to `kaldi_fbank`."""
    x = waves.unfold(-1, WINDOW, HOP)
    x = x - x.mean(-1, keepdim=True)
    x = x - 0.97 * torch.cat([x[..., :1], x[..., :-1]], -1)
    window, filters = (
        torch.from_numpy(a).to(x) for a in (np.hanning(WINDOW), mel_filters(MELS, 20.0, SAMPLE_RATE / 2))
    )
    power = torch.fft.rfft(x * window, FFT).abs().square()
    return (power @ filters).clamp_min(KALDI_FLOOR).log()

"""How ImageBind's own loaders cut and normalise a clip, without computing equal views more than once.

Own writing of facebookresearch/ImageBind@53680b0:imagebind/data.py and of the clip sampling it takes from
facebookresearch/pytorchvideo@f3142bb (data/clip_sampling.py, data/encoded_video_decord.py, transforms/functional.py).
A clip of two seconds or less has five equal video clips, and three equal crops if it is square: 15 views, one distinct.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.errors import MMBenchError
from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, WINDOW, kaldi_fbank, resample
from mmbench.metrics.networks.imagebind import CROP, MEL_FRAMES, MELS

CLIP_SECONDS = 2
VIDEO_CLIPS, CROPS, AUDIO_CLIPS = 5, 3, 3
PIXEL_MEAN = (0.48145466, 0.4578275, 0.40821073)
PIXEL_STD = (0.26862954, 0.26130258, 0.27577711)
MEL_MEAN, MEL_STD = -4.268, 9.138


@dataclass(frozen=True, eq=False)
class Views:
    """The distinct views of a clip, and which of all views equals which.

    Attributes:
        data: (distinct, ...) float32.
        first_equal: For each of all views, the lowest index of a view equal to it.
    """

    data: Tensor
    first_equal: tuple[int, ...]

    def counts(self) -> Tensor:
        """(distinct,) float32, how often each distinct view occurs."""
        _, counts = np.unique(self.first_equal, return_counts=True)
        return torch.from_numpy(counts.astype(np.float32))


def clip_starts(duration: float, num_clips: int) -> list[Fraction]:
    """Starts [s] of equally spaced two-second clips, as exact fractions of the double `duration`."""
    last = Fraction(max(duration - CLIP_SECONDS, 0.0))
    return [last / (num_clips - 1) * k for k in range(num_clips)]


def frame_pairs(num_frames: int, fps: float) -> list[tuple[int, int]]:
    """First and last frame of each of the five video clips; nothing between them is looked at."""
    pairs = []
    for start in clip_starts(num_frames / fps, VIDEO_CLIPS):
        first = math.ceil(fps * float(start))
        stop = min(math.ceil(fps * float(start + CLIP_SECONDS)), num_frames)
        if stop <= first:
            raise MMBenchError(f"Two seconds from {float(start):.3f} s hold no frame at {fps:g} frames per second.")
        pairs.append((first, stop - 1))
    return pairs


def _scaled(height: int, width: int) -> tuple[int, int]:
    if width < height:
        return math.floor(height / width * CROP), CROP
    return CROP, math.floor(width / height * CROP)


def three_crops(height: int, width: int) -> list[tuple[int, int]]:
    """(y, x) of the three crops of 224x224 along the longer side."""
    y, x = math.ceil((height - CROP) / 2), math.ceil((width - CROP) / 2)
    if height > width:
        return [(0, x), (y, x), (height - CROP, x)]
    return [(y, 0), (y, x), (y, width - CROP)]


def video_views(video: np.ndarray, fps: float, *, deduplicate: bool = True) -> Views:
    """Normalised views (distinct, 3, 2, 224, 224) of (t, h, w, 3) uint8 RGB, out of 15: clip-major, then crop.

    Args:
        video: Frames.
        fps: Frames per second.
        deduplicate: False makes all 15 views, as the original does.
    """
    pairs = frame_pairs(len(video), float(fps))
    height, width = _scaled(*video.shape[1:3])
    used = sorted({i for pair in pairs for i in pair})
    frames = torch.from_numpy(video[used]).permute(0, 3, 1, 2).float() / 255.0
    frames = F.interpolate(frames, (height, width), mode="bilinear", align_corners=False, antialias=False)
    normal = dict(zip(used, normalised(frames), strict=True))
    return pair_views(video, normal, pairs, deduplicate)


def normalised(frames: Tensor) -> Tensor:
    """Frames (t, 3, h, w) in [0, 1] less CLIP's mean, in units of its standard deviation."""
    mean, std = (torch.tensor(values, device=frames.device)[:, None, None] for values in (PIXEL_MEAN, PIXEL_STD))
    return (frames - mean) / std


def pair_views(
    video: np.ndarray, normal: Mapping[int, Tensor], pairs: Sequence[tuple[int, int]], deduplicate: bool
) -> Views:
    """Three crops of each pair of frames, pair-major: equal exactly if their two frames and their crop are.

    Args:
        video: (t, h, w, 3) uint8, from which equal frames are known.
        normal: Resized and normalised frames (3, h, w) by their index in `video`.
        pairs: Indices of two frames each.
        deduplicate: False keeps views that are equal.
    """
    height, width = next(iter(normal.values())).shape[1:]
    pixels = {i: video[i].tobytes() for i in normal}  # a static video repeats frames under other numbers

    def view(first: int, last: int, y: int, x: int) -> Tensor:
        return torch.stack([normal[i][:, y : y + CROP, x : x + CROP] for i in (first, last)], dim=1)

    places = [(*pair, *crop) for pair in pairs for crop in three_crops(height, width)]
    keys = [(pixels[first], pixels[last], y, x) for first, last, y, x in places]
    first_equal = tuple(keys.index(key) for key in keys) if deduplicate else tuple(range(len(keys)))
    return Views(torch.stack([view(*places[i]) for i in sorted(set(first_equal))]), first_equal)


def audio_ranges(num_samples: int) -> list[tuple[int, int]]:
    """First sample of each of the three clips of a sound at 16 kHz, and the one after its last."""
    starts = clip_starts(num_samples / SAMPLE_RATE, AUDIO_CLIPS)
    bounds = [(int(start * SAMPLE_RATE), int((start + CLIP_SECONDS) * SAMPLE_RATE)) for start in starts]
    return [(first, min(stop, num_samples)) for first, stop in bounds]


def audio_views(audio: np.ndarray, sample_rate: int, *, deduplicate: bool = True) -> Views:
    """Normalised log-mel views (distinct, 1, 128, 204) of (s,) or (s, channels) audio, out of three.

    Each clip is centred in place, so a later clip that overlaps an earlier one sees samples moved before. Up to two
    seconds all three are the same samples: centring them again changes nothing but the rounding of float32, which is
    why this computes in float64. Frames that are missing are zeros before normalisation, which is not silence.

    Args:
        audio: Samples in [-1, 1]; several channels stand in the second axis and share one mean, the first is used.
        sample_rate: Samples per second [Hz].
        deduplicate: False makes all three views, as the original does.

    Raises:
        MMBenchError: There is less audio than one analysis window of 25 ms.
    """
    channels = np.ascontiguousarray(audio.reshape(len(audio), -1).T)
    samples = resample(channels, sample_rate, SAMPLE_RATE).astype(np.float64)
    if samples.shape[1] < WINDOW:
        raise MMBenchError(f"The audio has {samples.shape[1]} samples at 16 kHz.", f"at least {WINDOW}, one window")
    ranges = audio_ranges(samples.shape[1])
    first_equal = tuple(ranges.index(r) for r in ranges) if deduplicate else tuple(range(len(ranges)))
    mels = []
    for i in sorted(set(first_equal)):
        clip = samples[:, slice(*ranges[i])]
        clip -= clip.mean()
        mel = kaldi_fbank(clip[0], MELS)[:MEL_FRAMES]
        mels.append(np.pad(mel, ((0, MEL_FRAMES - len(mel)), (0, 0))).T[None])
    normal = (np.stack(mels) - MEL_MEAN) / MEL_STD
    return Views(torch.from_numpy(normal.astype(np.float32)), first_equal)


def mean_over_views(embed: Callable[[Tensor], Tensor], views: list[Views], batch_size: int) -> Tensor:
    """The mean embedding over all views of each clip, (clips, dim) float32; each distinct view is computed once.

    Args:
        embed: Maps (n, ...) views to (n, dim).
        views: Of each clip.
        batch_size: Views that go through the network at a time.
    """
    stacked = torch.cat([v.data for v in views])
    embeddings = torch.cat([embed(part) for part in stacked.split(batch_size)])
    parts = embeddings.split([len(v.data) for v in views])
    return torch.stack([v.counts().to(e) @ e / len(v.first_equal) for v, e in zip(views, parts, strict=True)])

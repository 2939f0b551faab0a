"""Frames as ImageBind and CLIP are shown them with Pillow's resizing, in place of ImageBind's own loader's.

hkchengrex/av-benchmark@050a5cd:av_bench/data/{video_dataset,ib_data}.py takes pairs of frames of a slow video,
JavisVerse/JavisDiT@b505b37:eval/javisbench/src/{dataset,metrics}.py every frame alone.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch
from torch import Tensor

from mmbench.metrics.networks.imagebind import CROP
from mmbench.metrics.networks.imagebind_preprocess import Views, normalised, pair_views
from mmbench.metrics.networks.video_frontend import centre_crop, fps_filter, resize_short_side

FRAME_SECONDS = 2  # av-benchmark shows half a frame per second
LONGEST = 8  # [s], of which it looks at


def slow_frames(num_frames: int, fps: Fraction) -> np.ndarray:
    """Indices of the frames that av-benchmark looks at: one per two whole seconds, of the first eight.

    ffmpeg rounds to the nearest, so these are not the frames at 0, 2, 4, 6 s but the last ones before 1, 3, 5, 7 s.

    Args:
        num_frames: Frames of the video.
        fps: Their rate [1/s].
    """
    whole = int(min(num_frames / fps, Fraction(LONGEST)) / FRAME_SECONDS)
    return fps_filter(num_frames, fps, Fraction(1, FRAME_SECONDS))[:whole]


def consecutive_views(frames: np.ndarray, *, deduplicate: bool = True) -> Views:
    """Normalised views (distinct, 3, 2, 224, 224) of frames (t, h, w, 3) uint8, out of 3 (t - 1).

    Each frame with the next, three crops of either: nine views of the four frames of eight seconds.

    Args:
        frames: At least two.
        deduplicate: False makes every view, as the original does.
    """
    normal = dict(enumerate(_normalised(resize_short_side(frames, CROP))))
    return pair_views(frames, normal, [(i, i + 1) for i in range(len(frames) - 1)], deduplicate)


def pictures(frames: np.ndarray) -> Tensor:
    """Normalised pictures (t, 3, 224, 224) of frames (t, h, w, 3) uint8: short side 224, then the middle."""
    return _normalised(centre_crop(resize_short_side(frames, CROP), CROP))


def _normalised(frames: np.ndarray) -> Tensor:
    return normalised(torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255.0)

"""Which frames SpecVQGAN looks at, and how: tiling to 10 s, centre crop, resampling, and the pixels of a frame.

Facts: v-iashin/SpecVQGAN@33c601d:feature_extraction/demo_utils.py (LeftmostCropOrTile, ExtractResNet50),
specvqgan/data/vggsound.py (CropFeats, ResampleFrames).
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from PIL.Image import Resampling

from mmbench.networks.pillow_resize import resize

FPS = Fraction(43, 2)  # rows of features per second
ROWS, CROPPED, COLUMNS = 215, 212, 5  # rows of 10 s, those of 9.84 s, and the feature tokens of the transformer
SHORTER_SIDE, SIDE = 256, 224
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def tile_rows(num: int, length: int = ROWS) -> np.ndarray:
    """(length,) rows of a clip with `num` rows: the first ones, over again from the start where there are fewer."""
    return np.arange(length) % num


def centre_rows(num: int, length: int = CROPPED) -> np.ndarray:
    """(length,) rows around the centre of `num`."""
    return (num - length) // 2 + np.arange(length)


def spread_rows(num: int, samples: int = COLUMNS, repeat: int = 1) -> np.ndarray:
    """(samples * repeat,) rows spread over `num`, shifted from the start towards the centre, each `repeat` times."""
    rows = np.linspace(0, num, samples, endpoint=False, dtype=np.int64) + num // (samples + 1)
    return rows.repeat(repeat)


def rows_of_clip(num: int) -> np.ndarray:
    """(5,) the rows of `num` that the transformer is given."""
    return tile_rows(num)[centre_rows(ROWS)][spread_rows(CROPPED)]


def crop_frame(frame: np.ndarray) -> np.ndarray:
    """(h, w, 3) uint8 RGB to (3, 224, 224) uint8: the shorter side to 256 (Pillow, bilinear), then the centre."""
    h, w = frame.shape[:2]
    size = (SHORTER_SIDE, SHORTER_SIDE * h // w) if w <= h else (SHORTER_SIDE * w // h, SHORTER_SIDE)
    resized = resize(frame, size[0], size[1], Resampling.BILINEAR) if (w, h) != size else frame
    left, top = (round((side - SIDE) / 2) for side in size)
    return resized[top : top + SIDE, left : left + SIDE].transpose(2, 0, 1)


def normalize(pixels: np.ndarray) -> np.ndarray:
    """(..., 3, h, w) uint8 to float32 with ImageNet's mean and deviation taken out."""
    mean, std = (np.array(values, np.float32)[:, None, None] for values in (MEAN, STD))
    return (pixels.astype(np.float32) / np.float32(255) - mean) / std

"""Pillow's resizing, the same with every release of it: the width first, then the height.

From 13 on, Pillow takes the height first where that is less work, as in most upright pictures. It rounds between the
two passes, so the order is up to 14 grey levels; the published code of networks ran on releases that had the one order,
which is torchvision's too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Resampling


def resize(image: np.ndarray, width: int, height: int, method: Resampling) -> np.ndarray:
    """An image (h, w, 3) uint8 as (height, width, 3) uint8.

    Args:
        image: RGB.
        width: The width wanted [px].
        height: The height wanted [px].
        method: Pillow's filter.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(image).resize((width, len(image)), method).resize((width, height), method))

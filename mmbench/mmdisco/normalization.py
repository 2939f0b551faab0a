"""GroupNorm, scale and shift, and SiLU on channels-last rows."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

NUM_GROUPS = 32


def normalize_modulate_silu(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """silu(group_norm(rows) * scale + shift), groups over everything but the batch.

    The channel axis is always the last one, so a video with as many frames as channels is nothing special.

    Args:
        rows: (b, ..., c).
        scale: (c,), or (b, c) for a scale per sample.
        shift: Like scale.
    """
    channels_first = rows.reshape(len(rows), 1, -1, rows.shape[-1]).permute(0, 3, 1, 2)
    if scale.ndim == 1:
        y = F.group_norm(channels_first, NUM_GROUPS, scale, shift)
    else:
        y = F.group_norm(channels_first, NUM_GROUPS)
        y = torch.addcmul(shift[:, :, None, None], y, scale[:, :, None, None])
    return F.silu(y).permute(0, 2, 3, 1).reshape(rows.shape)

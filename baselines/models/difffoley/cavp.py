"""CAVP's video encoder: a feature of every frame at 4 frames per second (arXiv 2306.17203, 3.1).

A SlowOnly ResNet-50, whose first layers look at single frames, and a linear layer; tensors have the official names.
Names and rules: luosiallen/Diff-Foley@0ba1e8a:inference/model/cavp_model.py, inference/model/cavp_modules.py,
inference/demo_util.py.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL.Image import Resampling
from torch import Tensor, nn

from mmbench.networks.pillow_resize import resize

FPS, SIDE = 4, 224
DEPTHS = (3, 4, 6, 3)  # bottlenecks per layer
SEES_TIME = (False, False, True, True)  # whether the first convolution of its bottlenecks spans three frames
EXPANSION = 4


class ConvNorm(nn.Module):
    """Convolution without bias and batch norm."""

    def __init__(self, in_channels: int, out_channels: int, time: int, side: int, stride: int = 1) -> None:
        super().__init__()
        padding = (time // 2, side // 2, side // 2)
        self.conv = nn.Conv3d(in_channels, out_channels, (time, side, side), (1, stride, stride), padding, bias=False)
        self.bn = nn.BatchNorm3d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn(self.conv(x))


class Bottleneck(nn.Module):
    """Three convolutions on top of a skip; the second one is strided in space."""

    def __init__(self, in_channels: int, channels: int, stride: int, sees_time: bool) -> None:
        super().__init__()
        out_channels = EXPANSION * channels
        self.conv1 = ConvNorm(in_channels, channels, 3 if sees_time else 1, 1)
        self.conv2 = ConvNorm(channels, channels, 1, 3, stride)
        self.conv3 = ConvNorm(channels, out_channels, 1, 1)
        narrower = in_channels != out_channels or stride != 1
        self.downsample = ConvNorm(in_channels, out_channels, 1, 1, stride) if narrower else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.conv2(F.relu(self.conv1(x))))
        return F.relu(self.downsample(x) + self.conv3(h))


class SlowOnly(nn.Module):
    """ResNet-50 on (n, 3, t, h, w) that keeps the time axis: (n, 32 base_channels, t)."""

    def __init__(self, base_channels: int = 64) -> None:
        super().__init__()
        self.conv1 = ConvNorm(3, base_channels, 1, 7, stride=2)
        width = base_channels
        for i, (depth, sees_time) in enumerate(zip(DEPTHS, SEES_TIME, strict=True)):
            channels, blocks = base_channels * 2**i, []
            for j in range(depth):
                blocks.append(Bottleneck(width, channels, 2 if i and not j else 1, sees_time))
                width = EXPANSION * channels
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
        self.out_channels = width

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool3d(F.relu(self.conv1(x)), (1, 3, 3), (1, 2, 2), (0, 1, 1))
        for i in range(len(DEPTHS)):
            x = self.get_submodule(f"layer{i + 1}")(x)
        return x.mean((3, 4))


class CAVP(nn.Module):
    """The video encoder of CAVP.

    Args:
        base_channels: Width of the first layer.
        embed_dim: Width of the features.
    """

    def __init__(self, base_channels: int = 64, embed_dim: int = 512) -> None:
        super().__init__()
        self.video_encoder = SlowOnly(base_channels)
        self.video_project_head = nn.Linear(self.video_encoder.out_channels, embed_dim)

    def project(self, video: Tensor) -> Tensor:
        """(n, t, 3, h, w) in [0, 1] to (n, t, embed_dim), of any length."""
        return self.video_project_head(self.video_encoder(video.transpose(1, 2)).mT)

    def forward(self, video: Tensor) -> Tensor:
        """Features of unit length. Layers that span frames see all t, which is at most 40 in the original."""
        return F.normalize(self.project(video), dim=-1)


def frames_for_cavp(video: np.ndarray) -> Tensor:
    """(t, h, w, 3) uint8 to (t, 3, 224, 224) float32 in [0, 1], by Pillow's bilinear filter; the aspect is not kept."""
    scaled = [resize(frame, SIDE, SIDE, Resampling.BILINEAR) for frame in video]
    return torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2).float() / 255

"""I3D, the video network of the Fréchet video distance: 400 Kinetics logits, averaged over time.

Network and key names follow wilson1yan/VideoGPT@733d2b1:videogpt/fvd/pytorch_i3d.py (those of piergiaj/pytorch-i3d);
padding and epsilon follow the TF-Hub graph deepmind/i3d-kinetics-400/1, of which the FVD weights are a conversion;
preprocessing follows universome/stylegan-v@3fecd69:src/metrics/frechet_video_distance.py.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import MMBenchError

NUM_LOGITS = 400
MIN_FRAMES = 9  # the last average pooling covers two time steps, each of eight frames
RESOLUTION = 224

# channels of the branches b0, b1a, b1b, b2a, b2b, b3b
MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
# before stage: (name, kernel, stride) over (t, h, w) of the max pooling
POOL_BEFORE = {
    "Conv3d_2b_1x1": ("MaxPool3d_2a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_3b": ("MaxPool3d_3a_3x3", (1, 3, 3), (1, 2, 2)),
    "Mixed_4b": ("MaxPool3d_4a_3x3", (3, 3, 3), (2, 2, 2)),
    "Mixed_5b": ("MaxPool3d_5a_2x2", (2, 2, 2), (2, 2, 2)),
}

Triple = tuple[int, int, int]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros before and after an axis of `size` under TensorFlow's SAME rule; the odd one comes after."""
    total = max(kernel - (stride if size % stride == 0 else size % stride), 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: Triple, stride: Triple) -> tuple[Tensor, Triple]:
    """Pad (n, c, t, h, w) by the SAME rule; symmetric padding is returned for the operator to do without a copy."""
    pads = [same_padding(n, k, s) for n, k, s in zip(x.shape[2:], kernel, stride, strict=True)]
    if all(front == back for front, back in pads):
        return x, (pads[0][0], pads[1][0], pads[2][0])
    (t0, t1), (h0, h1), (w0, w1) = pads
    return F.pad(x, (w0, w1, h0, h1, t0, t1)), (0, 0, 0)


def max_pool_same(x: Tensor, kernel: Triple, stride: Triple) -> Tensor:
    """Max pooling with SAME padding of a non-negative x, so that padding with zeros and with -inf agree."""
    x, padding = pad_same(x, kernel, stride)
    return F.max_pool3d(x, kernel, stride, padding)


class Unit3D(nn.Module):
    """Convolution without bias, batch normalisation, ReLU."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, bn_eps: float) -> None:
        super().__init__()
        self.kernel, self.stride = (kernel,) * 3, (stride,) * 3
        self.conv3d = nn.Conv3d(in_channels, out_channels, kernel, stride, bias=False)
        self.bn = nn.BatchNorm3d(out_channels, eps=bn_eps)

    def forward(self, x: Tensor) -> Tensor:
        x, padding = pad_same(x, self.kernel, self.stride)
        return F.relu_(self.bn(F.conv3d(x, self.conv3d.weight, None, self.stride, padding)))


class Mixed(nn.Module):
    """Inception block of four branches, concatenated over channels."""

    def __init__(self, in_channels: int, widths: tuple[int, ...], bn_eps: float) -> None:
        super().__init__()
        b0, b1a, b1b, b2a, b2b, b3b = widths
        self.b0 = Unit3D(in_channels, b0, 1, 1, bn_eps)
        self.b1a = Unit3D(in_channels, b1a, 1, 1, bn_eps)
        self.b1b = Unit3D(b1a, b1b, 3, 1, bn_eps)
        self.b2a = Unit3D(in_channels, b2a, 1, 1, bn_eps)
        self.b2b = Unit3D(b2a, b2b, 3, 1, bn_eps)
        self.b3b = Unit3D(in_channels, b3b, 1, 1, bn_eps)
        self.out_channels = b0 + b1b + b2b + b3b

    def forward(self, x: Tensor) -> Tensor:
        pooled = max_pool_same(x, (3, 3, 3), (1, 1, 1))
        return torch.cat([self.b0(x), self.b1b(self.b1a(x)), self.b2b(self.b2a(x)), self.b3b(pooled)], dim=1)


class Logits(nn.Module):
    """1x1x1 convolution with bias."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv3d = nn.Conv3d(in_channels, NUM_LOGITS, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv3d(x)


class I3D(nn.Module):
    """Inception I3D on RGB, 12.7 M parameters.

    Args:
        bn_eps: Batch-norm epsilon: 1e-3 in the TF-Hub graph and in FVD, 1e-5 in the ports of VideoGPT, MM-Diffusion
            and cd-fvd, whose values are therefore close but not equal.
    """

    def __init__(self, bn_eps: float = 1e-3) -> None:
        super().__init__()
        self.Conv3d_1a_7x7 = Unit3D(3, 64, 7, 2, bn_eps)
        self.Conv3d_2b_1x1 = Unit3D(64, 64, 1, 1, bn_eps)
        self.Conv3d_2c_3x3 = Unit3D(64, 192, 3, 1, bn_eps)
        channels = 192
        for name, widths in MIXED.items():
            block = Mixed(channels, widths, bn_eps)
            self.add_module(name, block)
            channels = block.out_channels
        self.logits = Logits(channels)
        self.eval()

    def forward(self, x: Tensor, tap: Callable[[str, Tensor], object] = lambda name, output: None) -> Tensor:
        """Map (n, 3, t, 224, 224) in [-1, 1] to (n, 400) logits before the softmax, averaged over time.

        Args:
            x: Frames; t >= 9.
            tap: Called with the name and output of each stage.

        Raises:
            MMBenchError: Fewer than nine frames.
        """
        if x.shape[2] < MIN_FRAMES:
            raise MMBenchError(f"I3D got {x.shape[2]} frames.", f"at least {MIN_FRAMES}")
        for stage, module in self.named_children():
            if stage in POOL_BEFORE:
                pool, kernel, stride = POOL_BEFORE[stage]
                x = max_pool_same(x, kernel, stride)
                tap(pool, x)
            elif stage == "logits":
                x = F.avg_pool3d(x, (2, 7, 7), stride=1)
                tap("avg_pool", x)
            x = module(x)
            tap(stage, x)
        return x.flatten(3).squeeze(3).float().mean(dim=2)


def preprocess_frames(frames: Tensor) -> Tensor:
    """Make (n, 3, t, 224, 224) float32 in [-1, 1] of (n, t, h, w, 3) uint8 RGB.

    Every frame is stretched to 224x224, bilinearly, without antialiasing; nothing is cropped.
    """
    n, t, h, w, _ = frames.shape
    x = frames.permute(0, 1, 4, 2, 3).reshape(n * t, 3, h, w).float() / 255 * 2 - 1
    x = F.interpolate(x, (RESOLUTION, RESOLUTION), mode="bilinear", align_corners=False, antialias=False)
    return x.reshape(n, t, 3, RESOLUTION, RESOLUTION).transpose(1, 2).contiguous()

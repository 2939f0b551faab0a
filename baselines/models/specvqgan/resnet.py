"""ResNet-50 (arXiv 1512.03385) as SpecVQGAN's features of frames; names and shapes are torchvision's.

Facts: pytorch/vision@054e54c:torchvision/models/resnet.py, whose stride is in the 3x3 convolution ("v1.5").
"""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3, 1x1 convolutions with batch norm and a skip connection."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False), nn.BatchNorm2d(width)
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        fits = channels == out and stride == 1
        skip = () if fits else (nn.Conv2d(channels, out, 1, stride, bias=False), nn.BatchNorm2d(out))
        self.downsample = nn.Sequential(*skip)  # without layers it is the identity

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.bn1(self.conv1(x)))
        h = F.relu(self.bn2(self.conv2(h)))
        return F.relu(self.bn3(self.conv3(h)) + self.downsample(x))


class ResNet(nn.Module):
    """A residual network of bottlenecks; the defaults are ResNet-50.

    Args:
        layers: Blocks of the four sizes.
        width: Channels of the first convolution.
        num_classes: Scores of `fc`, which features do not need but the published file has.
    """

    def __init__(self, layers: Sequence[int] = (3, 4, 6, 3), width: int = 64, num_classes: int = 1000) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False), nn.BatchNorm2d(width)
        self.layer1 = level(width, width, layers[0], 1)
        self.layer2 = level(width * EXPANSION, 2 * width, layers[1], 2)
        self.layer3 = level(2 * width * EXPANSION, 4 * width, layers[2], 2)
        self.layer4 = level(4 * width * EXPANSION, 8 * width, layers[3], 2)
        self.fc = nn.Linear(8 * width * EXPANSION, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """(n, 3, h, w) normalised images to (n, 2048) features, averaged over places."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(images))), 3, 2, padding=1)
        return self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean((2, 3))


def level(channels: int, width: int, blocks: int, stride: int) -> nn.Sequential:
    """Blocks of one size; the first one changes it."""
    rest = (Bottleneck(width * EXPANSION, width, 1) for _ in range(blocks - 1))
    return nn.Sequential(Bottleneck(channels, width, stride), *rest)

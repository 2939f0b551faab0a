"""Cnn14 of PANNs, a convolutional network that names 527 kinds of sound in a spectrogram (arXiv 1912.10211).

Own writing of hkchengrex/av-benchmark@050a5cd:av_bench/panns/models.py under the key names of the published checkpoint;
spectrograms are made outside (`sound_spectra`), so the tensors of its front end have no place.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

WIDTHS = (64, 128, 256, 512, 1024, 2048)  # channels of the six blocks
SMALL_WIDTHS = (4, 4, 8, 8, 16, 32)  # for dry runs
MELS, CLASSES = 64, 527
MIN_FRAMES = 32  # of which five poolings leave one
FRONT_END = (  # tensors of the checkpoint that follow from the analysis window and the mel bands
    "spectrogram_extractor.stft.conv_real.weight",
    "spectrogram_extractor.stft.conv_imag.weight",
    "logmel_extractor.melW",
)


class ConvBlock(nn.Module):
    """Two convolutions with batch norm and ReLU, and average pooling.

    Args:
        channels_in: Before.
        channels: After.
        pool: Side of the pooling.
    """

    def __init__(self, channels_in: int, channels: int, pool: int) -> None:
        super().__init__()
        self.pool = pool
        self.conv1 = nn.Conv2d(channels_in, channels, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(channels), nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(x)))
        return F.avg_pool2d(F.relu(self.bn2(self.conv2(x))), self.pool)


class Cnn14(nn.Module):
    """Cnn14, 80.8 M parameters at its published size.

    Args:
        mels: Bands of the spectrogram.
        classes: Kinds of sound.
        widths: Channels of the blocks.
    """

    def __init__(self, mels: int = MELS, classes: int = CLASSES, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(mels)
        self.num_blocks = len(widths)
        for i, (channels_in, channels) in enumerate(zip((1, *widths), widths, strict=False), start=1):
            self.add_module(f"conv_block{i}", ConvBlock(channels_in, channels, 2 if i < len(widths) else 1))
        self.fc1 = nn.Linear(widths[-1], widths[-1])
        self.fc_audioset = nn.Linear(widths[-1], classes)
        self.eval()

    def forward(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Map log-mel spectrograms (n, frames, mels) in dB to features (n, 2048) >= 0 and logits (n, classes)."""
        x = self.bn0(log_mel.transpose(1, 2)[..., None])  # bands stand for channels
        x = x.permute(0, 3, 2, 1)
        for i in range(1, self.num_blocks + 1):
            x = self.get_submodule(f"conv_block{i}")(x)
        x = x.mean(dim=3)
        features = F.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2)))
        return features, self.fc_audioset(features)

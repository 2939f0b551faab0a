"""VGGish, the audio network of the Fréchet audio distance: 128 numbers per 0.96 s, before the last ReLU.

Network and key names of harritaylor/torchvggish@f3f9096:torchvggish/vggish.py; the last ReLU is dropped and audio is
prepared as in haoheliu/audioldm_eval@8dc07ee (audioldm_eval/metrics/fad.py, audioldm_eval/datasets/load_mel.py).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, resample

EMBEDDING_DIM = 128
MIN_SAMPLES = 32000  # shorter audio is padded to 2 s, so that 1.6 s gives two examples too


class VGGish(nn.Module):
    """VGG on log-mel examples, 72.1 M parameters."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 1
        for width in (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool"):
            if isinstance(width, str):
                layers.append(nn.MaxPool2d(2, 2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        self.features = nn.Sequential(*layers)
        self.embeddings = nn.Sequential(
            nn.Linear(512 * 6 * 4, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, EMBEDDING_DIM),
        )
        self.eval()

    def forward(self, examples: Tensor) -> Tensor:
        """Map log-mel examples (n, 96, 64) to (n, 128), before the last ReLU."""
        x = self.features(examples[:, None])
        return self.embeddings(x.permute(0, 2, 3, 1).flatten(1))  # channels last, as TensorFlow flattens


def prepare_waveform(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """The waveform that audioldm_eval gives VGGish: (s,) or (s, channels) to (m,) at 16 kHz, m >= 32000, all float32.

    First channel, minus its mean, resampled, zeros appended up to two seconds; never cut, clipped or normalised.

    Args:
        audio: Samples in [-1, 1]; several channels stand in the second axis.
        sample_rate: Samples per second [Hz].
    """
    first = audio.reshape(len(audio), -1)[:, 0]
    centred = first - torch.from_numpy(np.ascontiguousarray(first)).mean().numpy()
    waveform = resample(centred, sample_rate, SAMPLE_RATE)
    return np.pad(waveform, (0, max(MIN_SAMPLES - len(waveform), 0)))

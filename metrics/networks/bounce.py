"""The feature networks of the bounce dataset: small towers for video, sound and text, made by this repository.

They take the place of I3D, VGGish and ImageBind where nothing may be downloaded. Video and sound are read as 16 steps
of 1/8 s, so features and embeddings know when something happens. `scripts/train_bounce_features.py` makes the weights;
what they were trained on is in `data/bounce_features.md`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.errors import MMBenchError
from mmbench.metrics.networks.audio_frontend import FFT, SAMPLE_RATE, mel_filters, resample
from mmbench.networks.state_dicts import load_state

STEPS, FPS, SIZE = 16, 8.0, 64  # frames, their rate [1/s], their height and width [px]
NUM_SAMPLES, HOP, NUM_MELS = 32000, 250, 48  # 8 hops per frame
SILENCE = 0.1  # added to magnitudes, which reach some 100; noise 60 dB below full scale is not heard
WORDS = ("a", "ball", "balls", "bouncing", "glass", "large", "metal", "plastic", "rubber", "small", "two", "wooden")
WIDTH, FEATURE_DIM, SCENE_DIM, EVENT_DIM = 64, 32, 32, 8
EMBEDDING_DIM = SCENE_DIM + STEPS * EVENT_DIM


def frames_of(video: np.ndarray, fps: float) -> Tensor:
    """What the video tower reads: (t, h, w, 3) uint8 of any size and rate to (16, 3, 64, 64) float32 in [0, 1].

    Takes the frame nearest to each k / 8 s, the last one where the video has ended, and stretches it to 64x64.

    Raises:
        MMBenchError: The video has no frames.
    """
    if not len(video):
        raise MMBenchError("The clip has no frames.", "at least one")
    nearest = np.rint(np.arange(STEPS) * (fps / FPS)).astype(int)
    frames = np.ascontiguousarray(video[np.minimum(nearest, len(video) - 1)])
    x = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    return x if x.shape[2:] == (SIZE, SIZE) else F.interpolate(x, (SIZE, SIZE), mode="bilinear", antialias=True)


def log_mel(audio: np.ndarray, sample_rate: int) -> Tensor:
    """What the audio tower reads: (s,) samples in [-1, 1] to (128, 48) float32, centred every 1/64 s.

    The first two seconds, zeros where they are missing; magnitudes of 32 ms windows through 48 bands of 60 to 8000 Hz,
    log(mel + 0.1); float64 inside.

    Raises:
        MMBenchError: There is no audio.
    """
    if not len(audio):
        raise MMBenchError("The clip has no audio.", "at least one sample")
    wave = resample(audio, sample_rate, SAMPLE_RATE)[:NUM_SAMPLES].astype(np.float64)
    margin = (FFT - HOP) // 2
    wave = np.pad(wave, (margin, margin + NUM_SAMPLES - len(wave)))
    windows = np.lib.stride_tricks.sliding_window_view(wave, FFT)[::HOP]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)
    mel = np.abs(np.fft.rfft(windows * hann)) @ mel_filters(NUM_MELS, 60.0, SAMPLE_RATE / 2)
    return torch.from_numpy(np.log(mel + SILENCE).astype(np.float32))


def words_of(texts: Sequence[str]) -> Tensor:
    """Which known words each text holds: (n, 12) float32, rows of sum 1, or 0 for a text without any."""
    counts = [[text.lower().split().count(word) for word in WORDS] for text in texts]
    table = torch.tensor(counts, dtype=torch.float32).reshape(len(texts), len(WORDS))
    return table / table.sum(1, keepdim=True).clamp_min(1.0)


def _block(channels: int, width: int, kernel: int, stride: int) -> nn.Sequential:
    """Convolution over a picture that becomes `stride` times smaller."""
    padding = (kernel - stride + 1) // 2
    convolution = nn.Conv2d(channels, width, kernel, stride, padding, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


class Timeline(nn.Module):
    """Two convolutions over the 16 steps, (n, 64, 16) to the same, each seeing two steps to either side."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Sequential(
            nn.BatchNorm1d(WIDTH),
            nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, padding=2),
            nn.BatchNorm1d(WIDTH),
            nn.ReLU(),
            nn.Conv1d(WIDTH, WIDTH, 5, padding=2),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Add what the neighbouring steps tell."""
        return x + self.mix(x)


class Tower(nn.Module, ABC):
    """From one clip's steps to its features, of unit variance on real clips, and to its embedding, of unit length."""

    def __init__(self) -> None:
        super().__init__()
        self.timeline = Timeline()
        self.squeeze = nn.Conv1d(WIDTH, EVENT_DIM, 1)
        self.features = nn.Sequential(
            nn.Linear(WIDTH + STEPS * EVENT_DIM, FEATURE_DIM), nn.BatchNorm1d(FEATURE_DIM, affine=False)
        )
        self.scene = nn.Linear(WIDTH, SCENE_DIM)
        self.events = nn.Conv1d(WIDTH, EVENT_DIM, 1)

    @abstractmethod
    def steps(self, x: Tensor) -> Tensor:
        """Each step on its own: (n, 64, 16)."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Map what `frames_of` or `log_mel` made of n clips to features (n, 32) and embeddings (n, 160)."""
        h = self.timeline(self.steps(x))
        mean = h.mean(2)
        features = self.features(torch.cat([mean, self.squeeze(h).flatten(1)], 1))
        return features, F.normalize(torch.cat([self.scene(mean), self.events(h).flatten(1)], 1))


class VideoTower(Tower):
    """Each picture on its own, in patches of 4x4, until the timeline."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Sequential(_block(3, 24, 4, 4), _block(24, 32, 3, 2), _block(32, 48, 3, 2))
        self.gather = nn.Linear(48 * 4 * 4, WIDTH)

    def steps(self, x: Tensor) -> Tensor:
        """(n, 16, 3, 64, 64) in [0, 1] to (n, 64, 16)."""
        pictures = self.look(x.flatten(0, 1)).flatten(1)
        return self.gather(pictures).unflatten(0, (len(x), STEPS)).transpose(1, 2)


class AudioTower(Tower):
    """A log-mel picture whose time axis shrinks to the 16 steps."""

    def __init__(self) -> None:
        super().__init__()
        self.listen = nn.Sequential(_block(1, 16, 3, 2), _block(16, 32, 3, 2), _block(32, 48, 3, 2))
        self.gather = nn.Conv1d(48 * NUM_MELS // 8, WIDTH, 1)

    def steps(self, x: Tensor) -> Tensor:
        """(n, 128, 48) to (n, 64, 16)."""
        return self.gather(self.listen(0.25 * x[:, None]).transpose(1, 2).flatten(2).transpose(1, 2))


class TextTower(nn.Module):
    """A bag of words; unknown words say nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(len(WORDS), WIDTH), nn.ReLU(), nn.Linear(WIDTH, EMBEDDING_DIM))

    def forward(self, words: Tensor) -> Tensor:
        """Map what `words_of` made of n texts to embeddings (n, 160)."""
        return F.normalize(self.layers(words))


def towers() -> nn.ModuleDict:
    """The three towers without their weights, for training."""
    return nn.ModuleDict({"video": VideoTower(), "audio": AudioTower(), "text": TextTower()})


def load(tower: str, weights: Path) -> nn.Module:
    """The "video", "audio" or "text" tower, ready to evaluate, with its part of a .safetensors file.

    Raises:
        MMBenchError: The file lacks a tensor, or holds one of another shape.
    """
    from safetensors.torch import load_file

    network = towers()[tower]
    prefix = f"{tower}."
    stored = {k.removeprefix(prefix): v for k, v in load_file(weights).items() if k.startswith(prefix)}
    state = {k: v.float() if v.is_floating_point() else v for k, v in stored.items()}
    load_state(network, state, weights.name, extra="leave")
    return network.eval()

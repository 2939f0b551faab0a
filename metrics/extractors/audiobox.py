"""Audiobox Aesthetics' four scores of a sound."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from mmbench.metrics.extractors.base import PublishedExtractor, require_sound
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip, Features, Modality
from mmbench.weights import checkpoints as published

WINDOWS_AT_A_TIME = 4  # through the network: 10 s each


class AudioboxExtractor(PublishedExtractor):
    """`scores` (4,) float64 of a sound, in the order CE, CU, PC, PQ, and whether it is `silent` from end to end.

    Random weights come in a small size, of width 24.
    """

    name = "audiobox"
    modality: Modality = "audio"
    official = ("audiobox", "audiobox_config")
    preprocessing = "torchaudio's Resample to 16 kHz, windows of 10 s, weighted by what of them is real, float32 (1)"
    default_batch_size = 4

    @cached_property
    def scale(self) -> Any:
        """Mean and standard deviation of people's ratings, by axis."""
        from mmbench.metrics.networks.audiobox import AXES
        from mmbench.metrics.networks.audiobox_windows import read_scale

        if self.weights == "real":
            return read_scale(published.verify("audiobox_config").path, AXES)
        return {axis: {"mean": 5.5, "std": 1.5} for axis in AXES}

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        return [self._listen_to(network, clip) for clip in batch]

    def _listen_to(self, network: Any, clip: Clip) -> Features:
        import torch

        from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, resample
        from mmbench.metrics.networks.audiobox_windows import clip_scores, windows

        audio = require_sound(clip)
        cut, samples = windows(resample(audio, clip.sample_rate, SAMPLE_RATE))
        real = np.arange(cut.shape[1]) < samples[:, None]
        raw = [
            network(waves.to(self.device), mask.to(self.device)).cpu().numpy()
            for waves, mask in zip(
                torch.from_numpy(cut).split(WINDOWS_AT_A_TIME),
                torch.from_numpy(real).split(WINDOWS_AT_A_TIME),
                strict=True,
            )
        ]
        scores = clip_scores(np.concatenate(raw), samples, self.scale)
        return {"scores": np.array(list(scores.values())), "silent": np.array(not audio.any())}

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.audiobox import FULL, Audiobox, load

        with torch.device("meta"):
            network = Audiobox(FULL)
        load(network, published.load_state_dict("audiobox"), "the Audiobox weights")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.audiobox import SMALL, Audiobox

        network = Audiobox(SMALL)
        fill_randomly(network, self.salt)
        return network

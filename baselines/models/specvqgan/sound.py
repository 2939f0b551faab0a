"""SpecVQGAN (arXiv 2110.08791) as a video-to-audio model: ResNet-50 features, codes of a spectrogram, MelGAN.

It makes 9.84 s from features of 10 s. A shorter clip is tiled, as the original does, and the first seconds are kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmbench.baselines.parts.options import CommonOptions
from mmbench.errors import UsageError
from mmbench.media.resample import resample_audio
from mmbench.types import Clip, Dataset, Request, Spec, Weights

if TYPE_CHECKING:
    from mmbench.baselines.models.specvqgan.model import SpecVQGANModel

TRANSFORMER = "2021-07-30T21-34-25_vggsound_transformer"
FILES = ("resnet50", "specvqgan_transformer", "specvqgan_melgan")
NUM_SAMPLES, SAMPLE_RATE = 217088, 22050  # of what it makes: 848 frames, 256 samples each
TOP_K, TEMPERATURE = 512, 1.0
TOGETHER = 8  # samples in the transformer, whose weights are read once per code


class SpecVQGAN:
    """SpecVQGAN as a video-to-audio model; the codes of a sound are drawn from its request's own stream."""

    name = "specvqgan"
    batch_size = TOGETHER

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        dtype: str = "float32",
        weights: str = "real",
        size: str = "full",
    ) -> None:
        """Check the options and look for the weights; the networks are loaded when first used.

        Args:
            dataset: Gives the length and rate of the sound.
            device: auto, cpu, cuda.
            dtype: Precision of the transformer; features, decoding and the vocoder stay in float32.
            weights: "real", or "random" to try the plumbing at full size.
            size: "full"; "tiny" is narrow networks of the same classes with random weights.

        Raises:
            UsageError: An option has an unknown value, or the dataset's clips are longer than 9.84 s.
            MMBenchError: Weights are not here; says how to get them.
        """
        self._common = CommonOptions.read(self.name, size, weights, dtype)
        self.format = dataset.format
        if self.format.num_samples * SAMPLE_RATE > NUM_SAMPLES * self.format.sample_rate:
            seconds = self.format.num_samples / self.format.sample_rate
            found = f"{self.name} makes {NUM_SAMPLES / SAMPLE_RATE:.2f} s; clips of {dataset.name} have {seconds:g} s."
            raise UsageError(found, "a dataset of shorter clips")
        self.weights: Weights = self._common.weights
        self._device = device
        self._components = self._common.digests(FILES)

    def spec(self) -> Spec:
        """Components and their digests, how codes are drawn, and what is done about the length."""
        seconds = self.format.num_samples / self.format.sample_rate
        return {
            "system": self.name,
            "version": 1,
            "components": {**self._components, "dtype": self._common.dtype},
            "transformer": TRANSFORMER,
            "top_k": TOP_K,
            "temperature": TEMPERATURE,
            "length": f"features tiled to 10 s, first {seconds:g} s kept",
        }

    def sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> list[np.ndarray]:
        """Make the sound of each clip's video.

        Args:
            requests: Their streams draw the codes.
            clips: Their clips, of which only the video is used.

        Returns:
            (num_samples,) float32 in [-1, 1] each, at the dataset's sample rate.
        """
        sounds = []
        waves = self._model.waves(requests, clips, TOP_K, TEMPERATURE)
        for clip, wave in zip(clips, waves, strict=True):
            made = resample_audio(replace(clip, audio=wave, sample_rate=SAMPLE_RATE), self.format.sample_rate)
            sounds.append(made.audio[: self.format.num_samples])
        return sounds

    @cached_property
    def _model(self) -> SpecVQGANModel:
        from mmbench.baselines.models.specvqgan.model import SpecVQGANModel
        from mmbench.networks.devices import local_device

        return SpecVQGANModel(self.weights, local_device(self._device), self._common.torch_dtype(), TOGETHER)

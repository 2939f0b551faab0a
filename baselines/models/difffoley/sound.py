"""Diff-Foley (arXiv 2306.17203) as a video-to-audio model of cascades.

It always makes 8.2 s from 8.2 s of video. A shorter clip is repeated to that length, and the first of the sound is
kept: a choice of ours, for the original gives nothing for less than 8 s. See luosiallen/Diff-Foley@0ba1e8a:inference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from mmbench.baselines.models.difffoley.sampling import Sampling
from mmbench.baselines.parts.options import CommonOptions, require_at_least, require_choice
from mmbench.errors import NonFiniteError, UsageError
from mmbench.types import Clip, Dataset, Request, Spec, Weights

if TYPE_CHECKING:
    from mmbench.baselines.models.difffoley.model import DiffFoleyModel

VERSION = 1  # raised when the code changes what it draws
SECONDS, FPS, NUM_FRAMES = 8.2, 4, 33  # of video; the original's re-encoding leaves 33 frames of 8.2 s, too
SAMPLE_RATE, NUM_SAMPLES = 16000, 511 * 256  # of sound, 8.176 s
TILE = 8
INVERSION_SAMPLE_RATES = (16000, 22050)


class DiffFoley:
    """Diff-Foley as published: 25 steps, guided by the video (4.5) and by the alignment classifier (50).

    Args:
        dataset: The dataset that is generated for; its format gives length and rate of the sound.
        device: auto, cpu, cuda.
        dtype: Precision of the denoiser; guidance and decoding stay in float32.
        weights: "real", or "random" to try the plumbing at full size.
        size: "full"; "tiny" is narrow networks of the same classes with random weights.
        num_inference_steps: Steps of DPM-Solver++ 2M.
        guidance_scale: Classifier-free guidance.
        classifier_scale: Guidance by the alignment classifier; 0 turns it off and needs no classifier.
        inversion_sample_rate: 16000, or 22050 to invert mel spectrograms as the original's notebook does, by mistake.
        tile: Clips that go through the denoiser together on a GPU, whatever the batch; on a CPU it is one.

    Raises:
        UsageError: An option has an unknown value, or the dataset wants more sound than there is.
        MMBenchError: Weights are not here; says how to get them.
    """

    name = "difffoley"

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        dtype: str = "float32",
        weights: str = "real",
        size: str = "full",
        num_inference_steps: int = 25,
        guidance_scale: float = 4.5,
        classifier_scale: float = 50.0,
        inversion_sample_rate: int = SAMPLE_RATE,
        tile: int = TILE,
    ) -> None:
        self._common = CommonOptions.read("Diff-Foley", size, weights, dtype)
        require_choice("Diff-Foley", "inversion_sample_rate", inversion_sample_rate, INVERSION_SAMPLE_RATES)
        require_at_least("Diff-Foley", "num_inference_steps", num_inference_steps, 2)
        require_at_least("Diff-Foley", "tile", tile, 1)
        self.format = dataset.format
        seconds = self.format.num_samples / self.format.sample_rate
        if seconds > (most := NUM_SAMPLES / SAMPLE_RATE):
            raise UsageError(f"{dataset.name} has {seconds:g} s of sound.", f"at most the {most:g} s of Diff-Foley")
        self.weights: Weights = self._common.weights
        self.batch_size, self._device = tile, device
        self._rate = inversion_sample_rate
        self._sampling = Sampling(num_inference_steps, guidance_scale, classifier_scale)
        names = ("difffoley_cavp", "difffoley_ldm", *["difffoley_classifier"] * bool(classifier_scale))
        self._components = self._common.digests(names)

    def spec(self) -> Spec:
        """Components and their digests, sampling, and what is made of a clip that is not 8.2 s long."""
        kept = self.format.num_samples / self.format.sample_rate
        return {
            "system": self.name,
            "version": VERSION,
            "components": {**self._components, "dtype": self._common.dtype, "tile": self.batch_size},
            "sampling": {"sampler": "dpmsolver++2m", **asdict(self._sampling)},
            "inversion_sample_rate": self._rate,
            "clip": f"clip tiled to {SECONDS} s, first {kept:g} s kept",
        }

    @cached_property
    def _place(self) -> str:
        from mmbench.networks.devices import local_device

        return local_device(self._device)

    @cached_property
    def _model(self) -> DiffFoleyModel:
        from mmbench.baselines.models.difffoley.model import DiffFoleyModel
        from mmbench.baselines.parts.loading import Parts

        precision = self._common.torch_dtype()
        parts = {name: Parts(name, self.weights, self._place, precision) for name in self._components}
        return DiffFoleyModel(parts, self._sampling)

    def sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> list[np.ndarray]:
        """The sound of each clip's video, (num_samples,) float32 in [-1, 1] at the dataset's rate.

        Noise comes from the request's own stream "audio noise", phases from "phases"; a clip's sound is the same
        whatever others it came with.

        Raises:
            NonFiniteError: A sound holds NaN or infinity.
        """
        import torch

        from mmbench.baselines.kinds.pair import generator_of
        from mmbench.baselines.models.difffoley.mel import image_to_wave
        from mmbench.baselines.models.difffoley.model import LATENT
        from mmbench.mmdisco.samplers import initial_noise

        rows, waves = (1 if self._place == "cpu" else self.batch_size), []
        for start in range(0, len(requests), rows):
            some = requests[start : start + rows]
            filled = [*some, *[some[-1]] * (rows - len(some))]
            generators = [generator_of(r, "audio noise") for r in filled]
            noise = initial_noise(LATENT, generators, torch.device(self._model.device))
            features = [self._model.features(eight_seconds(clip)) for clip in clips[start : start + rows]]
            features += features[-1:] * (rows - len(some))
            latents = self._model.sample(torch.stack(features), noise)
            for request, latent in zip(some, latents, strict=False):  # what is filled up is dropped
                wave = image_to_wave(self._model.image(latent), request.rng("phases"), self._rate)
                waves.append(self._fit(wave))
        return waves

    def _fit(self, wave: np.ndarray) -> np.ndarray:
        """Resample a sound at 16 kHz to the dataset's rate and cut it to its length."""
        from mmbench.media.resample import resample_audio

        if not np.isfinite(wave).all():
            raise NonFiniteError("Diff-Foley's sound holds NaN or infinity.", "finite samples")
        clip = Clip(np.zeros((0, 1, 1, 3), np.uint8), FPS, np.clip(wave, -1.0, 1.0), SAMPLE_RATE)
        return resample_audio(clip, self.format.sample_rate).audio[: self.format.num_samples]


def eight_seconds(clip: Clip) -> np.ndarray:
    """(33, h, w, 3) uint8: 8.2 s of a clip's video at 4 frames per second; a shorter one starts again."""
    from mmbench.media.resample import resample_video

    index = np.arange(math.ceil(SECONDS * float(clip.fps))) % len(clip.video)
    tiled = Clip(clip.video[index], clip.fps, np.zeros(0, np.float32), SAMPLE_RATE)
    return resample_video(tiled, FPS).video[:NUM_FRAMES]

"""What the systems of a text-to-video and a text-to-sound model share: their options, and what these are by default.

Preset "paper" samples as arXiv 2405.17842 says: DPM-Solver++ 2M on the models' own noise schedules. Preset
"mmdisco-release" samples as SonyResearch/MMDisCo@3b9f84f does: ancestral DDPM, another schedule for VideoCrafter2,
joint scale 8 on every video, a flattened logit, and silence noised afresh at every step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from mmbench import weights as published
from mmbench.baselines.pair_system import DiffusionPair, PairSystem, Sampling
from mmbench.errors import UsageError
from mmbench.registry import SystemName
from mmbench.types import Dataset, Weights

if TYPE_CHECKING:
    from mmbench.baselines.components import Parts

PAPER, RELEASE = "paper", "mmdisco-release"
OPTIONS = {
    "size": ("full", "tiny"),
    "weights": ("real", "random"),
    "preset": (PAPER, RELEASE),
    "dtype": ("float32", "float16", "bfloat16"),
    "sampler": ("dpmsolver++2m", "ddpm", "ddim"),
}
RELEASED_JOINT_SCALE = (8.0, 1.0)
TOGETHER = 8  # samples on a GPU; a CPU gains nothing by more than one


class LatentSystem(PairSystem):
    """A pair of published models; subclasses say which.

    Attributes:
        base: Registered name.
        models: Their names, and those of what they are read with, in `mmbench.known_weights`.
        guided_by_text: Text guidance of video and audio.
        guided_by_joint: The paper's weights of the discriminator's gradient on video and audio.
        released_discriminator: Name of the one that MMDisCo's authors released.
    """

    base: ClassVar[str]
    models: ClassVar[tuple[str, ...]]
    guided_by_text: ClassVar[tuple[float, float]]
    guided_by_joint: ClassVar[tuple[float, float]]
    released_discriminator: ClassVar[str]

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        dtype: str = "float32",
        size: str = "full",
        weights: str = "real",
        preset: str = PAPER,
        sampler: str | None = None,
        num_inference_steps: int = 50,
        free_scale: tuple[float, float] | None = None,
        joint_scale: tuple[float, float] | None = None,
        guidance: SystemName | None = None,
    ) -> None:
        """Check the options and look for the weights; the models are loaded when first used.

        Args:
            dataset: What is generated for.
            device: auto, cpu, cuda.
            dtype: Precision of the denoisers; guidance, texts and decoding stay in float32.
            size: "full"; "tiny" is narrow networks of the same classes with random weights.
            weights: "real", or "random" to try the plumbing at full size.
            preset: "paper" or "mmdisco-release".
            sampler: "dpmsolver++2m", "ddpm" or "ddim", instead of the preset's.
            num_inference_steps: Steps of the sampler.
            free_scale: Text guidance of (video, audio), instead of the paper's.
            joint_scale: Weights of the discriminator's gradient on (video, audio), instead of the preset's.
            guidance: The name with +mmdisco; None for the pair alone.

        Raises:
            UsageError: An option has an unknown value.
            MMBenchError: Weights are not here; says how to get them.
        """
        as_released = preset == RELEASE
        sampler = sampler or ("ddpm" if as_released else "dpmsolver++2m")
        given = {"size": size, "weights": weights, "preset": preset, "dtype": dtype, "sampler": sampler}
        for option, value in given.items():
            if value not in OPTIONS[option]:
                raise UsageError(f"{self.base} has no {option} {value!r}.", f"one of {', '.join(OPTIONS[option])}")
        if num_inference_steps < 1:
            raise UsageError(f"{self.base} cannot sample in {num_inference_steps} steps.", "a whole number from 1")
        kind: Weights = "tiny" if size == "tiny" else "random" if weights == "random" else "real"
        sampling = Sampling(
            sampler,
            num_inference_steps,
            free_scale or self.guided_by_text,
            joint_scale or (RELEASED_JOINT_SCALE if as_released else self.guided_by_joint),
        )
        components = {name: published.digest(name) if kind == "real" else kind for name in self.models}

        def load() -> DiffusionPair:
            import torch

            from mmbench.baselines.components import Parts, local_device

            place = local_device(device)
            precision = None if dtype == "float32" else getattr(torch, dtype)
            together = 1 if place == "cpu" else TOGETHER
            shared = {"sampling": sampling, "device": place, "dtype": precision, "together": together}
            parts = {name: Parts(name, kind, place, precision) for name in self.models}
            return self.load(parts, as_released, {**shared, "small": kind == "tiny"})

        super().__init__(
            self.base,
            load,
            {**components, "dtype": dtype, "preset": preset},
            kind,
            sampling,
            dataset,
            guidance,
            batch_size=TOGETHER,
            untrained_guide=kind != "real",
            released=self.released_discriminator if kind == "real" else "",
            released_logit=as_released,
        )

    @abstractmethod
    def load(self, parts: Mapping[str, Parts], as_released: bool, settings: Mapping[str, Any]) -> DiffusionPair:
        """The `LatentPair`.

        Args:
            parts: Where each of `models` comes from.
            as_released: Whether to sample as MMDisCo's release does.
            settings: Further arguments of `LatentPair`.
        """

"""What the systems of a text-to-video and a text-to-sound model share: their options, and what these are by default.

Preset "paper" samples as arXiv 2405.17842 says: DPM-Solver++ 2M on the models' own noise schedules. Preset
"mmdisco-release" samples as SonyResearch/MMDisCo@3b9f84f does: ancestral DDPM, another schedule for VideoCrafter2,
joint scale 8 on every video, a flattened logit, and silence noised afresh at every step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.errors import UsageError
from mmbench.system_names import SystemName
from mmbench.types import Dataset, Design, Spec, Weights
from mmbench.weights import checkpoints as published

if TYPE_CHECKING:
    from mmbench.baselines.models.latent.pair import Layout
    from mmbench.baselines.parts.loading import Parts

PAPER, RELEASE = "paper", "mmdisco-release"
OPTIONS = {
    "size": ("full", "tiny"),
    "weights": ("real", "random"),
    "preset": (PAPER, RELEASE),
    "dtype": ("float32", "float16", "bfloat16"),
    "sampler": ("dpmsolver++2m", "ddpm", "ddim"),
}
RELEASED_JOINT_SCALE = (8.0, 1.0)
TILE = 8


class LatentSystem(PairSystem):
    """A pair of published models; subclasses say which.

    Attributes:
        base: Registered name.
        video_models: Names in `mmbench.weights.known` of what the video is made with.
        audio_models: The same for the sound.
        guided_by_text: Text guidance of video and audio.
        guided_by_joint: The paper's weights of the discriminator's gradient on video and audio.
        released_discriminator: Name of the one that MMDisCo's authors released.
        released_design: Its design.
    """

    base: ClassVar[str]
    video_models: ClassVar[tuple[str, ...]]
    audio_models: ClassVar[tuple[str, ...]]
    guided_by_text: ClassVar[tuple[float, float]]
    guided_by_joint: ClassVar[tuple[float, float]]
    released_discriminator: ClassVar[str]
    released_design: ClassVar[Design]

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
        discriminator: str = "",
        tile: int = TILE,
        compile: bool = False,
        guidance: SystemName | None = None,
        halves: Sequence[str] = ("video", "audio"),
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
            discriminator: File of a discriminator, instead of the one that belongs to name and dataset.
            tile: Samples that go through the denoisers together on a GPU, whatever the batch; fewer take less memory.
                Part of the run's identity, for roundings depend on it. On a CPU, which gains nothing, it is 1.
            compile: Compile the denoisers (torch.compile). Part of the run's identity: fused kernels round differently.
            guidance: The name with +mmdisco; None for the pair alone.
            halves: "video", "audio" or both; a half that is not named is not loaded, and absent from the clips.

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
        if tile < 1:
            raise UsageError(f"{self.base} cannot sample {tile} at a time.", "a whole number from 1", "--set tile=1")
        kind: Weights = "tiny" if size == "tiny" else "random" if weights == "random" else "real"
        sampling = Sampling(
            sampler,
            num_inference_steps,
            free_scale or self.guided_by_text,
            joint_scale or (RELEASED_JOINT_SCALE if as_released else self.guided_by_joint),
        )
        models = (*self.video_models * ("video" in halves), *self.audio_models * ("audio" in halves))
        components = {name: published.digest(name) if kind == "real" else kind for name in models}
        if kind == "real":
            from mmbench.baselines.models.latent import inspection

            for name, digest in components.items():
                inspection.require(name, digest)

        def load() -> DiffusionPair:
            import torch

            from mmbench.baselines.models.latent.pair import LatentPair, no_audio, no_video
            from mmbench.baselines.parts.loading import Parts
            from mmbench.networks.devices import local_device

            place = local_device(device)
            precision = None if dtype == "float32" else getattr(torch, dtype)
            parts = {name: Parts(name, kind, place, precision, compile) for name in models}
            video = self.load_video(parts, as_released) if "video" in halves else no_video()
            audio = self.load_audio(parts, as_released) if "audio" in halves else no_audio()
            rows = 1 if place == "cpu" else tile
            return LatentPair(video, audio, self.layout(), sampling, place, precision, rows, small=kind == "tiny")

        super().__init__(
            self.base,
            load,
            {**components, "dtype": dtype, "preset": preset, "tile": tile} | ({"compile": True} if compile else {}),
            kind,
            sampling,
            dataset,
            guidance,
            batch_size=tile,
            discriminator=discriminator,
            untrained_guide=kind != "real",
            released=self.released_discriminator if kind == "real" else "",
            released_design=self.released_design,
            released_logit=as_released,
        )

    def video_spec(self) -> Spec:
        """What decides the videos: nothing of the sound, unless a discriminator sees both."""
        return self._half_spec(0, self.audio_models)

    def audio_spec(self) -> Spec:
        """What decides the sounds: nothing of the video, unless a discriminator sees both."""
        return self._half_spec(1, self.video_models)

    def _half_spec(self, modality: int, others: Sequence[str]) -> Spec:
        spec = self.spec()
        if self._guidance is not None:
            return spec
        components = {name: digest for name, digest in spec["components"].items() if name not in others}
        sampling = {**spec["sampling"], "free_scale": spec["sampling"]["free_scale"][modality]}
        return {**spec, "components": components, "sampling": sampling}

    @abstractmethod
    def load_video(self, parts: Mapping[str, Parts], as_released: bool) -> Any:
        """The text-to-video model.

        Args:
            parts: Where each of `video_models` comes from.
            as_released: Whether to sample as MMDisCo's release does.
        """

    @abstractmethod
    def load_audio(self, parts: Mapping[str, Parts], as_released: bool) -> Any:
        """The text-to-sound model, of `audio_models`."""

    @abstractmethod
    def layout(self) -> Layout:
        """What a discriminator must know of the pair."""

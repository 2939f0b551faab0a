"""Systems of a text-to-video and a text-to-sound latent diffusion model: options, defaults and presets.

Preset "paper" samples as arXiv 2405.17842 says: DPM-Solver++ 2M on the models' own noise schedules. Preset
"mmdisco-release" samples as SonyResearch/MMDisCo@3b9f84f does: ancestral DDPM, another schedule for VideoCrafter2,
joint scale 8 on every video, a flattened logit, and silence noised afresh at every step.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from mmbench.baselines.kinds.aligner import ALIGNER_SCALE
from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.parts.options import CommonOptions, require_at_least, require_choice
from mmbench.errors import UsageError
from mmbench.mmdisco.sampler_names import SCHEDULER_NAMES
from mmbench.system_names import SystemName
from mmbench.types import Dataset, Design, Modality, Spec

if TYPE_CHECKING:
    from mmbench.baselines.models.latent.pair import Layout
    from mmbench.baselines.parts.loading import Parts

PAPER, RELEASE = "paper", "mmdisco-release"
PRESETS = (PAPER, RELEASE)
RELEASED_JOINT_SCALE = (8.0, 1.0)
TILE = 8
LARGEST_TILE = 31  # on CUDA, whose fused attention takes 65,535 sequences: 32 x 32 pixels of 2 x 32 videos are too many


class LatentSystem(PairSystem):
    """A system of two published latent diffusion models, which a subclass names.

    Attributes:
        base: Registered name.
        video_models: Names in `mmbench.weights.known` of the models that make the video.
        audio_models: Names of the models that make the sound.
        free_scale: The paper's text guidance of video and audio.
        joint_scale: The paper's weights of the discriminator's gradient on video and audio.
        released_discriminator: Name of the discriminator that MMDisCo's authors released.
        released_design: Its design.
    """

    base: ClassVar[str]
    video_models: ClassVar[tuple[str, ...]]
    audio_models: ClassVar[tuple[str, ...]]
    free_scale: ClassVar[tuple[float, float]]
    joint_scale: ClassVar[tuple[float, float]]
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
        guided_every: int | None = None,
        guided_steps: tuple[int, int] | None = None,
        guidance_precision: str = "ieee",
        path: str = "fraction",
        discriminator: str = "",
        aligner_scale: float = ALIGNER_SCALE,
        tile: int = TILE,
        compile: bool = False,
        guidance: SystemName | None = None,
        modalities: Sequence[Modality] = ("video", "audio"),
    ) -> None:
        """Check the options and look for the weights; the models are loaded when first used.

        Args:
            dataset: The dataset that is generated for.
            device: auto, cpu, cuda.
            dtype: Precision of the denoisers; guidance, texts and decoding stay in float32.
            size: "full"; "tiny" is narrow networks of the same classes with random weights.
            weights: "real", or "random" to try the plumbing at full size.
            preset: "paper" or "mmdisco-release".
            sampler: One of `SCHEDULER_NAMES`, instead of the preset's.
            num_inference_steps: Steps of the sampler.
            free_scale: Text guidance of (video, audio), instead of the paper's.
            joint_scale: Weights of the discriminator's gradient on (video, audio), instead of the preset's.
            guided_every: Compute the discriminator's gradient at each so many evaluations of the sampler and use the
                last one between; 1, or 3 with +mmdisco-fast, if None.
            guided_steps: Guide from one evaluation, counted from 0, up to another alone.
            guidance_precision: Of the gradient: "ieee", "tf32" or "bfloat16".
            path: Which half of a guided pair moves when: fraction (both at once), log_snr, video_first or audio_first;
                all but the first need a discriminator that was trained with --pairing independent.
            discriminator: File of a discriminator, instead of the one that belongs to name and dataset.
            aligner_scale: Weight of the gradient of +aligner.
            tile: Samples that go through the denoisers together on a GPU, whatever the batch; fewer take less memory.
                Part of the run's identity, for roundings depend on it. On a CPU, which gains nothing, it is 1.
            compile: Compile the denoisers (torch.compile). Part of the run's identity: fused kernels round differently.
            guidance: The name with what follows the plus sign; None for the pair alone.
            modalities: "video", "audio" or both; the model of one that is not named is not loaded, and clips lack it.

        Raises:
            UsageError: An option has an unknown value.
            MMBenchError: Weights are not here; says how to get them.
        """
        common = CommonOptions.read(self.base, size, weights, dtype)
        as_released = preset == RELEASE
        sampler = sampler or ("ddpm" if as_released else "dpmsolver++2m")
        require_choice(self.base, "preset", preset, PRESETS)
        require_choice(self.base, "sampler", sampler, SCHEDULER_NAMES)
        require_at_least(self.base, "num_inference_steps", num_inference_steps, 1)
        require_at_least(self.base, "tile", tile, 1)
        if "video" in modalities:
            refuse_large_tile(self.base, tile, device)
        self._common, self._as_released, self._device, self._compiled = common, as_released, device, compile
        self._modalities, self._tile = modalities, tile
        components = common.digests(self._models())
        if not common.untrained:
            refuse_other_files(components)
        settings = {"dtype": dtype, "preset": preset, "tile": tile} | ({"compile": True} if compile else {})
        joint_scale = joint_scale or (RELEASED_JOINT_SCALE if as_released else self.joint_scale)
        released = "" if common.untrained else self.released_discriminator
        guiding = Guiding.read(self.base, guidance, guided_every, guided_steps, guidance_precision, path)
        super().__init__(
            self.base,
            self._load_pair,
            {**components, **settings},
            common.weights,
            Sampling(sampler, num_inference_steps, free_scale or self.free_scale, joint_scale, guiding),
            dataset,
            guidance,
            batch_size=tile,
            guide=Guide(discriminator, released, self.released_design, as_released, common.untrained),
            aligner_scale=aligner_scale,
        )

    def _models(self) -> tuple[str, ...]:
        """Names of the models that are needed for the modalities."""
        video, audio = ("video" in self._modalities), ("audio" in self._modalities)
        return (*self.video_models * video, *self.audio_models * audio)

    def _load_pair(self) -> DiffusionPair:
        from mmbench.baselines.models.latent.pair import LatentPair, no_audio, no_video
        from mmbench.baselines.parts.loading import Parts
        from mmbench.networks.devices import local_device

        device, dtype, weights = local_device(self._device), self._common.torch_dtype(), self._common.weights
        parts = {name: Parts(name, weights, device, dtype, self._compiled) for name in self._models()}
        video = self.load_video(parts, self._as_released) if "video" in self._modalities else no_video()
        audio = self.load_audio(parts, self._as_released) if "audio" in self._modalities else no_audio()
        tile = 1 if device == "cpu" else self._tile
        small = weights == "tiny"
        return LatentPair(video, audio, self.layout(), self._sampling, device, dtype, tile, small=small)

    def video_spec(self) -> Spec:
        """Everything that changes the videos: nothing of the sound, unless guidance or a choice joins both."""
        return self._modality_spec(0, self.audio_models)

    def audio_spec(self) -> Spec:
        """Everything that changes the sounds: nothing of the video, unless guidance or a choice joins both."""
        return self._modality_spec(1, self.video_models)

    def _modality_spec(self, modality: int, others: Sequence[str]) -> Spec:
        spec = self.spec()
        if self.joined:
            return spec
        components = {name: digest for name, digest in spec["components"].items() if name not in others}
        sampling = {**spec["sampling"], "free_scale": spec["sampling"]["free_scale"][modality]}
        return {**spec, "components": components, "sampling": sampling}

    @abstractmethod
    def load_video(self, parts: Mapping[str, Parts], as_released: bool) -> Any:
        """Load the text-to-video model.

        Args:
            parts: Origin and place of each of `video_models`.
            as_released: Whether to sample as MMDisCo's release does.
        """

    @abstractmethod
    def load_audio(self, parts: Mapping[str, Parts], as_released: bool) -> Any:
        """Load the text-to-sound model, of `audio_models`."""

    @abstractmethod
    def layout(self) -> Layout:
        """The layout of the sound latents, and the design of the released discriminator."""


def refuse_large_tile(system: str, tile: int, device: str) -> None:
    """Raise UsageError if a GPU's attention over time cannot take that many samples at once; a CPU takes them singly.

    With and without text, each pixel of each video is a sequence of its own (pytorch/pytorch#142228).
    """
    from mmbench.networks.devices import local_device

    if tile > LARGEST_TILE and local_device(device).startswith("cuda"):
        found = f"{system} cannot have tile {tile} on a GPU: its attention over time would be of {2 * tile * 1024:,}"
        raise UsageError(f"{found} sequences.", f"at most 65,535, so a tile of up to {LARGEST_TILE}", "--set tile=31")


def refuse_other_files(components: Mapping[str, str]) -> None:
    """Raise MMBenchError if a model's files are not the published ones; `components` gives their digests by name."""
    from mmbench.baselines.models.latent import inspection

    for name, digest in components.items():
        inspection.require(name, digest)

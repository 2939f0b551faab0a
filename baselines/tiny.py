"""The embedded systems: `tiny`, a pair of small diffusion models, and `tiny_cascade`, its video with a sound for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from mmbench.baselines.kinds.aligner import ALIGNER_SCALE
from mmbench.baselines.kinds.discriminators import SHIPPED, Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.parts.options import require_choice
from mmbench.identity import digest_bytes
from mmbench.mmdisco.sampler_names import SCHEDULER_NAMES
from mmbench.registry import register
from mmbench.system_names import SystemName
from mmbench.types import Dataset, Spec

NUM_INFERENCE_STEPS = 25
JOINT_SCALES = {"bounce": (1.0, 6.0), "bounce_heavy": (2.0, 3.0)}  # chosen on seed 3: results/tiny
OTHER_JOINT_SCALE = (1.0, 1.0)
BATCH_SIZE = 16


@cache
def components(*files: str) -> Spec:
    """Digests of shipped files of weights, by name."""
    return {file: digest_bytes((SHIPPED / f"{file}.safetensors").read_bytes()) for file in files}


@register("system", "tiny", "Embedded pair of small diffusion models, video and audio, made for bounce.", guidable=True)
class Tiny(PairSystem):
    """Generates video and audio of a prompt independently; with +mmdisco jointly."""

    scorer = "ib_bounce_av"

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        sampler: str = "sde-dpmsolver++2m",
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        free_scale: tuple[float, float] | None = None,
        joint_scale: tuple[float, float] | Mapping[str, tuple[float, float]] = JOINT_SCALES,
        guided_every: int | None = None,
        guided_steps: tuple[int, int] | None = None,
        guidance_precision: str = "ieee",
        path: str | None = None,
        discriminator: str = "",
        aligner_scale: float = ALIGNER_SCALE,
        guidance: SystemName | None = None,
    ) -> None:
        """Read the options; the shipped weights are loaded when first used.

        Args:
            dataset: The dataset that is generated for; picks the discriminator.
            device: auto, cpu, cuda.
            sampler: One of `SCHEDULER_NAMES`.
            num_inference_steps: Steps of the sampler.
            free_scale: Text guidance of (video, audio); a single conditional pass without.
            joint_scale: Weights of the discriminator's gradient on (video, audio), or such pairs by name of the
                dataset; 1 and 1 for datasets that the mapping lacks.
            guided_every: Compute the discriminator's gradient at each so many evaluations of the sampler and use the
                last one between; 1, or 3 with +mmdisco-fast, if None.
            guided_steps: Guide from one evaluation, counted from 0, up to another alone.
            guidance_precision: Of the gradient: "ieee", "tf32" or "bfloat16".
            path: Which half of a guided pair moves when: fraction (both at once), log_snr, video_first or audio_first;
                all but the first need a discriminator that was trained with --pairing independent, and with one of
                those video_first is the default, for it joins best (results/tiny).
            discriminator: File of a discriminator, instead of the one that belongs to name and dataset.
            aligner_scale: Weight of the gradient of +aligner.
            guidance: The name with what follows the plus sign; None for the pair alone.
        """
        require_choice("tiny", "sampler", sampler, SCHEDULER_NAMES)
        scales = joint_scale if isinstance(joint_scale, Mapping) else {dataset.name: joint_scale}
        scale = scales.get(dataset.name, OTHER_JOINT_SCALE)
        guide = Guide(discriminator)
        path = path or ("video_first" if guide.knows_every_path(guidance, dataset) else "fraction")
        guiding = Guiding.read("tiny", guidance, guided_every, guided_steps, guidance_precision, path)
        sampling = Sampling(sampler, num_inference_steps, free_scale, scale, guiding)

        def load() -> DiffusionPair:
            from mmbench.baselines.models.tiny.pair import TinyPair
            from mmbench.networks.devices import local_device

            return TinyPair(local_device(device), sampling)

        super().__init__(
            "tiny",
            load,
            components("tiny"),
            "trained",
            sampling,
            dataset,
            guidance,
            batch_size=BATCH_SIZE,
            guide=guide,
            aligner_scale=aligner_scale,
        )


@register("system", "tiny_cascade", "Embedded cascade: the video of tiny, then a small video-to-audio model.")
class TinyCascadeSystem(PairSystem):
    """Generates the video from the text, then the audio from the video."""

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        sampler: str = "sde-dpmsolver++2m",
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        free_scale: tuple[float, float] | None = None,
    ) -> None:
        """Read the options; the shipped weights are loaded when first used.

        Args:
            dataset: The dataset that is generated for.
            device: auto, cpu, cuda.
            sampler: One of `SCHEDULER_NAMES`.
            num_inference_steps: Steps of the sampler.
            free_scale: Text guidance of (video, audio); a single conditional pass without.
        """
        require_choice("tiny_cascade", "sampler", sampler, SCHEDULER_NAMES)
        sampling = Sampling(sampler, num_inference_steps, free_scale, OTHER_JOINT_SCALE)

        def load() -> DiffusionPair:
            from mmbench.baselines.models.tiny.pair import TinyCascade
            from mmbench.networks.devices import local_device

            return TinyCascade(local_device(device), sampling)

        files = components("tiny", "tiny_cascade")
        super().__init__("tiny_cascade", load, files, "trained", sampling, dataset, None, batch_size=BATCH_SIZE)

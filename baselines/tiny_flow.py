"""The embedded system `tiny_flow`: the networks of `tiny` continued as a pair of rectified flows."""

from __future__ import annotations

from collections.abc import Mapping

from mmbench.baselines.kinds.aligner import ALIGNER_SCALE
from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.parts.options import require_at_least
from mmbench.baselines.tiny import BATCH_SIZE, NUM_INFERENCE_STEPS, OTHER_JOINT_SCALE, components
from mmbench.registry import register
from mmbench.system_names import SystemName
from mmbench.types import Dataset

NAME = "tiny_flow"
JOINT_SCALES = {"bounce": (2.0, 6.0)}  # those of `tiny` before its refiner, not chosen anew: results/tiny_flow


@register(
    "system", "tiny_flow", "Embedded pair of small flow models, video and audio, with shifts of 3 and 1.", guidable=True
)
class TinyFlow(PairSystem):
    """Generates video and audio of a prompt independently, each by its own flow; with +mmdisco jointly."""

    scorer = "ib_bounce_av"

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        num_inference_steps: int = NUM_INFERENCE_STEPS,
        free_scale: tuple[float, float] | None = None,
        joint_scale: tuple[float, float] | Mapping[str, tuple[float, float]] = JOINT_SCALES,
        guided_every: int | None = None,
        guided_steps: tuple[int, int] | None = None,
        guidance_precision: str = "ieee",
        discriminator: str = "",
        aligner_scale: float = ALIGNER_SCALE,
        guidance: SystemName | None = None,
    ) -> None:
        """Read the options; the shipped weights are loaded when first used.

        Args:
            dataset: The dataset that is generated for; picks the discriminator.
            device: auto, cpu, cuda.
            num_inference_steps: Euler steps.
            free_scale: Text guidance of (video, audio); a single conditional pass without.
            joint_scale: Weights of the discriminator's gradient on (video, audio), or such pairs by name of the
                dataset; 1 and 1 for datasets that the mapping lacks.
            guided_every: Compute the discriminator's gradient at each so many guided steps and use the last one
                between; 1, or 3 with +mmdisco-fast, if None.
            guided_steps: Guide from one step, counted from 0, up to another alone; step 0, noise alone, never is.
            guidance_precision: Of the gradient: "ieee", "tf32" or "bfloat16".
            discriminator: File of a discriminator, instead of the one that belongs to name and dataset.
            aligner_scale: Weight of the gradient of +aligner.
            guidance: The name with what follows the plus sign; None for the pair alone.
        """
        require_at_least(NAME, "num_inference_steps", num_inference_steps, 1)
        scales = joint_scale if isinstance(joint_scale, Mapping) else {dataset.name: joint_scale}
        scale = scales.get(dataset.name, OTHER_JOINT_SCALE)
        guiding = Guiding.read(NAME, guidance, guided_every, guided_steps, guidance_precision)
        sampling = Sampling("euler", num_inference_steps, free_scale, scale, guiding)

        def load() -> DiffusionPair:
            from mmbench.baselines.models.tiny.flow_pair import TinyFlowPair
            from mmbench.networks.devices import local_device

            return TinyFlowPair(local_device(device), sampling)

        super().__init__(
            NAME,
            load,
            components("tiny", "tiny_flow"),
            "trained",
            sampling,
            dataset,
            guidance,
            batch_size=BATCH_SIZE,
            guide=Guide(discriminator),
            aligner_scale=aligner_scale,
        )

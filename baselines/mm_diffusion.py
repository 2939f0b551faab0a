"""MM-Diffusion (arXiv 2212.09478): video and sound made together by one coupled diffusion model, without text.

The released checkpoints for Landscape and AIST++ are used as they are; the dataset picks one, and with +mmdisco-release
the discriminator that MMDisCo's authors released for it. `sampler` is "mmdisco" as in Table 2 of arXiv 2405.17842, or
"mm-diffusion", the original repository's.
"""

from __future__ import annotations

from mmbench.baselines.kinds.aligner import ALIGNER_SCALE
from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.parts.options import CommonOptions, require_at_least, require_choice
from mmbench.errors import UsageError
from mmbench.registry import register
from mmbench.system_names import SystemName
from mmbench.types import ClipFormat, Dataset, Weights

CHECKPOINTS = {"landscape_ind": "mmdiffusion_landscape", "aistpp": "mmdiffusion_aistpp"}  # by dataset
DISCRIMINATORS = {name: f"mmdisco_{checkpoint}" for name, checkpoint in CHECKPOINTS.items()}  # MMDisCo's
RELEASED = ClipFormat(num_frames=16, height=64, width=64, fps=10.0, num_samples=25600, sample_rate=16000)
SAMPLERS = ("mmdisco", "mm-diffusion")
BATCH_SIZE, ORDER = 8, 3  # of the solver: no fewer evaluations than that


def require_format(dataset: Dataset, weights: Weights) -> None:
    """Raise UsageError for a dataset without a checkpoint, or of a format that the network cannot make."""
    form = dataset.format
    if weights == "real" and (dataset.name not in CHECKPOINTS or form != RELEASED):
        found = f"There is no checkpoint of mm_diffusion for {dataset.name} ({form.width}x{form.height})."
        raise UsageError(found, f"one of {', '.join(CHECKPOINTS)}", f"--dataset {next(iter(CHECKPOINTS))}")
    if form.height % 8 or form.width % 8 or form.num_samples % 64 or form.num_frames < 8:
        found = f"mm_diffusion cannot make clips of {dataset.name}: {form}."
        raise UsageError(found, "height and width divisible by 8, samples by 64, and at least 8 frames")


@register("system", "mm_diffusion", "MM-Diffusion: one coupled U-Net, 16 frames of 64x64 with sound", guidable=True)
def mm_diffusion(
    *,
    dataset: Dataset,
    device: str = "auto",
    dtype: str = "float32",
    size: str = "full",
    weights: str = "real",
    sampler: str = "mmdisco",
    num_inference_steps: int = 20,
    joint_scale: tuple[float, float] = (1.0, 1.0),
    guided_every: int | None = None,
    guided_steps: tuple[int, int] | None = None,
    guidance_precision: str = "ieee",
    discriminator: str = "",
    aligner_scale: float = ALIGNER_SCALE,
    super_resolution: bool = False,
    compile: bool = False,
    guidance: SystemName | None = None,
) -> PairSystem:
    """Build the system; its networks are loaded when first used.

    Args:
        dataset: Picks the checkpoint and the format.
        device: auto, cpu, cuda.
        dtype: Precision of the coupled U-Net; guidance and super-resolution stay in float32.
        size: "full"; "tiny" is a narrow network with random weights.
        weights: "real", or "random" to try the plumbing.
        sampler: "mmdisco" or "mm-diffusion".
        num_inference_steps: Evaluations of the network, 3 at least.
        joint_scale: Weights of the discriminator's gradient on (video, audio).
        guided_every: Compute the discriminator's gradient at each so many evaluations of the sampler and use the
            last one between; 1, or 3 with +mmdisco-fast, if None.
        guided_steps: Guide from one evaluation, counted from 0, up to another alone.
        guidance_precision: Of the gradient: "ieee", "tf32" or "bfloat16".
        discriminator: File of a discriminator, instead of the one that belongs to name and dataset.
        aligner_scale: Weight of the gradient of +aligner.
        super_resolution: Enlarge the frames to 256x256, as published clips are; Table 2 does not.
        compile: Compile the coupled U-Net (torch.compile). Part of the run's identity: fused kernels round differently.
        guidance: The name with what follows the plus sign; None for the model alone.

    Raises:
        UsageError: An option or the dataset does not fit.
        MMBenchError: The checkpoints are not here; says how to get them.
    """
    common = CommonOptions.read("mm_diffusion", size, weights, dtype)
    require_choice("mm_diffusion", "sampler", sampler, SAMPLERS)
    require_format(dataset, common.weights)
    require_at_least("mm_diffusion", "num_inference_steps", num_inference_steps, ORDER)
    guiding = Guiding.read("mm_diffusion", guidance, guided_every, guided_steps, guidance_precision)
    sampling = Sampling(sampler, num_inference_steps, joint_scale=joint_scale, guiding=guiding)
    base = CHECKPOINTS.get(dataset.name, "")
    names = {"unet": base} | ({"super_resolution": f"{base}_sr"} if super_resolution else {})
    components = common.digests(names)
    released = "" if common.untrained else DISCRIMINATORS[dataset.name]

    def load() -> DiffusionPair:
        from mmbench.baselines.models.mm_diffusion.pair import load_pair

        return load_pair(common, names, dataset.format, sampling, device, compile)

    return PairSystem(
        "mm_diffusion",
        load,
        {**components, "dtype": dtype} | ({"compile": True} if compile else {}),
        common.weights,
        sampling,
        dataset,
        guidance,
        batch_size=BATCH_SIZE,
        guide=Guide(discriminator, released, untrained=common.untrained),
        aligner_scale=aligner_scale,
    )

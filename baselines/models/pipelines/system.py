"""Systems of any two pipelines of diffusers: options, and the description as a user changed it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmbench.baselines.kinds.discriminators import Guide
from mmbench.baselines.kinds.guided import PairSystem
from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.models.pipelines.description import PairDescription, of_latents, place_halves
from mmbench.baselines.models.pipelines.description_file import read_description
from mmbench.baselines.models.pipelines.loading import content_of, small
from mmbench.baselines.parts.options import CommonOptions, require_at_least, require_choice
from mmbench.errors import UsageError
from mmbench.identity import digest_of
from mmbench.system_names import SystemName
from mmbench.types import Dataset, Spec, Weights

OFFLOADS = ("none", "text", "halves")
DESCRIPTIONS = Path(__file__).parents[2] / "data"  # of the pairs that have names of their own


class PipelineSystem(PairSystem):
    """Two pipelines that a description names, each generating on its own; with +mmdisco guided together.

    Attributes:
        file: The description, as docs/pairs.md shows it.
    """

    file: Path

    def __init__(
        self,
        *,
        dataset: Dataset,
        device: str = "auto",
        dtype: str = "float32",
        size: str = "full",
        weights: str = "real",
        video: str = "",
        audio: str = "",
        video_revision: str = "",
        audio_revision: str = "",
        num_inference_steps: int | tuple[int, int] | None = None,
        path: str = "",
        joint_scale: tuple[float, float] | None = None,
        guided_every: int | None = None,
        guided_steps: tuple[int, int] | None = None,
        guidance_precision: str = "ieee",
        discriminator: str = "",
        offload: str = "none",
        guidance: SystemName | None = None,
    ) -> None:
        """Read the description and the options; the pipelines are loaded when first used.

        Args:
            dataset: The dataset that is generated for; clips are cut to its format.
            device: auto, cpu, cuda.
            dtype: Precision of the pipelines' weights; guidance stays in float32.
            size: "full"; "tiny" is small untrained pipelines of the same classes.
            weights: "real"; "random" for untrained weights, of published size or as they lie in a folder.
            video: Folder or repository of the video's pipeline, instead of the description's.
            audio: Of the sound's pipeline.
            video_revision: Commit of the video's repository, 40 hex digits.
            audio_revision: Of the sound's.
            num_inference_steps: Steps of either pipeline, one number or (video, audio), instead of the description's.
            path: Which half moves when: fraction, log_snr, video_first or audio_first, instead of the description's.
            joint_scale: Weights of the discriminator's gradient on (video, audio), instead of the description's.
            guided_every: Compute the discriminator's gradient at each so many pairs of levels and use the last one
                between; 1, or 3 with +mmdisco-fast, if None.
            guided_steps: Guide from one pair of levels, counted from 0, up to another alone.
            guidance_precision: Of the gradient: "ieee", "tf32" or "bfloat16".
            discriminator: File of a discriminator, instead of the one that belongs to the pair and the dataset.
            offload: On a GPU, "text" keeps there only the network of each pipeline that is at work, "halves" only that
                of the half that moves.
            guidance: The name with what follows the plus sign; None for the pair alone.

        Raises:
            UsageError: The description or an option cannot be right.
        """
        described, own = read_description(self.file), self.file.parent == DESCRIPTIONS
        base = described.name if own else f"pipelines:{described.name}"
        common = CommonOptions.read(base, size, weights, dtype)
        if device == "meta":
            found = f"{base}: loops of pipelines cannot run on tensors without storage, so nothing can be counted."
            wanted = "a pair whose loop is mmbench's own, as audioldm_animatediff"
            raise UsageError(found, wanted, f"mmbench profile inference -s {base}")
        if guidance is not None and guidance.aligner:
            found = f"{base} has no +aligner: what pipelines decode keeps no gradient."
            raise UsageError(found, f"{base}+mmdisco, or +bestof-4", f"mmbench run -s {guidance.alone}+bestof-4")
        path = path or described.path
        require_choice(base, "offload", offload, OFFLOADS)
        given = {"video": video, "audio": audio, "video_revision": video_revision, "audio_revision": audio_revision}
        described = of_weights(described, common.weights, given, dataset.format.seconds)
        described = with_steps(described, base, num_inference_steps)
        contents = {table: half.spec() for table, half in zip(("video", "audio"), described.halves, strict=True)}
        for about, half in zip(contents.values(), described.halves, strict=True):
            about["content"] = content_of(half, common.weights)
        label = base if own and common.untrained else f"{described.name}-{digest_of(of_latents(contents))[:8]}"
        guiding = Guiding.read(base, guidance, guided_every, guided_steps, guidance_precision, path)
        super().__init__(
            base,
            self._load_pair,
            {**contents, "dtype": dtype},
            common.weights,
            Sampling("own", joint_scale=joint_scale or described.joint_scale, guiding=guiding),
            dataset,
            guidance,
            guide=Guide(discriminator, untrained=common.untrained, label=label),
        )
        if guidance is not None and not own:
            self.name = str(replace(guidance, argument=described.name))  # a folder's place is not in it
        self._described, self._common, self._device, self._offload = described, common, device, offload

    def spec(self) -> Spec:
        """Both descriptions with their contents, the path, and the discriminator's digest if one guides."""
        steps = [half.call.get("num_inference_steps") for half in self._described.halves]
        own = {"sampler": "own", "path": self._sampling.guiding.path, "num_inference_steps": steps}
        return {**super().spec(), "sampling": own}

    def _load_pair(self) -> DiffusionPair:
        from mmbench.baselines.models.pipelines.pair import PipelinePair
        from mmbench.networks.devices import local_device

        device, dtype = local_device(self._device), self._common.torch_dtype()
        return PipelinePair(
            self._described, self._common.weights, self._sampling, self._dataset.format, device, dtype, self._offload
        )


def of_weights(
    described: PairDescription, weights: Weights, given: Mapping[str, str], seconds: float
) -> PairDescription:
    """The description of what is going to be loaded or built, at the places that a user gave.

    Raises:
        UsageError: A class or a commit is missing, or a place is given in vain.
    """
    if weights != "tiny":
        return place_halves(described, given, weights == "random")
    video, audio = (replace(half, folder=None) for half in described.halves)
    video, audio = place_halves(replace(described, video=video, audio=audio), given, True).halves
    return replace(described, video=small(video, seconds, "fps"), audio=small(audio, seconds, "sample_rate"))


def with_steps(described: PairDescription, system: str, steps: Any) -> PairDescription:
    """The description with another number of steps for both halves, or for each; None leaves its own."""
    if steps is None:
        return described
    each = (steps, steps) if type(steps) is int else tuple(steps) if isinstance(steps, list | tuple) else ()
    if len(each) != 2:
        raise UsageError(f"{system} cannot have num_inference_steps {steps!r}.", "one whole number or two", "50,100")
    for number in each:
        require_at_least(system, "num_inference_steps", number, 1)
    calls = [{**half.call, "num_inference_steps": n} for half, n in zip(described.halves, each, strict=True)]
    video, audio = (replace(half, call=call) for half, call in zip(described.halves, calls, strict=True))
    return replace(described, video=video, audio=audio)

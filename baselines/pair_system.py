"""What every pair of diffusion models shares: from requests to clips, alone or guided by a discriminator (MMDisCo).

A new pair is a `DiffusionPair`; `PairSystem` makes a system of it. Initial noise comes from the request's own streams,
so base and guided runs of a pair start from the same noise, whatever batch a sample is in.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench import weights as published
from mmbench.errors import MMBenchError, UsageError
from mmbench.registry import SystemName
from mmbench.types import Clip, Dataset, Item, Request, Spec, Weights

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmbench.mmdisco.design import DiscriminatorConfig
    from mmbench.mmdisco.losses import JointEpsilon
    from mmbench.mmdisco.schedule import NoiseSchedule

STREAMS = ("video noise", "audio noise")  # of a request; every pair draws from these, so pairs compare
SHIPPED = Path(__file__).parent / "data"
FOLDER_VARIABLE, DEFAULT_FOLDER = "MMBENCH_DISCRIMINATORS", "runs/discriminators"


@dataclass(frozen=True)
class Sampling:
    """How a pair is sampled; all of it is part of a run's identity.

    Attributes:
        sampler: "ddpm", "ddim" or "dpmsolver++2m".
        num_inference_steps: Steps, at the same timesteps in both modalities.
        free_scale: Classifier-free guidance weights of video and audio; None for one conditional pass.
        joint_scale: Weights of the discriminator's gradient on video and audio; used with +mmdisco only.
    """

    sampler: str = "dpmsolver++2m"
    num_inference_steps: int = 50
    free_scale: tuple[float, float] | None = None
    joint_scale: tuple[float, float] = (1.0, 1.0)


class DiffusionPair(ABC):
    """Two frozen diffusion models, one of video and one of audio: the `GuidablePair` of a `PairSystem`.

    Tensors of one sample have no batch axis, those given to the models do. Weights are loaded by the constructor of the
    subclass, which is called when the first of them is needed.

    Attributes:
        schedules: `NoiseSchedule` of video and audio.
        shapes: Shapes of one video and one audio latent.
        device: Where the models are.
        tile: Samples that go through the models together; batches are filled up to it with copies, so that the
            arithmetic of a sample is the same whatever batch it came in. 0 leaves batches as they are.
        sampling: The pair's defaults.
        coupled: Whether the models see both modalities, so that their halves belong together.
        dtype: Precision the base models are autocast to; None for none.
    """

    schedules: tuple[NoiseSchedule, NoiseSchedule]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    device: str = "cpu"
    tile: int = 0
    sampling: Sampling
    coupled: bool = False
    dtype: torch.dtype | None = None

    @property
    @abstractmethod
    def denoisers(self) -> tuple[Any, ...]:
        """The networks that predict noise."""

    @abstractmethod
    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of n prompts, (n, ...) each on the CPU; () for models without text."""

    @abstractmethod
    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, *shape) noised video latents at integer timesteps t (n,), with graph."""

    @abstractmethod
    def epsilon_audio(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """The same for audio."""

    @abstractmethod
    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        """Clips of n clean latents."""

    @abstractmethod
    def encode(self, item: Item) -> tuple[Any, ...]:
        """(video, audio, video_text, audio_text) of a real item on the CPU; texts None for models without."""

    @abstractmethod
    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """Config of a discriminator for these latents."""

    def released(self, path: Path) -> Any:
        """The discriminator that MMDisCo's authors released for this pair, read from `path`."""
        raise MMBenchError("No discriminator was released for these models.", "one trained here", "mmbench train")

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
        """Both predictions; `condition` is None or (video_text, audio_text). Coupled models override this."""
        video_text, audio_text = condition or (None, None)
        return self.epsilon_video(x_t, t, video_text), self.epsilon_audio(y_t, t, audio_text)

    def epsilon_for(self, requests: Sequence[Request]) -> JointEpsilon:
        """`epsilon` for the samples of these requests; models that draw numbers as they run take them from there."""
        return self.epsilon

    @cached_property
    def unconditional(self) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of the empty prompt, or ()."""
        return tuple(text[0] for text in self.texts([""]))

    def draw(self, requests: Sequence[Request]) -> list[tuple[Any, ...]]:
        """Examples whose halves the models made independently, as `mmbench train` wants them."""
        video, audio = self.sample(requests)
        texts = self.texts([r.prompt.text for r in requests]) or ([None] * len(requests),) * 2
        return list(zip(video.cpu(), audio.cpu(), *texts, strict=True))

    def sample(
        self, requests: Sequence[Request], guidance: Any = None, epsilon: JointEpsilon | None = None
    ) -> tuple[Tensor, Tensor]:
        """Clean latents of n requests, a tile at a time.

        Args:
            requests: Their prompts and noises.
            guidance: Makes a `mmbench.mmdisco.guidance.Guidance` of (text, unconditional text); None for the bases.
            epsilon: What predicts, instead of `epsilon_for`.
        """
        import torch

        tile = self.tile or len(requests)
        rows = [*requests, *[requests[-1]] * (-len(requests) % tile)]
        tiles = [self.sample_tile(rows[i : i + tile], guidance, epsilon) for i in range(0, len(rows), tile)]
        videos, audios = zip(*tiles, strict=True)
        return torch.cat(videos)[: len(requests)], torch.cat(audios)[: len(requests)]

    def sample_tile(
        self, requests: Sequence[Request], guidance: Any = None, epsilon: JointEpsilon | None = None
    ) -> tuple[Tensor, Tensor]:
        """`sample` for requests that go through the models together."""
        from mmbench.mmdisco.guidance import JointPredictor
        from mmbench.mmdisco.samplers import sample_pair

        condition = tuple(text.to(self.device) for text in self.texts([r.prompt.text for r in requests]))
        empty = tuple(u.to(self.device).expand_as(c) for u, c in zip(self.unconditional, condition, strict=True))
        predictor = JointPredictor(
            epsilon=epsilon or self.epsilon_for(requests),
            alphas_cumprod=tuple(s.alphas_cumprod.to(self.device) for s in self.schedules),  # type: ignore[arg-type]
            condition=condition or None,
            unconditional=empty or None,
            free_scale=self.sampling.free_scale if condition else None,
            guidance=None if guidance is None else guidance(condition, empty),
            dtype=self.dtype,
        )
        generators = tuple([generator_of(r, stream) for r in requests] for stream in STREAMS)
        video, audio = sample_pair(predictor, self.shapes, generators, self.sampler(), self.device)
        return video, audio

    def sampler(self) -> Any:
        """Steps both modalities; systems with a solver of their own override this."""
        from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler

        def maker(schedule: NoiseSchedule) -> Callable[[], Any]:
            return lambda: make_scheduler(self.sampling.sampler, schedule)  # type: ignore[arg-type]

        return SchedulerSampler(tuple(maker(s) for s in self.schedules), self.sampling.num_inference_steps)


def generator_of(request: Request, stream: str) -> torch.Generator:
    """A torch generator on the CPU for one stream of a request."""
    import torch

    return torch.Generator().manual_seed(int(request.rng(stream).integers(2**63 - 1)))


def discriminator_stem(name: SystemName, dataset: Dataset, weights: Weights) -> str:
    """What a discriminator's folder is called, up to its sizes and seed.

    Those of untrained models are called so, and those of a folder of clips after its content: none guides what it was
    not trained for.
    """
    untrained = f"-{weights}" if weights in ("random", "tiny") else ""
    return f"{name}-{getattr(dataset, 'label', dataset.name)}{untrained}"


def find_discriminator(name: SystemName, dataset: Dataset, weights: Weights) -> Path:
    """The weights of a guided system's discriminator: what `mmbench train` left, of the lowest seed, else shipped ones.

    Args:
        name: The system.
        dataset: What it was trained on.
        weights: How far those of the base models are real.

    Raises:
        MMBenchError: There are none; says how to train them.
    """
    stem = discriminator_stem(name, dataset, weights)
    folder = Path(os.environ.get(FOLDER_VARIABLE, DEFAULT_FOLDER))
    trained = [p for p in folder.glob(f"{stem}-s*/discriminator.safetensors") if seed_of(p).isdecimal()]
    for path in (*sorted(trained, key=lambda p: int(seed_of(p))), SHIPPED / f"{stem}.safetensors"):
        if path.is_file():
            return path
    loss = f" --loss {name.option}" if name.option in ("all", "disc", "denoise") else ""
    remedy = f"mmbench train --system {name.base} --dataset {dataset.name} --discriminator {name.design}{loss}"
    raise MMBenchError(
        f"{name} needs a discriminator trained on {dataset.name}, and there is none.",
        f"{folder / f'{stem}-s0' / 'discriminator.safetensors'}, or another folder in {FOLDER_VARIABLE}",
        f"{remedy} --out {folder}",
    )


def seed_of(weights: Path) -> str:
    """What follows the last "-s" in the name of a discriminator's folder."""
    return weights.parent.name.rpartition("-s")[2]


class PairSystem:
    """A `DiffusionPair` as a system: the pair alone, or with +mmdisco guided by a discriminator.

    Args:
        base: Registered name of the pair.
        load: Makes the pair; called once, when something is first generated, trained or guided.
        components: Name and digest of everything the pair is made of.
        weights: How far they are real.
        sampling: The pair's sampling, of which the run's spec tells.
        dataset: What is generated for; picks the discriminator.
        guidance: The name with +mmdisco; None for the pair alone.
        batch_size: Samples to be made at once unless a user says otherwise.
        discriminator: File of the discriminator, instead of the one that belongs to name and dataset.
        untrained_guide: Let a discriminator with random weights guide where none was trained, to try the plumbing.
        released: Name in `mmbench.known_weights` of the discriminator that +mmdisco-release asks for.
        released_design: Its design.
        released_logit: Guide by the logit of the released code, flat where the discriminator is sure.
        version: Raised by hand when the code changes what it draws.
    """

    def __init__(
        self,
        base: str,
        load: Callable[[], DiffusionPair],
        components: Spec,
        weights: Weights,
        sampling: Sampling,
        dataset: Dataset,
        guidance: SystemName | None = None,
        batch_size: int = 1,
        discriminator: str = "",
        untrained_guide: bool = False,
        released: str = "",
        released_design: str = "res_mlp",
        released_logit: bool = False,
        version: int = 1,
    ) -> None:
        self.name = str(guidance) if guidance else base
        self.weights: Weights = weights
        self.batch_size = batch_size
        self._base, self._load, self._sampling, self._version = base, load, sampling, version
        self._components, self._guidance, self._dataset = components, guidance, dataset
        self._given = discriminator
        self._untrained_guide, self._released, self._released_logit = untrained_guide, released, released_logit
        self._released_design = released_design
        if guidance and guidance.option == "release" and guidance.design not in ("res_mlp", released_design):
            found = f"{guidance}: the released discriminator is a {released_design}."
            raise UsageError(found, f"{base}+mmdisco-release", "leave the design out")

    @property
    def guided(self) -> bool:
        """Whether a discriminator guides it."""
        return self._guidance is not None

    @cached_property
    def _discriminator_path(self) -> Path | None:
        assert self._guidance is not None
        if self._given:
            if not Path(self._given).is_file():
                raise UsageError(f"There is no file {self._given}.", "a discriminator", "mmbench train")
            return Path(self._given)
        try:
            if self._guidance.option == "release" and self._released:
                return published.verify(self._released).path
            return find_discriminator(self._guidance, self._dataset, self.weights)
        except MMBenchError:
            if not self._untrained_guide:
                raise
            return None

    def spec(self) -> Spec:
        """Components and their digests, sampling, and the discriminator's digest where there is one."""
        sampling = asdict(self._sampling)
        joint_scale = sampling.pop("joint_scale")
        spec = {"system": self._base, "version": self._version, "components": self._components, "sampling": sampling}
        if self._guidance is None:
            return spec
        path = self._discriminator_path
        digest = hashlib.sha256(path.read_bytes()).hexdigest()[:32] if path else "random"
        guided = {"design": self._design, "option": self._guidance.option, "weights": digest}
        guided |= {"logit": "released"} if self._released_logit else {}
        return {**spec, "mmdisco": {**guided, "joint_scale": joint_scale}}

    @cached_property
    def _design(self) -> str:
        """Of the discriminator that guides: what its file says, for a file may be given; else what the name says."""
        assert self._guidance is not None
        path = self._discriminator_path
        if path is not None and path.suffix == ".safetensors":
            from safetensors import safe_open

            with safe_open(path, framework="np") as file:
                if config := (file.metadata() or {}).get("config"):
                    return str(json.loads(config)["design"])
        return self._released_design if self._guidance.option == "release" else str(self._guidance.design)

    @cached_property
    def _pair(self) -> DiffusionPair:
        return self._load()

    def pair(self) -> DiffusionPair:
        """The base models, for training a discriminator."""
        return self._pair

    @cached_property
    def _discriminator(self) -> Any:
        from mmbench.mmdisco.discriminator import load_discriminator

        path, device = self._discriminator_path, self._pair.device
        if path is None:
            return self._untrained().to(device)
        if self._guidance is not None and self._guidance.option == "release":
            return self._pair.released(path).requires_grad_(False)
        return load_discriminator(path, device=device).requires_grad_(False)

    def _untrained(self) -> Any:
        import torch

        from mmbench.mmdisco.discriminator import Discriminator

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = Discriminator(self._pair.discriminator(self._design))
        return model.requires_grad_(False).eval()

    def guide(self, text: tuple[Any, ...], unconditional: tuple[Any, ...]) -> Any:
        """What guides samples of these texts: the discriminator, its scales and what it reads."""
        from mmbench.mmdisco.guidance import Guidance, release_logit

        reads = self._discriminator.config.text
        return Guidance(
            self._discriminator,
            self._sampling.joint_scale,
            text if reads else (),
            unconditional if reads else (),
            release_logit if self._released_logit else None,
        )

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order."""
        guide = self.guide if self.guided else None
        video, audio = self._pair.sample(requests, guide)
        yield from self._pair.decode(video, audio, requests)

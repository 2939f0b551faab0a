"""A pair of frozen diffusion models, one of video and one of audio, and how it is sampled."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from mmbench.baselines.kinds.guiding import EVERY_STEP, Guiding
from mmbench.errors import MMBenchError
from mmbench.networks.devices import deterministic_kernels
from mmbench.types import Clip, Item, Request, System

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from mmbench.mmdisco.design import DiscriminatorConfig
    from mmbench.mmdisco.losses import JointEpsilon, Times
    from mmbench.mmdisco.schedule import Schedule
    from mmbench.mmdisco.seen import View

STREAMS = ("video noise", "audio noise")  # of a request; every pair draws from these, so pairs compare


@dataclass(frozen=True)
class Sampling:
    """Settings of a pair's sampler and guidance, all of them part of a run's identity.

    Attributes:
        sampler: One of `SCHEDULER_NAMES`; "euler" of flow models.
        num_inference_steps: Steps, at the same timesteps in both modalities.
        free_scale: Classifier-free guidance weights of video and audio; None for one conditional pass.
        joint_scale: Weights of the discriminator's gradient on video and audio; used with +mmdisco only.
        guiding: When and in which precision that gradient is computed; used with +mmdisco only.
    """

    sampler: str = "dpmsolver++2m"
    num_inference_steps: int = 50
    free_scale: tuple[float, float] | None = None
    joint_scale: tuple[float, float] = (1.0, 1.0)
    guiding: Guiding = EVERY_STEP


class DiffusionPair(ABC):
    """Two frozen diffusion models, one of video and one of audio, as MMDisCo samples, trains and guides on them.

    Tensors of one sample have no batch axis, those given to the models do. An example, as discriminators are trained
    on, is (video, audio, video_text, audio_text): clean latents and text embeddings on the CPU; the texts are None for
    models without text. Weights are loaded by the constructor of the subclass, which is called when the first of them
    is needed.

    Attributes:
        schedules: Noise schedules of video and audio, of one T.
        shapes: Shapes of one video and one audio latent.
        device: Where the models are.
        tile: Samples that go through the models together; batches are filled up to it with copies, so that the
            arithmetic of a sample is the same whatever batch it came in. 0 leaves batches as they are.
        sampling: The pair's defaults.
        coupled: Whether each model sees both modalities, so that video and audio of a generated pair belong together.
        dtype: Precision the base models are autocast to; None for none.
        encodes: Whether `encode` runs a network; without one, clips can be encoded as they are needed.
        view: What discriminators see of latents and texts (`mmbench.mmdisco.seen`); None for all as they are.
    """

    schedules: tuple[Schedule, Schedule]
    shapes: tuple[tuple[int, ...], tuple[int, ...]]
    device: str = "cpu"
    tile: int = 0
    sampling: Sampling
    coupled: bool = False
    encodes: bool = True
    view: View | None = None
    dtype: torch.dtype | None = None

    @property
    @abstractmethod
    def denoisers(self) -> tuple[Any, ...]:
        """The networks that predict noise; () if they are called by code that keeps no graph."""

    @abstractmethod
    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of n prompts, (n, ...) each on the CPU; () for models without text."""

    @abstractmethod
    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, *shape) noised video latents at integer timesteps t (n,), with graph."""

    @abstractmethod
    def epsilon_audio(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, *shape) noised audio latents at integer timesteps t (n,), with graph."""

    @abstractmethod
    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        """The clips that n pairs of clean latents decode to."""

    @abstractmethod
    def encode(self, item: Item) -> tuple[Any, ...]:
        """The example of a real item."""

    @abstractmethod
    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """The config of a discriminator for these latents; `sizes` may give channels and num_blocks."""

    def released(self, path: Path) -> Any:
        """The discriminator that MMDisCo's authors released for this pair, read from `path`."""
        raise MMBenchError("No discriminator was released for these models.", "one trained here", "mmbench train")

    def agreement(self, video: Tensor, audio: Tensor, video_tower: Any, audio_tower: Any) -> Tensor:
        """The cosine (n,) of the embeddings of clean latents' video and sound, with graph, for +aligner.

        Args:
            video: Clean video latents.
            audio: Clean audio latents.
            video_tower: The network that embeds videos, of the metric that the pair's system is aligned by.
            audio_tower: That of sounds.
        """
        found = f"{type(self).__name__} cannot be differentiated from its latents to an embedding."
        raise MMBenchError(found, "a pair that defines agreement", "the same command with +bestof-4 for +aligner")

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Times, condition: Any) -> tuple[Tensor, Tensor]:
        """Predicted noise of both modalities at timesteps that they share, or (t_video, t_audio).

        Args:
            x_t: (n, *shape) noised video latents.
            y_t: (n, *shape) noised audio latents.
            t: (n,) integers, or a pair of such.
            condition: None or (video_text, audio_text).
        """
        video_text, audio_text = condition or (None, None)
        t_video, t_audio = t if isinstance(t, tuple) else (t, t)
        return self.epsilon_video(x_t, t_video, video_text), self.epsilon_audio(y_t, t_audio, audio_text)

    def epsilon_for(self, requests: Sequence[Request]) -> JointEpsilon:
        """The `epsilon` of these requests' samples; models that draw numbers as they run draw from their streams."""
        return self.epsilon

    @cached_property
    def unconditional(self) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of the empty prompt, without a batch axis; () for models without text."""
        return tuple(text[0] for text in self.texts([""]))

    def draw(self, requests: Sequence[Request]) -> list[tuple[Any, ...]]:
        """Examples that the models generate for these requests, from the requests' own streams."""
        video, audio = self.sample(requests)
        texts = self.texts([r.prompt.text for r in requests]) or ([None] * len(requests),) * 2
        return list(zip(video.cpu(), audio.cpu(), *texts, strict=True))

    def sample(
        self, requests: Sequence[Request], guidance: Any = None, epsilon: JointEpsilon | None = None
    ) -> tuple[Tensor, Tensor]:
        """Generate clean latents of n requests, a tile at a time.

        Args:
            requests: Their prompts and noises.
            guidance: Maps (text, unconditional text) to a `mmbench.mmdisco.guidance.Guidance`, or to an `Alignment`;
                None for the bases.
            epsilon: Predicts the noise, instead of `epsilon_for`.
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
        """Generate clean latents of requests that go through the models together, the same bits in every run."""
        with deterministic_kernels(self.device):
            return self._sample_tile(requests, guidance, epsilon)

    def _sample_tile(
        self, requests: Sequence[Request], guidance: Any, epsilon: JointEpsilon | None
    ) -> tuple[Tensor, Tensor]:
        from mmbench.mmdisco.guidance import JointPredictor
        from mmbench.mmdisco.samplers import sample_pair

        condition, empty = self.conditions(requests)
        predictor = JointPredictor(
            epsilon=epsilon or self.epsilon_for(requests),
            alphas_cumprod=tuple(s.alphas_cumprod.to(self.device) for s in self.schedules),  # type: ignore[arg-type]
            condition=condition or None,
            unconditional=empty or None,
            free_scale=self.sampling.free_scale if condition else None,
            guidance=None if guidance is None else guidance(condition, empty),
            dtype=self.dtype,
            halves=(self.epsilon_video, self.epsilon_audio) if epsilon is None else None,
        )
        generators = tuple([generator_of(r, stream) for r in requests] for stream in STREAMS)
        video, audio = sample_pair(predictor, self.shapes, generators, self.sampler(), self.device)
        return video, audio

    def conditions(self, requests: Sequence[Request]) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """(video_text, audio_text) of n requests and of the empty prompt n times, on the device; () without text."""
        condition = tuple(text.to(self.device) for text in self.texts([r.prompt.text for r in requests]))
        empty = tuple(u.to(self.device).expand_as(c) for u, c in zip(self.unconditional, condition, strict=True))
        return condition, empty

    def sampler(self) -> Any:
        """The sampler of both modalities, on `NoiseSchedule`s; pairs with a solver of their own override this."""
        from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler

        def maker(schedule: Any) -> Callable[[], Any]:
            return lambda: make_scheduler(self.sampling.sampler, schedule)  # type: ignore[arg-type]

        path = self.sampling.guiding.path
        return SchedulerSampler(tuple(maker(s) for s in self.schedules), self.sampling.num_inference_steps, path=path)


@runtime_checkable
class GuidableSystem(System, Protocol):
    """A system of a `DiffusionPair`, which a factory registered with `guidable=True` makes.

    Attributes:
        guided: Whether a discriminator (+mmdisco) or an embedding (+aligner) guides it.
    """

    @property
    def guided(self) -> bool: ...

    def pair(self) -> DiffusionPair:
        """The base models, on which a discriminator is trained."""
        ...

    def guide(self, text: tuple[Any, ...], unconditional: tuple[Any, ...]) -> Any:
        """The `mmbench.mmdisco.guidance.Guidance` or `Alignment` of samples of these texts."""
        ...


def generator_of(request: Request, stream: str) -> torch.Generator:
    """A torch generator on the CPU for one stream of a request."""
    import torch

    return torch.Generator().manual_seed(int(request.rng(stream).integers(2**63 - 1)))

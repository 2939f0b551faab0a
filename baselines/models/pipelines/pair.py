"""Two pipelines of diffusers as a pair of base models that MMDisCo trains and guides on, whatever they predict.

Latents are the pipelines' own, as `scheduler.step` gets them, scaled to preserved variance: examples, noise, losses and
gradients are of those. A discriminator sees a view of them (`views`: unpacked, cut to the clip, folded) and the mean
states of their texts; gradients flow back through the view, so that nothing else has to know of it.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from mmbench.baselines.kinds.pair import STREAMS, DiffusionPair, Sampling, generator_of
from mmbench.baselines.models.latent.pair import TINY_DISCRIMINATOR
from mmbench.baselines.models.pipelines.clips import encode_clip, to_clip
from mmbench.baselines.models.pipelines.description import PairDescription
from mmbench.baselines.models.pipelines.loading import load_pipeline
from mmbench.baselines.models.pipelines.model import PipelineModel
from mmbench.baselines.models.pipelines.pair_view import PairView
from mmbench.baselines.models.pipelines.rates import video_times
from mmbench.baselines.models.pipelines.texts import PROMPT_BYTES
from mmbench.mmdisco.design import DiscriminatorConfig, for_latents
from mmbench.mmdisco.joint_guide import JointGuide
from mmbench.mmdisco.lockstep import corrections_of, generate
from mmbench.mmdisco.losses import JointEpsilon
from mmbench.mmdisco.scheduler_check import require_followed
from mmbench.networks.devices import deterministic_kernels
from mmbench.types import Clip, ClipFormat, Item, Request, Weights

DECODING = ("video decoding", "audio decoding")  # streams of a request, for pipelines that add noise before they decode


class PipelinePair(DiffusionPair):
    """A text-to-video and a text-to-audio pipeline; each sample is made alone, by their own loops in lockstep.

    Args:
        described: The pair, of places and commits.
        weights: Kind of its weights.
        sampling: The path of lockstep and, used with +mmdisco only, its scale and when it is computed.
        form: Of the clips that latents are decoded to.
        device: Where the pipelines run.
        dtype: Precision of their weights; None for float32.
        offload: What waits outside of a GPU: "none", "text" or "halves".

    Raises:
        UsageError: A pipeline or its scheduler is of a kind that cannot be guided.
    """

    tile = 1

    def __init__(
        self,
        described: PairDescription,
        weights: Weights,
        sampling: Sampling,
        form: ClipFormat,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        offload: str = "none",
    ) -> None:
        models = []
        for half in described.halves:
            pipe = load_pipeline(half, weights, device, dtype, offload != "none")
            require_followed(pipe.scheduler)
            models.append(PipelineModel(pipe, half.call, half.view, half.rate))
        self.video, self.audio = models
        self.schedules, self.shapes = (models[0].schedule, models[1].schedule), (models[0].shape, models[1].shape)
        self.sampling, self.form, self.device = sampling, form, device
        self._halves_wait = offload == "halves"
        self._sizes: dict[str, Any] = dict(TINY_DISCRIMINATOR) if weights == "tiny" else dict(described.discriminator)
        self.models, self.view = (self.video, self.audio), PairView(self.video.view, self.audio.view)

    @property
    def denoisers(self) -> tuple[Any, ...]:
        """None: they are called by their pipelines, which keep no graph."""
        return ()

    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of n prompts on the CPU: mean states and the prompts themselves (`texts`)."""
        return tuple(torch.stack([model.text(prompt) for prompt in prompts]) for model in self.models)

    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, *shape) latents in conditional passes without guidance, without a graph."""
        assert text is not None
        return self.video.epsilon(x_t, t, text)

    def epsilon_audio(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, *shape) latents in conditional passes without guidance, without a graph."""
        assert text is not None
        return self.audio.epsilon(x_t, t, text)

    def sample_tile(
        self, requests: Sequence[Request], guidance: Any = None, epsilon: JointEpsilon | None = None
    ) -> tuple[Tensor, Tensor]:
        """Generate clean latents of one request by both pipelines' own loops; `epsilon` is theirs."""
        (request,) = requests
        prompt = request.prompt.text
        generators = [generator_of(request, stream) for stream in STREAMS]
        video, audio = (model.half(prompt, generator) for model, generator in zip(self.models, generators, strict=True))
        correct = None if guidance is None else corrections_of(self._guide(guidance, request))
        with deterministic_kernels(self.device), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="torchsde")  # of the last digit of the times it is asked for
            z, y = generate((video, audio), correct, self.sampling.guiding.path, self._on_turn, latents_only=True)
        return z.float(), y.float()

    def _guide(self, guidance: Any, request: Request) -> JointGuide:
        """The guidance of one sample, with the pipelines' own weights of text."""
        text, empty = self.conditions([request])
        free = self.video.guidance_scale, self.audio.guidance_scale
        schedules = self.video.schedule, self.audio.schedule
        return JointGuide(guidance(text, empty), schedules, None if free == (1.0, 1.0) else free)

    def _on_turn(self, moving: int) -> None:
        """Where halves wait outside of a GPU, let the one that rests do so."""
        if self._halves_wait:
            self.models[1 - moving].leave_gpu()

    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        """The clips of n pairs of latents, by the pipelines' own ends, cut to the dataset's format."""
        rates, clips = (self.video.rate, int(self.audio.rate)), []
        for z, y, request in zip(video.split(1), audio.split(1), requests, strict=True):
            frames, sound = (
                model.decode(latent, request.prompt.text, generator_of(request, stream))
                for model, latent, stream in zip(self.models, (z, y), DECODING, strict=True)
            )
            clips.append(to_clip(frames, sound, *rates, self.form))
        return clips

    def encode(self, item: Item) -> tuple[Any, ...]:
        """The example of a real item, brought to the pipelines' rates and size."""
        latents = encode_clip(item.clip, self.video, self.audio)
        return *latents, *(model.text(item.prompt.text) for model in self.models)

    def discriminator(self, design: str, **sizes: Any) -> DiscriminatorConfig:
        """A config for what is seen of the latents, as wide as the description or `sizes` say, else as the paper's."""
        video, audio = (model.view.shape_of(model.shape) for model in self.models)
        texts = [len(text) - PROMPT_BYTES for text in self.unconditional]
        settings = {**self._sizes, "video_text_channels": texts[0], "audio_text_channels": texts[1]}
        if design.endswith("frieren"):
            settings["video_times"] = video_times(self.video.pipe, self.audio.pipe, video[1], self.video.rate)
        return for_latents(design, video, audio, **{**settings, **sizes})  # type: ignore[arg-type]

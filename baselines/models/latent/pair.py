"""A text-to-video and a text-to-sound latent diffusion model as one pair: 16 frames at 8 per second, 2 s at 16 kHz."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.models.latent.videocrafter2_sampling import ScaledDDIM
from mmbench.baselines.parts.imagebind_agreement import agreement
from mmbench.baselines.parts.stable_diffusion import decode_frames
from mmbench.errors import UsageError
from mmbench.mmdisco.design import DiscriminatorConfig, out_of_domain
from mmbench.mmdisco.discriminator import Discriminator, load_discriminator
from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler
from mmbench.mmdisco.schedule import NoiseSchedule, ScaledNoiseSchedule
from mmbench.types import Clip, Design, Item, Request

FPS, SAMPLE_RATE, NUM_FRAMES, SIDE, NUM_SAMPLES = 8, 16000, 16, 256, 32000
TEXTS_KEPT = 512  # prompts whose text states stay in memory
TINY_DISCRIMINATOR = {"channels": 32, "num_blocks": 1, "vit_channels": 32, "vit_layers": 1, "vit_heads": 1}
TINY_DISCRIMINATOR |= {"vit_out_channels": 32, "fusion_channels": 32, "fusion_layers": 1, "fusion_out_channels": 32}


@dataclass(frozen=True)
class Layout:
    """Layout of a pair's sound latents for a discriminator, and the design of the released one.

    Attributes:
        audio_channels: Channels.
        audio_size: (time, mel).
        audio_mel_first: The latents are (channels, mel, time).
        released: Design of the released discriminator, of 128 channels and 4 blocks.
    """

    audio_channels: int
    audio_size: tuple[int, int]
    audio_mel_first: bool
    released: Design


class LatentPair(DiffusionPair):
    """Two independent models; texts are encoded once per prompt, clips are decoded one by one in float32.

    Args:
        video: `AnimateDiff` or `VideoCrafter2`.
        audio: `AudioLDM` or `Auffusion`.
        layout: Of the sound latents.
        sampling: How the pair is sampled.
        device: Where the models are.
        dtype: Precision the denoisers are autocast to; None for none.
        tile: Samples that go through the denoisers together, whatever the batch.
        small: Discriminators are small by default, too.
    """

    def __init__(
        self,
        video: Any,
        audio: Any,
        layout: Layout,
        sampling: Sampling,
        device: str = "cpu",
        dtype: torch.dtype | None = None,
        tile: int = 1,
        small: bool = False,
    ) -> None:
        self.video, self.audio, self.layout, self.sampling = video, audio, layout, sampling
        self.schedules, self.shapes = (video.schedule, audio.schedule), (video.shape, audio.shape)
        self.device, self.dtype, self.tile, self._small = device, dtype, tile, small
        self._texts = lru_cache(TEXTS_KEPT)(lambda prompt: (video.text(prompt), audio.text(prompt)))
        self.unconditional = video.unconditional(), audio.unconditional()

    @property
    def denoisers(self) -> tuple[Any, ...]:
        """Both U-Nets."""
        return self.video.unet, self.audio.unet

    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        """(video_text, audio_text) of n prompts on the CPU; each is encoded alone, once."""
        return tuple(torch.stack(texts) for texts in zip(*map(self._texts, prompts), strict=True))

    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, 4, 16, 32, 32) latents."""
        return self.video.epsilon(x_t, t, text)

    def epsilon_audio(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        """Predicted noise of (n, 8, 50, 16) or (n, 4, 32, 25) latents."""
        return self.audio.epsilon(x_t, t, text)

    def sampler(self) -> SchedulerSampler:
        """diffusers' schedulers; "ddim" steps VideoCrafter2 with its own."""

        def maker(schedule: Any) -> Callable[[], Any]:
            if self.sampling.sampler == "ddim" and isinstance(schedule, ScaledNoiseSchedule):
                return lambda: ScaledDDIM(schedule)
            return lambda: make_scheduler(self.sampling.sampler, schedule)  # type: ignore[arg-type]

        path = self.sampling.guiding.path
        return SchedulerSampler(tuple(maker(s) for s in self.schedules), self.sampling.num_inference_steps, path=path)

    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        """Clips of n pairs of latents."""
        waves, frames = self.audio.decode(audio.float()), self.video.decode(video.float())
        return [Clip.from_float(v, FPS, a, SAMPLE_RATE) for v, a in zip(frames, waves, strict=True)]

    def agreement(self, video: Tensor, audio: Tensor, video_tower: Any, audio_tower: Any) -> Tensor:
        """The cosine of `ib_av`, for which of each video the first and the last frame are decoded."""
        ends = video[:, :, [0, -1]].transpose(1, 2)
        frames = decode_frames(self.video.vae, ends.flatten(0, 1)).unflatten(0, ends.shape[:2])
        return agreement(frames, self.audio.waves(audio), video_tower, audio_tower)

    def encode(self, item: Item) -> tuple[Any, ...]:
        """The example of a real item, whose frames are scaled to 256 x 256 if they are of another size.

        Raises:
            UsageError: Its length, frame rate or sample rate is another.
        """
        clip = item.clip
        found = (len(clip.video), float(clip.fps), len(clip.audio), clip.sample_rate)
        if found != (NUM_FRAMES, FPS, NUM_SAMPLES, SAMPLE_RATE):
            wanted = f"{NUM_FRAMES} frames at {FPS} and {NUM_SAMPLES} samples at {SAMPLE_RATE} per second"
            raise UsageError(f"{item.id} is {clip.size()}.", wanted, "a dataset of such clips, as vggsound")
        return self.video.encode(resize(clip.video)), self.audio.encode(clip.audio), *self._texts(item.prompt.text)

    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """A config of the paper's size, 132M parameters, unless `sizes` say otherwise; small for tiny models."""
        defaults: dict[str, Any] = dict(TINY_DISCRIMINATOR) if self._small else {}
        return out_of_domain(design, **{**self._latents(), **defaults, **sizes})  # type: ignore[arg-type]

    def _latents(self) -> dict[str, Any]:
        layout = self.layout
        return {
            "audio_channels": layout.audio_channels,
            "audio_size": layout.audio_size,
            "audio_mel_first": layout.audio_mel_first,
            "video_text_channels": self.video.text_channels,
            "audio_text_channels": self.audio.text_channels,
        }

    def released(self, path: Path) -> Any:
        """The discriminator that MMDisCo released, on noised latents as it was trained on them.

        Source of the sizes: SonyResearch/MMDisCo@3b9f84f:conf/model/audioldm_animediff_vggsound.yaml and
        auffusion_videocrafter2_vggsound.yaml.
        """
        config = out_of_domain(self.layout.released, channels=128, **self._latents())
        discriminator = load_discriminator(path, config, self.device)
        schedule = self.video.schedule
        scaled = isinstance(schedule, ScaledNoiseSchedule)
        return OnScaledVideo(discriminator, schedule.magnitude.to(self.device)) if scaled else discriminator


class Absent:
    """Placeholder for the model of a modality that is not generated: predicts zeros and decodes to `nothing`."""

    schedule = NoiseSchedule("scaled_linear", 0.00085, 0.012)
    shape = (1,)
    text_channels = 1

    def __init__(self, nothing: np.ndarray) -> None:
        self.nothing = nothing

    def text(self, prompt: str) -> Tensor:
        """Zeros of shape (1,) for the text."""
        return torch.zeros(1)

    def unconditional(self) -> Tensor:
        """Zeros of shape (1,) for the text."""
        return torch.zeros(1)

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Zeros for the predicted noise."""
        return torch.zeros_like(x_t)

    def decode(self, latents: Tensor) -> np.ndarray:
        """The empty video or sound `nothing`, once per latent."""
        return np.repeat(self.nothing[None], len(latents), 0)


def no_video() -> Absent:
    """The placeholder of a video model, for clips without frames."""
    return Absent(np.zeros((0, SIDE, SIDE, 3), np.float32))


def no_audio() -> Absent:
    """The placeholder of an audio model, for clips without samples."""
    return Absent(np.zeros(0, np.float32))


class OnScaledVideo(torch.nn.Module):
    """Discriminator trained on x_t that takes x_t divided by its magnitude and has its gradient in the latter."""

    def __init__(self, discriminator: Discriminator, magnitude: Tensor) -> None:
        super().__init__()
        self.discriminator, self.config, self.magnitude = discriminator, discriminator.config, magnitude

    def forward(self, video: Tensor, audio: Tensor, t: Tensor, *text: Tensor) -> Tensor:
        return self.discriminator(per_sample(self.magnitude[t], video) * video, audio, t, *text)


def resize(video: np.ndarray) -> np.ndarray:
    """(t, h, w, 3) uint8 of any size to (t, 256, 256, 3)."""
    if video.shape[1:3] == (SIDE, SIDE):
        return video
    frames = torch.from_numpy(video).permute(0, 3, 1, 2).float()
    scaled = F.interpolate(frames, (SIDE, SIDE), mode="bicubic", antialias=True)
    return scaled.round().clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()

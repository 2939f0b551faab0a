"""The embedded pair: tiny diffusion models of video and of audio, trained on `bounce`, each on its own modality."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor, nn

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.baselines.models.tiny.agreement import agreement
from mmbench.baselines.models.tiny.networks import (
    AUDIO_LATENT,
    SCHEDULES,
    TEXT_CHANNELS,
    VIDEO_LATENT,
    griffin_lim,
    log_mel,
    unpack,
    words_of,
)
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.losses import JointEpsilon
from mmbench.mmdisco.schedule import Schedule
from mmbench.types import Clip, Item, Request

FPS, SAMPLE_RATE, NUM_SAMPLES = 8.0, 16000, 32000


_networks: WeakValueDictionary[tuple[str, str, str], nn.Module] = WeakValueDictionary()  # shared by the pairs in use


def network(name: str, device: str, file: str = "tiny") -> Any:
    """Load a network of a shipped file on a device, or share it with another pair that uses it."""
    found = _networks.get((name, device, file))
    if found is None:
        found = unpack(name, SHIPPED / f"{file}.safetensors").to(device)
        _networks[name, device, file] = found
    return found


def pixels(frames: Tensor) -> Any:
    """(t, 3, h, w) in about [-1, 1] to (t, h, w, 3) floats in about [0, 1]."""
    return (frames.permute(0, 2, 3, 1) / 2 + 0.5).numpy()


class TinyPair(DiffusionPair):
    """The pair of 16 frames of 64x64 and two seconds of sound, from latents of 4x16x8x8 and 4x32x16."""

    schedules: tuple[Schedule, Schedule] = SCHEDULES
    shapes = (VIDEO_LATENT, AUDIO_LATENT)
    tile = 16

    def __init__(self, device: str, sampling: Sampling) -> None:
        self.device, self.sampling = device, sampling
        self.video_codec, self.audio_codec = network("video_codec", device), network("audio_codec", device)
        self.video_model, self.audio_model = self.make_denoisers()

    def make_denoisers(self) -> tuple[Any, Any]:
        """The models of video and of audio; a model of videos is a transformer and what refines its prediction."""
        video = RefinedDenoiser(network("video_model", self.device), network("video_refiner", self.device))
        return video, network("audio_model", self.device)

    @property
    def denoisers(self) -> tuple[Any, ...]:
        return self.video_model, self.audio_model

    @torch.no_grad()
    def texts(self, prompts: Sequence[str]) -> tuple[Tensor, ...]:
        words = torch.stack([words_of(prompt) for prompt in prompts]).to(self.device)
        return self.video_model.words(words).cpu(), self.audio_model.words(words).cpu()

    def epsilon_video(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        return self.video_model.epsilon(x_t, t, text)

    def epsilon_audio(self, x_t: Tensor, t: Tensor, text: Tensor | None) -> Tensor:
        return self.audio_model.epsilon(x_t, t, text)

    def agreement(self, video: Tensor, audio: Tensor, video_tower: Any, audio_tower: Any) -> Tensor:
        frames = self.video_codec.decode(video.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(video), -1))
        return agreement(frames, self.audio_codec.decode(audio), video_tower, audio_tower)

    @torch.no_grad()
    def decode(self, video: Tensor, audio: Tensor, requests: Sequence[Request]) -> list[Clip]:
        clips = []
        for x, y, request in zip(video, audio, requests, strict=True):  # one by one: no batch changes a pixel
            frames = self.video_codec.decode(x.transpose(0, 1)).cpu()
            mel = self.audio_codec.decode(y[None])[0].cpu()
            seed = int(request.rng("phases").integers(2**31))
            sound = griffin_lim(mel, NUM_SAMPLES, seed)
            clips.append(Clip.from_float(pixels(frames), FPS, sound, SAMPLE_RATE))
        return clips

    @torch.no_grad()
    def encode(self, item: Item) -> tuple[Any, ...]:
        frames = torch.from_numpy(item.clip.video).permute(0, 3, 1, 2).float() / 127.5 - 1
        video = self.video_codec.encode(frames.to(self.device)).transpose(0, 1).contiguous()
        audio = self.audio_codec.encode(log_mel(item.clip.audio)[None].to(self.device))[0]
        texts = [text[0] for text in self.texts([item.prompt.text])]
        return video.cpu(), audio.cpu(), *texts

    def discriminator(self, design: str, **sizes: int) -> DiscriminatorConfig:
        """A config of 32 channels and a block per level unless `sizes` say otherwise, transformers of width 64."""
        widths: dict[str, Any] = {"channels": 32, "num_blocks": 1, **sizes}
        return DiscriminatorConfig(
            design,  # type: ignore[arg-type]
            video_channels=VIDEO_LATENT[0],
            audio_channels=AUDIO_LATENT[0],
            audio_ndim=2,
            channel_mult=(1, 2),
            embed_channels=widths["channels"],
            video_text_channels=TEXT_CHANNELS,
            audio_text_channels=TEXT_CHANNELS,
            fusion_channels=64,
            fusion_layers=2,
            fusion_out_channels=64,
            video_size=VIDEO_LATENT[1:],
            audio_size=AUDIO_LATENT[1:],
            video_patch=(2, 4, 4),
            audio_patch=(2, 4),
            vit_channels=64,
            vit_layers=3,
            vit_heads=4,
            vit_out_channels=64,
            **widths,
        )


class TinyCascade(TinyPair):
    """The cascade on the video model of `TinyPair`: a model trained on pairs makes sound for its videos."""

    def make_denoisers(self) -> tuple[Any, Any]:
        return super().make_denoisers()[0], network("video_to_audio_model", self.device, "tiny_cascade")

    def sample_tile(
        self, requests: Sequence[Request], guidance: Any = None, epsilon: JointEpsilon | None = None
    ) -> tuple[Tensor, Tensor]:
        """Generate the video of `TinyPair` from the same noise, then audio conditioned on it."""

        def video_only(x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
            return self.epsilon_video(x_t, t, condition[0]), torch.zeros_like(y_t)

        video, _ = super().sample_tile(requests, epsilon=video_only)

        @torch.no_grad()
        def audio_only(x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> tuple[Tensor, Tensor]:
            seen = video.repeat(len(y_t) // len(video), 1, 1, 1, 1)  # once more for the pass without text
            return torch.zeros_like(x_t), self.audio_model.epsilon(y_t, t, condition[1], seen)

        _, audio = super().sample_tile(requests, epsilon=audio_only)
        return video, audio

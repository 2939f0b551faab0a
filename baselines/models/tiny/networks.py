"""The networks of the embedded models: two codecs and two latent diffusion models that know nothing of each other.

Small enough for a CPU, of the same parts as the big ones: AutoencoderKL and a transformer per modality, with a noise
schedule of its own, texts as a vector. `scripts/train_tiny.py` trains them, `data/tiny.md` says on what.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.embeddings import TimestepEmbedding, Timesteps
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from mmbench.baselines.models.tiny.refiner import Refiner
from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.networks.compiled import import_librosa

VIDEO_LATENT = (4, 16, 8, 8)  # channels, frames, height, width
AUDIO_LATENT = (4, 32, 16)  # channels, time, mel bands
SCHEDULES = NoiseSchedule("scaled_linear", 0.00085, 0.012), NoiseSchedule("scaled_linear", 0.0015, 0.0195)
SAMPLE_RATE, FFT, WINDOW, HOP, NUM_MELS, NUM_HOPS = 16000, 1024, 1000, 250, 64, 128
FLOOR = 1e-3  # added to mel magnitudes, which reach some 90
MEL_CENTER, MEL_SCALE = -1.2, 5.7  # take log(mel + FLOOR) to [-1, 1]
WORDS = ("a", "ball", "balls", "bouncing", "glass", "large", "metal", "plastic", "rubber", "small", "two", "wooden")
TEXT_CHANNELS = 32
HEAD_CHANNELS = 32


@cache
def mel_filters() -> np.ndarray:
    """(NUM_MELS, FFT / 2 + 1) triangles of height 1 between 20 Hz and 8 kHz."""
    librosa = import_librosa()

    filters: np.ndarray = librosa.filters.mel(
        sr=SAMPLE_RATE, n_fft=FFT, n_mels=NUM_MELS, fmin=20.0, fmax=SAMPLE_RATE / 2, norm=None
    )
    return filters


def log_mel(audio: np.ndarray) -> Tensor:
    """(s,) samples to (1, NUM_HOPS, NUM_MELS) float32, about [-1, 1]; hop k is centred at sample k * HOP."""
    librosa = import_librosa()

    spectrum = librosa.stft(audio, n_fft=FFT, hop_length=HOP, win_length=WINDOW)[:, :NUM_HOPS]
    mel = np.log(mel_filters() @ np.abs(spectrum) + FLOOR)
    return torch.from_numpy((mel.T[None] - MEL_CENTER) / MEL_SCALE).float()


def griffin_lim(mel: Tensor, num_samples: int, seed: int) -> np.ndarray:
    """The sound of a log-mel spectrogram: (1, NUM_HOPS, NUM_MELS) to (num_samples,) float32, phases found by iteration.

    Args:
        mel: What `log_mel` gives.
        num_samples: Length; NUM_HOPS * HOP is what the spectrogram covers.
        seed: Of the phases it starts from.
    """
    librosa = import_librosa()

    bands = np.exp(mel[0].double().numpy().T * MEL_SCALE + MEL_CENTER) - FLOOR
    magnitude = np.maximum(np.linalg.pinv(mel_filters()) @ bands, 0.0).astype(np.float32)
    magnitude = np.pad(magnitude, ((0, 0), (0, 1)), mode="edge")
    sound = librosa.griffinlim(
        magnitude, n_iter=32, hop_length=HOP, win_length=WINDOW, n_fft=FFT, length=num_samples, random_state=seed
    )
    return np.asarray(sound, dtype=np.float32)


class Codec(nn.Module):
    """AutoencoderKL on pictures whose blocks of pixels are channels; latents of mean 0 and variance 1."""

    def __init__(self, channels: int, block: int, widths: Sequence[int], latent_channels: int = 4) -> None:
        super().__init__()
        n = len(widths)
        self.block = block
        self.autoencoder: Any = AutoencoderKL(
            in_channels=block**2 * channels,
            out_channels=block**2 * channels,
            down_block_types=("DownEncoderBlock2D",) * n,
            up_block_types=("UpDecoderBlock2D",) * n,
            block_out_channels=tuple(widths),
            layers_per_block=1,
            latent_channels=latent_channels,
            norm_num_groups=8,
            mid_block_add_attention=False,
        )
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(latent_channels, 1, 1))
        self.register_buffer("std", torch.ones(latent_channels, 1, 1))

    def posterior(self, pictures: Tensor) -> Any:
        """The distribution of the raw latents of (n, c, h, w) in [-1, 1]."""
        return self.autoencoder.encode(F.pixel_unshuffle(pictures, self.block)).latent_dist

    def reconstruct(self, raw: Tensor) -> Tensor:
        """Pictures of raw latents."""
        return F.pixel_shuffle(self.autoencoder.decode(raw).sample, self.block)

    def encode(self, pictures: Tensor) -> Tensor:
        """(n, c, h, w) in [-1, 1] to (n, 4, h', w'); the mode of the posterior."""
        return (self.posterior(pictures).mode() - self.mean) / self.std

    def decode(self, latents: Tensor) -> Tensor:
        """The way back."""
        return self.reconstruct(latents * self.std + self.mean)


def video_codec() -> Codec:
    """64x64 RGB frames to 4x8x8, each on its own."""
    return Codec(3, 2, (24, 32, 48))


def audio_codec() -> Codec:
    """128x64 log-mel spectrograms to 4x32x16."""
    return Codec(1, 4, (32,))


def words_of(text: str) -> Tensor:
    """(12,) float32: how often each known word stands in a text."""
    split = text.lower().split()
    return torch.tensor([float(split.count(word)) for word in WORDS])


def patches(x: Tensor, patch: Sequence[int]) -> Tensor:
    """(n, c, *axes) to (n, tokens, c * prod(patch)), tokens in the order of the axes."""
    n, c, *axes = x.shape
    split = [size for a, p in zip(axes, patch, strict=True) for size in (a // p, p)]
    k = len(patch)
    order = [0, *range(2, 2 * k + 2, 2), 1, *range(3, 2 * k + 2, 2)]
    return x.reshape(n, c, *split).permute(order).reshape(n, -1, c * int(np.prod(patch)))


def unpatch(tokens: Tensor, shape: Sequence[int], patch: Sequence[int]) -> Tensor:
    """The way back to (n, *shape)."""
    c, *axes = shape
    counts = [a // p for a, p in zip(axes, patch, strict=True)]
    k = len(patch)
    order = [0, k + 1, *[axis for i in range(k) for axis in (1 + i, k + 2 + i)]]
    return tokens.reshape(-1, *counts, c, *patch).permute(order).reshape(-1, *shape)


class Denoiser(nn.Module):
    """A diffusion transformer on patches of noised latents, with a text encoder that knows twelve words.

    It predicts v = sqrt(abar) eps - sqrt(1 - abar) x_0, which `epsilon` turns into the noise. With a `context` (shape
    and patch of another modality's clean latents) it sees those beside its own patches.
    """

    def __init__(
        self,
        shape: Sequence[int],
        patch: Sequence[int],
        schedule: NoiseSchedule,
        width: int,
        depth: int,
        context: tuple[Sequence[int], Sequence[int]] | None = None,
    ) -> None:
        super().__init__()
        self.shape, self.patch, self.schedule, self.context = shape, patch, schedule, context
        num, dim = patches(torch.zeros(1, *shape), patch).shape[1:]
        self.words = nn.Linear(len(WORDS), TEXT_CHANNELS, bias=False)
        self.text = nn.Linear(TEXT_CHANNELS, width)
        self.time = Timesteps(width, flip_sin_to_cos=True, downscale_freq_shift=0)
        self.time_embed = TimestepEmbedding(width, width)
        self.modulation = nn.Linear(width, 6 * width)
        self.embed = nn.Linear(dim, width)
        self.position = nn.Parameter(0.02 * torch.randn(num, width))
        if context is not None:
            context_num, context_dim = patches(torch.zeros(1, *context[0]), context[1]).shape[1:]
            self.context_embed = nn.Linear(context_dim, width)
            self.context_position = nn.Parameter(0.02 * torch.randn(context_num, width))
        self.blocks = nn.ModuleList(
            BasicTransformerBlock(
                width,
                num_attention_heads=width // HEAD_CHANNELS,
                attention_head_dim=HEAD_CHANNELS,
                activation_fn="gelu-approximate",
                attention_bias=True,
                norm_type="ada_norm_single",
                norm_elementwise_affine=False,
            )
            for _ in range(depth)
        )
        self.out = nn.Linear(width, dim)

    def forward(self, x_t: Tensor, t: Tensor, text: Tensor, context: Tensor | None = None) -> Tensor:
        """v of (n, *shape) noised latents at timesteps t (n,) with texts (n, 32), and clean context latents if any."""
        condition = F.silu(self.time_embed(self.time(t)) + self.text(text))
        tokens = self.embed(patches(x_t, self.patch)) + self.position
        num = tokens.shape[1]
        if self.context is not None and context is not None:
            seen = self.context_embed(patches(context, self.context[1])) + self.context_position
            tokens = torch.cat([tokens, seen], 1)
        modulation = self.modulation(condition)
        for block in self.blocks:
            tokens = block(tokens, timestep=modulation)
        scale = 1 + modulation[:, None, : tokens.shape[2]]
        return unpatch(self.out(F.layer_norm(tokens[:, :num], tokens.shape[2:]) * scale), self.shape, self.patch)

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor, context: Tensor | None = None) -> Tensor:
        """The predicted noise."""
        abar = per_sample(self.schedule.alphas_cumprod.to(x_t.device)[t.long()], x_t)
        return abar.sqrt() * self(x_t, t, text, context) + (1 - abar).sqrt() * x_t


def video_model() -> Denoiser:
    """Noise of video latents; a token is 2 frames of 4x4."""
    return Denoiser(VIDEO_LATENT, (2, 4, 4), SCHEDULES[0], width=192, depth=6)


def video_refiner() -> Refiner:
    """What is added to the v of `video_model`, latent by latent."""
    return Refiner(VIDEO_LATENT, TEXT_CHANNELS)


def audio_model() -> Denoiser:
    """Noise of audio latents; a token is one time step."""
    return Denoiser(AUDIO_LATENT, (1, 16), SCHEDULES[1], width=128, depth=6)


def video_to_audio_model() -> Denoiser:
    """Noise of audio latents, given the video; a token of it is one frame's quarter."""
    return Denoiser(AUDIO_LATENT, (1, 16), SCHEDULES[1], width=128, depth=6, context=(VIDEO_LATENT, (2, 4, 4)))


NETWORKS: Mapping[str, Callable[[], nn.Module]] = {
    "video_codec": video_codec,
    "audio_codec": audio_codec,
    "video_model": video_model,
    "video_refiner": video_refiner,
    "audio_model": audio_model,
    "video_to_audio_model": video_to_audio_model,
}
FILES = {
    "tiny.safetensors": ("video_codec", "audio_codec", "video_model", "video_refiner", "audio_model"),
    "tiny_cascade.safetensors": ("video_to_audio_model",),
}


def pack(states: Mapping[str, Mapping[str, Tensor]], path: Path) -> None:
    """Write networks to one file: matrices of all but codecs as int8, a scale per row, the rest as float16."""
    stored: dict[str, Tensor] = {}
    for network, state in states.items():
        for name, value in state.items():
            key = f"{network}.{name}"
            if not network.endswith("_codec") and value.ndim == 2:
                scale = (value.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12)
                stored[key] = (value / scale).round().to(torch.int8)
                stored[f"{key}:scale"] = scale.float()
            else:
                stored[key] = value.half() if value.is_floating_point() else value
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in stored.items()}, path)


def unpack(network: str, path: Path) -> nn.Module:
    """One network of a file that `pack` wrote, in float32 and in evaluation mode."""
    model, prefix = NETWORKS[network](), f"{network}."
    with safe_open(path, framework="pt") as file:
        stored = {k.removeprefix(prefix): file.get_tensor(k) for k in file.keys() if k.startswith(prefix)}  # noqa: SIM118
    scales = {k.removesuffix(":scale"): stored.pop(k) for k in list(stored) if k.endswith(":scale")}
    state = {k: v.float() * scales[k] if k in scales else v.float() for k, v in stored.items()}
    model.load_state_dict(state, strict=True)
    return model.requires_grad_(False).eval()

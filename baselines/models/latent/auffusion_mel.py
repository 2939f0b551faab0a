"""Auffusion (arXiv 2401.01044): its mel images, prompt states, silence and vocoder.

Rules and names: happylittlecat2333/Auffusion@f44233d:converter.py, auffusion_pipeline.py; the silence is
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/diffusion/audio.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mmbench.baselines.parts.mel import FLOOR, log_mel
from mmbench.errors import UsageError
from mmbench.mmdisco.losses import add_noise
from mmbench.networks.clip_tokens import CONTEXT
from mmbench.networks.state_dicts import State, fuse_weight_norm, load_state, rename

NUM_MELS, N_FFT, POWER_OFFSET = 256, 2048, 1e-9
PEAK = 0.95
LOUDEST = 200.0  # the mel magnitude that is white in an image; `FLOOR` is black
IMAGE_FRAMES, LATENT_FRAMES = 1024, 128  # 10.24 s: all that the U-Net was trained on
VOCODER: Mapping[str, Any] = {  # the released sizes, as the original's config
    "resblock": "1",
    "upsample_rates": [5, 4, 4, 2],
    "upsample_kernel_sizes": [11, 8, 8, 4],
    "upsample_initial_channel": 512,
    "resblock_kernel_sizes": [3, 7, 11],
    "resblock_dilation_sizes": [[1, 3, 5], [1, 3, 5], [1, 3, 5]],
    "num_mels": NUM_MELS,
    "sampling_rate": 16000,
}


def normalize_wave(wave: Tensor) -> Tensor:
    """Cut (n, samples) in [-1, 1] down to 16 bits and scale each row to a peak of 0.95; silence stays."""
    steps = (wave * 32768).trunc().clamp(-32768, 32767) / 32768
    peak = steps.abs().amax(-1, keepdim=True)
    return torch.where(peak > 0, steps / peak.clamp(min=torch.finfo(steps.dtype).tiny) * PEAK, steps)


def wave_to_log_mel(wave: Tensor) -> Tensor:
    """(n, samples) in [-1, 1] at 16 kHz, as `normalize_wave` leaves them, to (n, 256, samples / 160)."""
    return log_mel(wave, N_FFT, NUM_MELS, POWER_OFFSET)


def log_mel_to_image(log_mels: Tensor) -> Tensor:
    """(n, 256, frames) to (n, 3, 256, frames): 0 for 1e-5 to 1 for 200, high bands on top, three equal channels."""
    low, high = math.log(FLOOR), math.log(LOUDEST)
    return ((log_mels - low) / (high - low)).flip(1)[:, None].expand(-1, 3, -1, -1)


def image_to_log_mel(image: Tensor) -> Tensor:
    """The inverse of `log_mel_to_image`, from the first channel."""
    low, high = math.log(FLOOR), math.log(LOUDEST)
    return image[:, 0].flip(1) * (high - low) + low


def image_to_vae(image: Tensor, frames: int = IMAGE_FRAMES) -> Tensor:
    """Spectrogram image for the autoencoder: black up to `frames` (or cut there), [0, 1] as [-1, 1]."""
    return 2 * F.pad(image, (0, frames - image.shape[-1])) - 1


def vae_to_log_mel(decoded: Tensor) -> Tensor:
    """(n, 3, 256, frames) from the autoencoder to (n, 256, frames) for the vocoder."""
    return image_to_log_mel((decoded / 2 + 0.5).clamp(0, 1))


class ConditionAdapter(nn.Module):
    """From the text encoder's states to what the U-Net attends to; tensors have the official names."""

    def __init__(self, condition_dim: int = 768, cross_attention_dim: int = 768) -> None:
        super().__init__()
        self.proj = nn.Linear(condition_dim, cross_attention_dim)
        self.norm = nn.LayerNorm(cross_attention_dim)

    def forward(self, states: Tensor) -> Tensor:
        return self.norm(self.proj(states))


def prompt_states(hidden: Tensor, adapter: ConditionAdapter) -> Tensor:
    """Adapted states of one prompt, (77, cross_attention_dim); no prompt at all has zeros in their place.

    Args:
        hidden: (tokens, condition_dim) last hidden state of the prompt without padding; zeros follow it, or it is cut,
            before the adapter.
        adapter: The adapter.
    """
    return adapter(F.pad(hidden, (0, 0, 0, CONTEXT - len(hidden))))


def append_silence(x_t: Tensor, silence: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> Tensor:
    """Fill up noised latents to the width that the U-Net was trained on, with silence noised as much.

    Args:
        x_t: (n, c, mels, frames) noised latents.
        silence: (1, c, mels, width) clean latent of silence.
        noise: Of the same shape, or one per sample.
        alpha_cumprod: abar_t, (n,).

    Returns:
        (n, c, mels, width).
    """
    silence, noise = (z.expand(len(x_t), -1, -1, -1)[..., x_t.shape[-1] :] for z in (silence, noise))
    return torch.cat([x_t, add_noise(silence, noise, alpha_cumprod)], dim=-1)


def vocoder_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of SpeechT5HifiGanConfig for the original's config.

    Raises:
        UsageError: It is built of the other kind of residual blocks, which Auffusion does not use.
    """
    if str(config.get("resblock", "1")) != "1":
        raise UsageError(f"Vocoder with residual blocks {config['resblock']!r}.", "'1', as Auffusion's")
    own = ("resblock", "num_mels")
    taken = {name: config[name] for name in VOCODER if name not in own}
    return {**taken, "model_in_dim": config["num_mels"], "leaky_relu_slope": 0.1, "normalize_before": False}


def load_vocoder(vocoder: Any, state: State) -> None:
    """Load `vocoder.pt["generator"]` into a SpeechT5HifiGan; names must match exactly.

    Directions and lengths of weights become weights; mean and scale of its input, which it does not use, stay.
    """
    unchanged = {name: value for name, value in vocoder.state_dict().items() if name in ("mean", "scale")}
    renamed = rename(fuse_weight_norm(state), vocoder_name, "the vocoder")
    load_state(vocoder, {**unchanged, **renamed}, "Auffusion's vocoder")


def vocoder_name(name: str) -> str | None:
    """SpeechT5HifiGan's name of a tensor of the vocoder."""
    return re.sub(r"^ups\.", "upsampler.", name)

"""Auffusion as a text-to-sound model: 2 s of 16 kHz, of the 10.24 s that its U-Net always works on."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, SpeechT5HifiGan

from mmbench.baselines.models.latent import auffusion_mel as auffusion
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.loading import Parts
from mmbench.baselines.parts.mel import HOP_LENGTH
from mmbench.mmdisco.schedule import NoiseSchedule
from mmbench.networks.clip_tokens import CONTEXT, clip_tokens
from mmbench.weights import checkpoints as published

NUM_SAMPLES = 32000
LATENT_MELS = auffusion.NUM_MELS // 8
LATENT_FRAMES = NUM_SAMPLES // HOP_LENGTH // 8
TINY_VOCODER = {"upsample_initial_channel": 64, "initializer_range": 0.1}


class Auffusion:
    """Sound latents (4, 32, 25): mel, then time. Conditions are adapted CLIP states (77, 768), zeros for no prompt.

    Attributes:
        silence: (1, 4, 32, 128) float32 latent of 10.24 s without sound, whatever precision the denoiser runs in.

    Args:
        parts: Where it comes from and where it goes.
        fresh_noise: Noise the silence anew at every timestep, as the released MMDisCo does, rather than always with
            the same numbers. Neither depends on the sample.
    """

    schedule = NoiseSchedule("scaled_linear", 0.00085, 0.012)
    shape = (4, LATENT_MELS, LATENT_FRAMES)

    def __init__(self, parts: Parts, fresh_noise: bool = False) -> None:
        self.device, self.fresh_noise = parts.device, fresh_noise
        self.unet = parts.denoiser(parts.build(UNet2DConditionModel, sd.UNET, sd.TINY["unet"], "unet"))
        self.vae = parts.build(AutoencoderKL, sd.VAE, sd.TINY["vae"], "vae")
        self.text_encoder = parts.build(CLIPTextModel, sd.TEXT, sd.TINY["text_encoder"], "text_encoder_0")
        self.text_channels: int = self.unet.config.cross_attention_dim
        width = {"condition_dim": self.text_channels, "cross_attention_dim": self.text_channels}
        adapter = parts.new(auffusion.ConditionAdapter, width, {}, "condition_adapter_0")
        vocoder = parts.new(SpeechT5HifiGan, auffusion.vocoder_config(auffusion.VOCODER), TINY_VOCODER, "vocoder")
        if parts.weights == "real":
            adapter.load_state_dict(published.load_state_dict(parts.name, "condition_adapter_0/condition_adapter.pt"))
            state = published.load_state_dict(parts.name, "vocoder/vocoder.pt")
            auffusion.load_vocoder(vocoder, state["generator"])
        self.adapter, self.vocoder = parts.place(adapter), parts.place(vocoder)
        self.tokens = clip_tokens(parts.folder and parts.folder / "text_encoder_0")
        self.alphas_cumprod = self.schedule.alphas_cumprod.to(self.device)
        self._noises: dict[int, Tensor] = {}
        self.silence = self._encode(torch.zeros(1, auffusion.IMAGE_FRAMES * HOP_LENGTH, device=self.device))

    @torch.inference_mode()
    def text(self, prompt: str) -> Tensor:
        """(77, 768) float32 on the CPU."""
        ids = torch.tensor([self.tokens(prompt)], device=self.device)
        return auffusion.prompt_states(self.text_encoder(ids).last_hidden_state[0], self.adapter).cpu().clone()

    def unconditional(self) -> Tensor:
        """Text states of the empty prompt."""
        return torch.zeros(CONTEXT, self.text_channels)

    def epsilon(self, x_t: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predicted noise of (n, 4, 32, 25) latents; silence follows them up to the trained width."""
        dtype, frames = self.unet.dtype, x_t.shape[-1]
        noise = torch.cat([self._noise(int(step)) for step in t.tolist()]) if self.fresh_noise else self._noise(0)
        wide = auffusion.append_silence(x_t, self.silence, noise, self.alphas_cumprod[t])
        return self.unet(wide.to(dtype), t, text.to(dtype)).sample[..., :frames]

    def _noise(self, step: int) -> Tensor:
        """(1, 4, 32, 128) standard normal numbers that belong to `step`, drawn once."""
        if step not in self._noises:
            generator = torch.Generator().manual_seed(step)
            noise = torch.randn(1, 4, LATENT_MELS, auffusion.LATENT_FRAMES, generator=generator)
            self._noises[step] = noise.to(self.device)
        return self._noises[step]

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> np.ndarray:
        """(n, 32000) float32 at 16 kHz."""
        waves = [self.waves(latent) for latent in latents.split(1)]  # bounded memory, and nothing depends on the batch
        return torch.cat(waves).float().cpu().numpy()

    def waves(self, latents: Tensor) -> Tensor:
        """What `decode` gives, as a tensor with a graph."""
        log_mel = auffusion.vae_to_log_mel(self.vae.decode(latents / self.vae.config.scaling_factor).sample)
        return self.vocoder(log_mel.mT)

    def encode(self, wave: np.ndarray) -> Tensor:
        """(4, 32, 25) float32 on the CPU, the mode, of (32000,) float32 at 16 kHz; silence follows it."""
        return self._encode(torch.from_numpy(wave)[None].to(self.device))[0, ..., :LATENT_FRAMES].cpu().clone()

    @torch.no_grad()
    def _encode(self, wave: Tensor) -> Tensor:
        image = auffusion.log_mel_to_image(auffusion.wave_to_log_mel(auffusion.normalize_wave(wave)))
        return self.vae.encode(auffusion.image_to_vae(image)).latent_dist.mode() * self.vae.config.scaling_factor

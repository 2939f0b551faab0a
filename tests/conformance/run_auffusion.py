"""Auffusion's codec, prompts, silence and vocoder against the official code."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from mmbench.baselines.models.latent import auffusion_mel as auffusion
from mmbench.mmdisco.losses import per_sample
from mmbench.mmdisco.schedule import NoiseSchedule
from tests.conformance.harness import Fixture, runner


@runner("auffusion_mel_codec")
def auffusion_mel_codec(fixture: Fixture) -> None:
    wave = fixture.input("wav")[None]
    normalized = auffusion.normalize_wave(wave)
    fixture.check("normalized_wav", normalized)
    log_mel = auffusion.wave_to_log_mel(normalized)
    fixture.check("log_mel", log_mel[0])
    silent = auffusion.wave_to_log_mel(auffusion.normalize_wave(torch.zeros_like(wave)))
    fixture.check("log_mel_silence", silent[0])
    image = auffusion.log_mel_to_image(log_mel)
    fixture.check("image", image[0])
    fixture.check("vae_input", auffusion.image_to_vae(image, fixture.config["spec_length"])[0])
    fixture.check("log_mel_back", auffusion.image_to_log_mel(image)[0])
    fixture.check("decoded_log_mel", auffusion.vae_to_log_mel(fixture.input("vae_output")))


@runner("auffusion_prompt")
@torch.inference_mode()
def auffusion_prompt(fixture: Fixture) -> None:
    adapter = auffusion.ConditionAdapter(**fixture.config["constructor"])
    adapter.load_state_dict(fixture.weights(), strict=True)
    fixture.check("adapter", adapter(fixture.input("states")))
    hidden = [fixture.input(f"hidden_{i}") for i in range(fixture.config["prompts"])]
    prompts = torch.stack([auffusion.prompt_states(h, adapter) for h in hidden])
    fixture.check("prompt_embeds", prompts)
    fixture.check("negative_embeds", torch.zeros_like(prompts))


@runner("auffusion_silence_padding")
def auffusion_silence_padding(fixture: Fixture) -> None:
    scheduler = fixture.config["scheduler"]
    names = ("beta_schedule", "beta_start", "beta_end", "num_train_timesteps")
    abar = NoiseSchedule(*(scheduler[name] for name in names)).alphas_cumprod
    x, t, text = (fixture.input(name) for name in ("noisy_sample", "timesteps", "text"))
    wide = auffusion.append_silence(x, fixture.input("silence_latent"), fixture.input("padding_noise"), abar[t])
    fixture.check("pred_noise", formula(wide, t, text)[..., : x.shape[-1]])


def formula(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
    """The formula U-Net of the silence fixture."""
    inner = 0.7 * x + 0.5 * x.roll(1, -1) - 0.4 * x.roll(-1, -1) + 2 * x.mean(-1, keepdim=True)
    return torch.tanh(inner + 0.3 * per_sample(text.mean((1, 2)), x) + 0.2 * per_sample(torch.sin(t / 100), x))


@runner("auffusion_vocoder")
@torch.inference_mode()
def auffusion_vocoder(fixture: Fixture) -> None:
    vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**auffusion.vocoder_config(fixture.config["constructor"]))).eval()
    auffusion.load_vocoder(vocoder, fixture.weights())
    fixture.check("wav", vocoder(fixture.input("mel").mT)[:, None])

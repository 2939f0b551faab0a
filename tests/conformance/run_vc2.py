"""VideoCrafter2's parts, schedule and DDIM against the official code; the autoencoder is Diff-Foley's, too."""

from __future__ import annotations

from collections.abc import Iterator
from unittest import mock

import numpy as np
import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from mmbench.baselines.models.latent.videocrafter2_names import load_text, load_unet, text_config, unet_config
from mmbench.baselines.models.latent.videocrafter2_sampling import NATIVE, ScaledDDIM
from mmbench.baselines.parts.autoencoder_names import autoencoder_config, load_autoencoder
from mmbench.mmdisco.losses import add_noise, per_sample
from tests.conformance.harness import Fixture, runner


@runner("vc2_unet")
@torch.inference_mode()
def vc2_unet(fixture: Fixture) -> None:
    for case, fps in fixture.config["fps_cases"].items():
        unet = UNet3DConditionModel(**unet_config(fixture.config["constructor"])).eval()
        load_unet(unet, fixture.weights(), fps)
        x, t, context = (fixture.input(name) for name in ("x", "timesteps", "context"))
        fixture.check(f"eps_{case}", unet(x, t, context).sample)


@runner("ldm_autoencoder")
@torch.inference_mode()
def ldm_autoencoder(fixture: Fixture) -> None:
    constructor = fixture.config["constructor"]
    vae = AutoencoderKL(**autoencoder_config(constructor["ddconfig"], constructor["embed_dim"])).eval()
    load_autoencoder(vae, fixture.weights())
    posterior = vae.encode(fixture.input("image")).latent_dist
    fixture.check("mean", posterior.mode())
    fixture.check("logvar", posterior.logvar)
    fixture.check("sample", posterior.mean + posterior.std * fixture.input("noise"))
    fixture.check("decoded", vae.decode(fixture.input("z")).sample)


@runner("vc2_text")
@torch.inference_mode()
def vc2_text(fixture: Fixture) -> None:
    encoder = CLIPTextModel(CLIPTextConfig(**text_config(fixture.config["constructor"]))).eval()
    load_text(encoder, fixture.weights())
    fixture.check("embedding", encoder(fixture.input("tokens")).last_hidden_state)


@runner("vc2_schedule")
def vc2_schedule(fixture: Fixture) -> None:
    plain = NATIVE.unscaled
    abar = plain.alphas_cumprod
    before = torch.cat([torch.ones(1, dtype=abar.dtype), abar[:-1]])
    fixture.check("betas", plain.betas)
    fixture.check("alphas_cumprod", abar)
    fixture.check("alphas_cumprod_prev", before)
    fixture.check("sqrt_alphas_cumprod", abar.sqrt())
    fixture.check("sqrt_one_minus_alphas_cumprod", (1 - abar).sqrt())
    fixture.check("posterior_variance", plain.betas * (1 - before) / (1 - abar))
    scale = np.concatenate([NATIVE.signal_scale, np.full(1400 - 1000, NATIVE.final_scale)])
    fixture.check("scale_arr", scale)
    x, noise, t = (fixture.input(name) for name in ("x0", "noise", "timesteps"))
    magnitude = per_sample(NATIVE.magnitude[t], x)
    fixture.check("q_sample", magnitude * add_noise(x, noise, NATIVE.alphas_cumprod[t]))


def formula(x: Tensor, t: int, context: Tensor, fps: float) -> Tensor:
    """The formula model of the DDIM fixture."""
    s = torch.tensor(float(t))
    inner = 0.8 * x + 0.5 * x.flip(2) + 0.6 * per_sample(context.mean((1, 2)), x) + 0.2 * torch.cos(s / 100)
    return (1 - torch.exp(-(s + 1) / 200)) * x + 0.4 * torch.exp(-s / 250) * torch.tanh(inner + 0.05 * fps / 8)


@runner("vc2_ddim")
def vc2_ddim(fixture: Fixture) -> None:
    config, noise = fixture.config, iter(fixture.input("noise"))

    def recorded(shape: torch.Size, generator: Iterator[Tensor], **_: object) -> Tensor:
        return next(generator)

    scheduler = ScaledDDIM(NATIVE, config["eta"])
    scheduler.set_timesteps(config["steps"])
    fixture.check("model_timesteps", scheduler.timesteps)
    x = fixture.input("x_T") / float(NATIVE.magnitude[scheduler.timesteps[0]])
    for t in scheduler.timesteps:
        x_t = x * float(NATIVE.magnitude[t])
        free, given = (formula(x_t, int(t), fixture.input(name), config["fps"]) for name in ("uncond", "cond"))
        with mock.patch("mmbench.baselines.models.latent.videocrafter2_sampling.randn_tensor", recorded):
            x = scheduler.step(free + config["cfg_scale"] * (given - free), t, x, generator=noise).prev_sample  # type: ignore[arg-type]
    fixture.check("sample", x)

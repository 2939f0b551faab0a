"""The networks of MM-Diffusion: the coupled U-Net, the super-resolution U-Net and its DDIM loop."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.models.mm_diffusion.super_resolution import (
    SuperResolutionConfig,
    SuperResolutionUNet,
    ddim_sample,
)
from mmbench.baselines.models.mm_diffusion.unet import CoupledUNet, CoupledUNetConfig
from mmbench.networks.state_dicts import load_state
from tests.conformance.harness import Fixture, runner


def check_released(constructor: dict[str, Any], **released: Any) -> None:
    """What our configs cannot say must have the value that the released checkpoints have."""
    assert {name: constructor[name] for name in released} == released


def config_of(c: dict[str, Any]) -> CoupledUNetConfig:
    """Our config of an official constructor."""
    check_released(
        c,
        video_type="2d+1d",
        audio_type="1d",
        use_scale_shift_norm=True,
        resblock_updown=True,
        num_classes=None,
        cross_attention_shift=True,
        video_attention_resolutions=c["cross_attention_resolutions"],
        audio_attention_resolutions=[-1],
    )
    return CoupledUNetConfig(
        channels=c["model_channels"],
        num_blocks=c["num_res_blocks"],
        channel_mult=tuple(c["channel_mult"]),
        attention_factors=tuple(c["cross_attention_resolutions"]),
        windows=tuple(c["cross_attention_windows"]),
        middle_cross_attention=c["cross_attention_windows"] == [1, 4, 8],
        num_heads=c["num_heads"],
        head_channels=c["num_head_channels"],
        video_channels=c["video_size"][1],
        audio_channels=c["audio_size"][0],
    )


@runner("mmdiffusion_unet")
def mmdiffusion_unet(fixture: Fixture) -> None:
    config = fixture.config["constructor"]
    model = CoupledUNet(config_of(config)).eval()
    load_state(model, fixture.weights(), "the fixture")
    video, audio = fixture.input("video"), fixture.input("audio")
    official = random.Random(fixture.config["python_random_seed"])  # one shift per block, for the whole batch
    shifts = [official.randint(0, config["video_size"][0] - window) for window in model.windows()]
    with torch.no_grad():
        out = model(video, audio, fixture.input("timesteps"), torch.tensor([shifts] * len(video)))
    fixture.check("video", out[0])
    fixture.check("audio", out[1])


@runner("mmdiffusion_sr")
def mmdiffusion_sr(fixture: Fixture) -> None:
    c = fixture.config["constructor"]
    check_released(
        c, use_scale_shift_norm=True, resblock_updown=True, num_head_channels=-1, out_channels=2 * c["in_channels"]
    )
    config = SuperResolutionConfig(
        channels=c["model_channels"],
        num_blocks=c["num_res_blocks"],
        channel_mult=tuple(c["channel_mult"]),
        attention_factors=tuple(c["attention_resolutions"]),
        num_heads=c["num_heads"],
        image_channels=c["in_channels"],
    )
    model = SuperResolutionUNet(config).eval()
    load_state(model, fixture.weights(), "the fixture")
    with torch.no_grad():
        fixture.check("out", model(fixture.input("x"), fixture.input("timesteps"), fixture.input("low_res")))


@runner("mmdiffusion_sr_ddim")
def mmdiffusion_sr_ddim(fixture: Fixture) -> None:
    respacing = fixture.config["timestep_respacing"]
    assert respacing.startswith("ddim")
    noise, seen = fixture.input("noise"), []
    upsampled = F.interpolate(fixture.input("low_res"), noise.shape[2:], mode="bilinear")

    def predict(x: Tensor, t: Tensor) -> Tensor:
        seen.append(int(t[0]))
        return torch.tanh(0.8 * x - 0.5 * upsampled + 0.1 * torch.sin(t.float() / 50).reshape(-1, 1, 1, 1))

    sample = ddim_sample(predict, noise, int(respacing.removeprefix("ddim")))
    fixture.check("sample", sample)
    fixture.check("model_timesteps", np.array(seen, np.int64))

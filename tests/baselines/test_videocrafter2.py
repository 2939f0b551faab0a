"""VideoCrafter2's names, frame rate and schedule: what the fixtures of the official code do not reach."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, UNet3DConditionModel
from torch import Tensor
from transformers import CLIPTextConfig, CLIPTextModel

from mmbench.baselines.models.latent import videocrafter2_names as vc2
from mmbench.baselines.models.latent.videocrafter2_sampling import NATIVE, RELEASED_MMDISCO, ScaledDDIM
from mmbench.baselines.parts.autoencoder_names import autoencoder_config, autoencoder_name, load_autoencoder
from mmbench.errors import MMBenchError, UsageError
from mmbench.mmdisco.samplers import make_scheduler
from tests.conformance.harness import Fixture


def meta_checkpoint(manifest: Path) -> dict[str, Tensor]:
    """The released checkpoint's names and shapes, without values."""
    shapes: Mapping[str, list[int]] = json.loads(gzip.decompress(manifest.read_bytes()))["shapes"]
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def test_every_tensor_of_the_released_checkpoint_has_its_place(fixtures_folder: Path) -> None:
    unet, autoencoder, text = vc2.split(
        meta_checkpoint(fixtures_folder / "manifests" / "videocrafter2_model_ckpt.json.gz")
    )
    with torch.device("meta"):
        model = UNet3DConditionModel(**vc2.unet_config(vc2.UNET))
        vae = AutoencoderKL(**autoencoder_config(vc2.AUTOENCODER, 4))
        encoder = CLIPTextModel(CLIPTextConfig(**vc2.text_config(vc2.TEXT)))
        vc2.load_unet(model, unet, fps=8)
    load_autoencoder(vae, autoencoder)
    vc2.load_text(encoder, text)
    counts = [sum(p.numel() for p in m.parameters()) for m in (model, vae)]
    assert counts == [1_413_284_420 - 2_050_560, 83_653_863]
    for loaded, load in (
        (unet, lambda s: vc2.load_unet(model, s, fps=8)),
        (autoencoder, lambda s: load_autoencoder(vae, s)),
        (text, lambda s: vc2.load_text(encoder, s)),
    ):
        for name in (next(iter(loaded)), [*loaded][-1]):
            with pytest.raises(MMBenchError, match="lacks"), torch.device("meta"):
                load({k: v for k, v in loaded.items() if k != name})
        with pytest.raises(MMBenchError, match="without a place"), torch.device("meta"):
            load({**loaded, "surplus.weight": torch.empty(3)})


def test_loading_leaves_the_checkpoint_alone_and_the_rate_counts(fixtures_folder: Path) -> None:
    fixture = Fixture(fixtures_folder / "vc2_unet_small")
    state = fixture.weights()
    before = state["time_embed.2.bias"].clone()
    biases = []
    for fps in (8, 28):
        unet = UNet3DConditionModel(**vc2.unet_config(fixture.config["constructor"]))
        vc2.load_unet(unet, state, fps)
        biases.append(unet.time_embedding.linear_2.bias.detach())
    assert torch.equal(state["time_embed.2.bias"], before)
    assert (biases[0] - biases[1]).abs().max() > 1e-3
    with pytest.raises(MMBenchError, match=r"lacks fps_embedding\.2\.weight"):
        vc2.load_unet(unet, {k: v for k, v in state.items() if k != "fps_embedding.2.weight"}, fps=8)


@pytest.mark.parametrize("option", [{"transformer_depth": 2}, {"fps_cond": False}, {"use_relative_position": True}])
def test_options_without_counterpart_are_refused(option: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="no counterpart"):
        vc2.unet_config({**vc2.UNET, **option})


def test_an_autoencoder_with_more_attention_is_refused() -> None:
    with pytest.raises(UsageError, match="Autoencoder"):
        autoencoder_config({**vc2.AUTOENCODER, "attn_resolutions": [16]}, 4)


def test_the_decoder_counts_from_the_picture() -> None:
    assert autoencoder_name("decoder.up.3.block.0.conv1.weight", 4) == "decoder.up_blocks.0.resnets.0.conv1.weight"
    assert autoencoder_name("encoder.down.3.block.0.conv1.weight", 4) == "encoder.down_blocks.3.resnets.0.conv1.weight"
    assert autoencoder_name("loss.logvar", 4) is None


def test_another_checkpoint_is_refused() -> None:
    with pytest.raises(MMBenchError, match="not VideoCrafter2's"):
        vc2.split({"state_dict": {"model.diffusion_model.out.0.weight": torch.zeros(1)}})


def test_the_scaled_schedule_is_the_unscaled_one_with_a_smaller_signal() -> None:
    abar, plain = NATIVE.alphas_cumprod, NATIVE.unscaled.alphas_cumprod
    signal, noise = NATIVE.magnitude * abar.sqrt(), NATIVE.magnitude * (1 - abar).sqrt()
    torch.testing.assert_close(signal, NATIVE.signal_scale * plain.sqrt())
    torch.testing.assert_close(noise, (1 - plain).sqrt())
    assert NATIVE.signal_scale[0] == 1
    assert NATIVE.signal_scale[400:].unique().tolist() == [0.7]
    torch.testing.assert_close(torch.cumprod(1 - NATIVE.betas, 0), abar)
    assert RELEASED_MMDISCO.alphas_cumprod[501] == pytest.approx(0.160, abs=5e-4)
    assert plain[501] == pytest.approx(0.275, abs=5e-4)


@pytest.mark.parametrize("name", ["ddpm", "dpmsolver++2m", "sde-dpmsolver++2m"])
def test_samplers_find_the_signal_under_the_scaled_schedule(name: str) -> None:
    """A model that knows x: every sampler must have the schedule's abar and arrive at x."""
    x = torch.linspace(-1, 1, 64)[None]
    scheduler = make_scheduler(name, NATIVE)
    torch.testing.assert_close(scheduler.alphas_cumprod, NATIVE.alphas_cumprod.float(), rtol=1e-4, atol=1e-6)
    scheduler.set_timesteps(50)
    z = torch.randn(1, 64, generator=torch.Generator().manual_seed(0))
    for t in scheduler.timesteps:
        abar = NATIVE.alphas_cumprod[t].float()
        epsilon = (z - abar.sqrt() * x) / (1 - abar).sqrt()
        z = scheduler.step(epsilon, t, z, generator=torch.Generator().manual_seed(int(t))).prev_sample
    torch.testing.assert_close(z, x, rtol=0, atol=0.03)


def test_deterministic_ddim_is_that_of_the_variance_preserving_schedule() -> None:
    ours, theirs = ScaledDDIM(NATIVE, eta=0.0), make_scheduler("ddim", NATIVE, set_alpha_to_one=False)
    ours.set_timesteps(50)
    theirs.set_timesteps(50)
    assert torch.equal(ours.timesteps, theirs.timesteps)
    z = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    epsilon = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(1))
    for t in ours.timesteps[:-1]:
        a, b = (s.step(epsilon, t, z).prev_sample for s in (ours, theirs))
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_ddim_refuses_to_begin_beyond_the_schedule() -> None:
    with pytest.raises(UsageError, match="begins at t = 1000"):
        ScaledDDIM(NATIVE).set_timesteps(27)

"""Auffusion's parts: full-size names, and the edges of its codec that the official code's fixtures do not reach."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor
from transformers import SpeechT5HifiGan, SpeechT5HifiGanConfig

from mmbench.baselines.models.latent import auffusion_mel as auffusion
from mmbench.errors import MMBenchError, UsageError


def meta_state(manifest: Path) -> dict[str, Tensor]:
    """A released file's names and shapes, without values."""
    return {k: torch.empty(v, device="meta") for k, v in json.loads(manifest.read_text())["shapes"].items()}


def test_every_tensor_of_the_released_vocoder_has_its_place(fixtures_folder: Path) -> None:
    state = meta_state(fixtures_folder / "manifests" / "auffusion_vocoder.json")
    with torch.device("meta"):
        vocoder = SpeechT5HifiGan(SpeechT5HifiGanConfig(**auffusion.vocoder_config(auffusion.VOCODER)))
    auffusion.load_vocoder(vocoder, state)
    assert sum(p.numel() for p in vocoder.parameters()) == 13_672_065
    assert torch.Size(auffusion.VOCODER["upsample_rates"]).numel() == 160
    for change, message in (
        ({k: v for k, v in state.items() if k != "ups.1.weight_g"}, r"lacks 1 tensors and holds 1 .* ups|upsampler"),
        ({k: v for k, v in state.items() if k != "conv_post.bias"}, "lacks 1 tensors and holds 0"),
        ({**state, "surplus": torch.empty(1)}, "lacks 0 tensors and holds 1"),
    ):
        with pytest.raises(MMBenchError, match=message):
            auffusion.load_vocoder(vocoder, change)


def test_the_adapter_has_the_released_names(fixtures_folder: Path) -> None:
    with torch.device("meta"):
        state = auffusion.ConditionAdapter().state_dict()
    released = meta_state(fixtures_folder / "manifests" / "auffusion_condition_adapter.json")
    assert {k: v.shape for k, v in state.items()} == {k: v.shape for k, v in released.items()}


def test_the_other_kind_of_vocoder_is_refused() -> None:
    with pytest.raises(UsageError, match="residual blocks '2'"):
        auffusion.vocoder_config({**auffusion.VOCODER, "resblock": "2"})


def test_full_scale_is_clipped_not_wrapped() -> None:
    wave = torch.tensor([[1.0, -1.0, 0.5, 0.0]])
    expected = torch.tensor([[32767 / 32768, -1.0, 0.5, 0.0]]) * auffusion.PEAK
    torch.testing.assert_close(auffusion.normalize_wave(wave), expected)


def test_rows_are_normalized_alone_and_silence_stays() -> None:
    wave = torch.stack([torch.linspace(-0.1, 0.1, 9), torch.zeros(9)])
    both = auffusion.normalize_wave(wave)
    assert both.abs().amax(1).tolist() == pytest.approx([auffusion.PEAK, 0.0])


def test_images_longer_than_the_width_are_cut() -> None:
    image = torch.rand(1, 3, 256, 1030, generator=torch.Generator().manual_seed(0))
    assert torch.equal(auffusion.image_to_vae(image), 2 * image[..., :1024] - 1)


def test_two_seconds_become_25_latent_frames() -> None:
    frames = auffusion.wave_to_log_mel(torch.zeros(1, 32000)).shape[-1]
    assert frames / (auffusion.IMAGE_FRAMES // auffusion.LATENT_FRAMES) == 25


def test_silence_follows_at_each_samples_own_noise_level() -> None:
    x, silence, noise = torch.zeros(2, 1, 1, 3), torch.ones(1, 1, 1, 5), torch.full((1, 1, 1, 5), 10.0)
    wide = auffusion.append_silence(x, silence, noise, torch.tensor([1.0, 0.0], dtype=torch.float64))
    assert wide.flatten(1).tolist() == [[0, 0, 0, 1, 1], [0, 0, 0, 10, 10]]

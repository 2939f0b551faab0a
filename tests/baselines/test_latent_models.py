"""AudioLDM, AnimateDiff, Auffusion and VideoCrafter2 as models: sizes, shapes, texts, and loading from disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel, UNetMotionModel
from transformers import ClapTextModelWithProjection, CLIPTextModel, SpeechT5HifiGan

from mmbench.baselines.models.latent import (
    animatediff,
    audioldm,
)
from mmbench.baselines.models.latent import (
    auffusion as auffusion_model,
)
from mmbench.baselines.models.latent import (
    videocrafter2 as videocrafter2_model,
)
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.loading import Parts
from mmbench.errors import UsageError
from mmbench.weights import checkpoints as published
from tests.baselines import published_copies as copies
from tests.conformance.harness import Fixture

MODELS: Mapping[str, Any] = {
    "audioldm": audioldm.AudioLDM,
    "realistic_vision": lambda parts: animatediff.AnimateDiff(parts, replace(parts, name="animatediff")),
    "auffusion": auffusion_model.Auffusion,
    "videocrafter2": videocrafter2_model.VideoCrafter2,
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path_factory.mktemp("home")))


@pytest.fixture(scope="module")
def tiny() -> dict[str, Any]:
    """All four models at tiny size."""
    return {name: model(Parts(name, "tiny")) for name, model in MODELS.items()}


def media(name: str, seed: int = 0) -> np.ndarray:
    """A noisy video or sound of the model's format."""
    rng = np.random.default_rng(seed)
    if name in ("audioldm", "auffusion"):
        return rng.uniform(-0.5, 0.5, 32000).astype(np.float32)
    return rng.integers(0, 256, (16, 256, 256, 3), dtype=np.uint8)


@pytest.mark.e2e
def test_full_sizes_are_the_published_ones() -> None:
    def count(kind: Any, config: Mapping[str, Any]) -> int:
        with torch.device("meta"):
            model = kind(kind.config_class(**config)) if hasattr(kind, "config_class") else kind(**config)
        return sum(p.numel() for p in model.parameters())

    assert count(UNet2DConditionModel, audioldm.UNET) == 415_954_568
    assert count(AutoencoderKL, audioldm.VAE) == 55_376_873
    assert count(ClapTextModelWithProjection, audioldm.TEXT) == 125_302_016
    assert count(SpeechT5HifiGan, audioldm.VOCODER) == 55_264_897
    assert count(UNet2DConditionModel, sd.UNET) == 859_520_964
    assert count(AutoencoderKL, sd.VAE) == 83_653_863
    assert count(CLIPTextModel, sd.TEXT) == 123_060_480
    with torch.device("meta"):
        unet, adapter = UNet2DConditionModel(**sd.UNET), MotionAdapter(**animatediff.ADAPTER)
        animated = UNetMotionModel.from_unet2d(unet, adapter)
    assert sum(p.numel() for p in animated.parameters()) == 1_312_730_244


@pytest.mark.e2e
@pytest.mark.parametrize("name", MODELS)
def test_latents_become_clips_and_clips_latents(tiny: dict[str, Any], name: str) -> None:
    model = tiny[name]
    latents = torch.randn(2, *model.shape, generator=torch.Generator().manual_seed(0))
    made = model.decode(latents)
    assert made.dtype == np.float32
    assert made.shape == (2, *media(name).shape)
    low, high = (-1.0, 1.0) if made.ndim == 2 else (0.0, 1.0)
    assert low <= made.min() < made.max() <= high
    np.testing.assert_array_equal(model.decode(latents[1:]), made[1:])  # nothing depends on the batch
    encoded = model.encode(media(name))
    assert (encoded.shape, encoded.dtype, encoded.device.type) == (torch.Size(model.shape), torch.float32, "cpu")
    assert not torch.equal(encoded, model.encode(media(name, seed=1)))


@pytest.mark.parametrize("name", MODELS)
def test_the_noise_predicted_depends_on_sample_time_and_text(tiny: dict[str, Any], name: str) -> None:
    model = tiny[name]
    assert torch.equal(model.text("a dog barks"), model.text("a dog barks"))
    texts = [model.text("a dog barks"), model.text("a bell"), model.unconditional()]
    assert all(text.shape == texts[0].shape and text.shape[-1] == model.text_channels for text in texts)
    x = torch.randn(1, *model.shape, generator=torch.Generator().manual_seed(0)).repeat(5, *[1] * len(model.shape))
    x[4] *= 0.5
    t = torch.tensor([700, 700, 700, 100, 700])
    with torch.no_grad():
        epsilon = model.epsilon(x, t, torch.stack([*texts, texts[0], texts[0]]))
    assert epsilon.shape == x.shape
    for other in epsilon[1:]:
        assert (epsilon[0] - other).abs().max() > 1e-4


def test_every_frame_is_animated_together() -> None:
    """A change of one frame reaches the others: the motion layers are there."""
    for name in ("realistic_vision", "videocrafter2"):
        model = MODELS[name](Parts(name, "tiny"))
        if name == "realistic_vision":  # untrained motion layers end in zeros
            for block in model.unet.down_blocks:
                for motion in block.motion_modules:
                    torch.nn.init.eye_(motion.proj_out.weight)
        x = torch.randn(1, *model.shape, generator=torch.Generator().manual_seed(0))
        changed = x.clone()
        changed[:, :, 0] += 1
        t, text = torch.tensor([500]), model.text("")[None]
        with torch.no_grad():
            difference = model.epsilon(x, t, text) - model.epsilon(changed, t, text)
        assert difference[:, :, 8].abs().max() > 1e-6, name


def test_videocrafter2_sees_its_own_magnitude(tiny: dict[str, Any]) -> None:
    model = tiny["videocrafter2"]
    plain = videocrafter2_model.VideoCrafter2(Parts("videocrafter2", "tiny"), model.schedule.unscaled)
    x, t = torch.randn(1, *model.shape, generator=torch.Generator().manual_seed(0)), torch.tensor([600])
    text = model.text("")[None]
    with torch.no_grad():
        scaled = plain.epsilon(float(model.schedule.magnitude[600]) * x, t, text)
        torch.testing.assert_close(model.epsilon(x, t, text), scaled)
        assert not torch.allclose(plain.epsilon(x, t, text), scaled, atol=1e-3)


def test_noise_of_the_silence_is_fixed_or_fresh_but_never_the_samples(tiny: dict[str, Any]) -> None:
    fixed, fresh = tiny["auffusion"], auffusion_model.Auffusion(Parts("auffusion", "tiny"), fresh_noise=True)
    x = torch.randn(1, *fixed.shape, generator=torch.Generator().manual_seed(0)).repeat(2, 1, 1, 1)
    text = fixed.unconditional().expand(2, -1, -1)
    with torch.no_grad():
        for model in (fixed, fresh):
            same = model.epsilon(x, torch.tensor([600, 600]), text)
            torch.testing.assert_close(same[0], same[1])
    assert torch.equal(fixed._noise(0), fresh._noise(0))
    assert not torch.equal(fresh._noise(1), fresh._noise(0))


def test_silence_is_float32_whoever_asks_for_it_first() -> None:
    x, t = torch.zeros(1, *auffusion_model.Auffusion.shape), torch.tensor([500])
    silences = []
    for first in (torch.bfloat16, None):
        model = auffusion_model.Auffusion(Parts("auffusion", "tiny"))
        with torch.no_grad(), torch.autocast("cpu", first, enabled=first is not None):
            model.epsilon(x, t, torch.zeros(1, 77, model.text_channels))
        silences.append(model.silence)
    assert silences[0].dtype == torch.float32
    assert torch.equal(*silences)


def test_random_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    torch.manual_seed(5)
    first = audioldm.AudioLDM(Parts("audioldm", "tiny")).unet.conv_in.weight
    drawn = torch.rand(1)
    torch.manual_seed(5)
    assert torch.equal(drawn, torch.rand(1))
    assert torch.equal(first, audioldm.AudioLDM(Parts("audioldm", "tiny")).unet.conv_in.weight)
    assert not first.requires_grad


def test_unknown_weights_are_refused() -> None:
    with pytest.raises(UsageError, match="real, random or tiny"):
        Parts("audioldm", "trained")


def same(first: Any, second: Any, name: str) -> None:
    """Both models predict and decode the same."""
    x = torch.randn(1, *first.shape, generator=torch.Generator().manual_seed(0))
    text = torch.randn(1, *first.unconditional().shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        predictions = [m.epsilon(x, torch.tensor([500]), text) for m in (first, second)]
    torch.testing.assert_close(*predictions)
    np.testing.assert_allclose(first.decode(x), second.decode(x), atol=1e-5)
    assert second.text("a bell").shape == first.text("a bell").shape, name


def test_audioldm_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copies.save_audioldm(tmp_path)
    monkeypatch.setenv("MMBENCH_WEIGHTS_AUDIOLDM", str(tmp_path))
    same(model, audioldm.AudioLDM(Parts("audioldm")), "audioldm")


@pytest.mark.e2e
def test_animatediff_from_its_folders(tmp_path: Path, tiny: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    copies.save_realistic_vision(tmp_path / "rv")
    copies.save_animatediff(tmp_path / "motion")
    monkeypatch.setenv("MMBENCH_WEIGHTS_REALISTIC_VISION", str(tmp_path / "rv"))
    monkeypatch.setenv("MMBENCH_WEIGHTS_ANIMATEDIFF", str(tmp_path / "motion"))
    name = "realistic_vision"
    same(MODELS[name](Parts(name, "tiny")), MODELS[name](Parts(name)), name)


@pytest.mark.e2e
def test_auffusion_from_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = copies.save_auffusion(tmp_path, monkeypatch)
    monkeypatch.setenv("MMBENCH_WEIGHTS_AUFFUSION", str(tmp_path))
    same(model, auffusion_model.Auffusion(Parts("auffusion")), "auffusion")


def test_videocrafter2_from_its_checkpoint(
    tmp_path: Path, fixtures_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unet, text = (Fixture(fixtures_folder / name) for name in ("vc2_unet_small", "vc2_text_openclip_penultimate"))
    copies.save_videocrafter2(tmp_path / "model.ckpt", fixtures_folder, monkeypatch)
    monkeypatch.setenv("MMBENCH_WEIGHTS_VIDEOCRAFTER2", str(tmp_path / "model.ckpt"))
    merges = published.Verdict("clip_bpe", tmp_path, "", "published")  # its published digest cannot be imitated
    verify = published.verify
    monkeypatch.setattr(published, "verify", lambda name: merges if name == "clip_bpe" else verify(name))
    monkeypatch.setattr(videocrafter2_model, "ClipTokenizer", lambda path: lambda texts: text.array("tokens")[:1])
    model = videocrafter2_model.VideoCrafter2(Parts("videocrafter2"), videocrafter2_model.NATIVE.unscaled)
    text.check_close(
        model.text("any")[None], text.expected("embedding")[:1], text.config["outputs"]["embedding"], "text"
    )
    x, t, context = (unet.input(name) for name in ("x", "timesteps", "context"))
    with torch.no_grad():
        unet.check("eps_fps8", model.epsilon(x, t, context))

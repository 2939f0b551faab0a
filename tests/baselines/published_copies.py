"""Copies of the published models at tiny size, in the published layout: what a user would have on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import AutoencoderKL, MotionAdapter, UNet2DConditionModel
from transformers import CLIPTextModel, CLIPTokenizer, RobertaTokenizer

from mmbench.baselines.models.latent import (
    animatediff,
    audioldm,
)
from mmbench.baselines.models.latent import (
    auffusion as auffusion_model,
)
from mmbench.baselines.models.latent import (
    auffusion_mel as auffusion,
)
from mmbench.baselines.models.latent import (
    videocrafter2_names as videocrafter2,
)
from mmbench.baselines.parts import stable_diffusion as sd
from mmbench.baselines.parts.loading import Parts
from tests.conformance.harness import Fixture


def save_clip_tokenizer(folder: Path) -> None:
    """A tokenizer of single letters."""
    letters = [*"abcdefghijklmnopqrstuvwxyz", *(f"{c}</w>" for c in "abcdefghijklmnopqrstuvwxyz")]
    words = {word: i for i, word in enumerate([*letters, "<|startoftext|>", "<|endoftext|>"])}
    CLIPTokenizer(vocab=words, merges=[]).save_pretrained(folder)


def save_audioldm(root: Path) -> Any:
    """AudioLDM; returns what was saved."""
    model = audioldm.AudioLDM(Parts("audioldm", "tiny"))
    for part in ("unet", "vae", "text_encoder", "vocoder"):
        getattr(model, part).save_pretrained(root / part)
    words = ["<s>", "<pad>", "</s>", "<unk>", "<mask>", *"abcdefghijklmnopqrstuvwxyz"]
    RobertaTokenizer(vocab={word: i for i, word in enumerate(words)}, merges=[]).save_pretrained(root / "tokenizer")
    return model


def save_realistic_vision(root: Path) -> None:
    """The still half of AnimateDiff."""
    parts = Parts("realistic_vision", "tiny")
    parts.build(UNet2DConditionModel, sd.UNET, sd.TINY["unet"], "unet").save_pretrained(root / "unet")
    parts.build(AutoencoderKL, sd.VAE, sd.TINY["vae"], "vae").save_pretrained(root / "vae")
    text = parts.build(CLIPTextModel, sd.TEXT, sd.TINY["text_encoder"], "text_encoder")
    text.save_pretrained(root / "text_encoder")
    save_clip_tokenizer(root / "tokenizer")


def save_animatediff(root: Path) -> None:
    """The moving half."""
    parts = Parts("animatediff", "tiny")
    parts.build(MotionAdapter, animatediff.ADAPTER, animatediff.TINY_ADAPTER).save_pretrained(root)


def save_auffusion(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Auffusion with its adapter and vocoder, under their original names; returns what was saved."""
    monkeypatch.setattr(auffusion, "VOCODER", {**auffusion.VOCODER, "upsample_initial_channel": 64})
    model = auffusion_model.Auffusion(Parts("auffusion", "tiny"))
    for part, folder in (("unet", "unet"), ("vae", "vae"), ("text_encoder", "text_encoder_0")):
        getattr(model, part).save_pretrained(root / folder)
    save_clip_tokenizer(root / "text_encoder_0")
    for folder in ("condition_adapter_0", "vocoder"):
        (root / folder).mkdir()
    torch.save(model.adapter.state_dict(), root / "condition_adapter_0" / "condition_adapter.pt")
    state: dict[str, torch.Tensor] = {}
    for name, value in model.vocoder.state_dict().items():
        old = name.replace("upsampler.", "ups.")
        if name.endswith(".weight"):
            state[f"{old}_v"] = 3 * value
            state[f"{old}_g"] = torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True)
        elif name.endswith(".bias"):
            state[old] = value
    torch.save({"generator": state}, root / "vocoder" / "vocoder.pt")
    return model


def save_videocrafter2(file: Path, fixtures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VideoCrafter2's one file, of the small networks among the reference outputs; their sizes are then expected."""
    parts = ("vc2_unet_small", "vc2_autoencoder_small", "vc2_text_openclip_penultimate")
    unet, vae, text = (Fixture(fixtures / name) for name in parts)
    state = {
        f"{prefix}{name}": value
        for prefix, fixture in zip(videocrafter2.PARTS, (unet, vae, text), strict=True)
        for name, value in fixture.weights().items()
    }
    torch.save({"state_dict": state | {"betas": torch.zeros(1000)}}, file)
    monkeypatch.setattr(videocrafter2, "UNET", unet.config["constructor"])
    monkeypatch.setattr(videocrafter2, "AUTOENCODER", vae.config["constructor"]["ddconfig"])
    monkeypatch.setattr(videocrafter2, "TEXT", text.config["constructor"])

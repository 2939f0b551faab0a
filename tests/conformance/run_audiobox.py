"""Audiobox Aesthetics against the official implementation."""

from __future__ import annotations

import ast
from typing import Any

import numpy as np
import torch

from mmbench.metrics.networks import audiobox
from mmbench.metrics.networks import audiobox_windows as cutting
from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE, resample
from mmbench.metrics.networks.wavlm import WavLMSizes, valid_frames
from mmbench.networks.devices import exact_float32
from tests.conformance.harness import Fixture, runner


def _windows(fixture: Fixture) -> list[tuple[np.ndarray, np.ndarray]]:
    """Windows and their real samples, by clip: resampled by channel, then their mean."""
    found = []
    for case, meta in fixture.config["cases"].items():
        channels = fixture.array(f"{case}.wav").astype(np.float32) / 32768
        found.append(cutting.windows(resample(channels, meta["sample_rate"], SAMPLE_RATE).mean(axis=0)))
    return found


def _clip_scores(raw: np.ndarray, clips: list[tuple[np.ndarray, np.ndarray]], scale: cutting.Scale) -> np.ndarray:
    """(clips, axes) from raw scores (axes, windows)."""
    parts = np.split(raw.T, np.cumsum([len(samples) for _, samples in clips])[:-1])
    scale = {axis: scale[axis] for axis in audiobox.AXES}  # whatever the order in a config
    scored = [cutting.clip_scores(part, samples, scale) for part, (_, samples) in zip(parts, clips, strict=True)]
    return np.array([[scores[axis] for axis in audiobox.AXES] for scores in scored])


@runner("audiobox_windows")
def windows(fixture: Fixture) -> None:
    config = fixture.config
    clips = _windows(fixture)
    samples = np.concatenate([real for _, real in clips])
    fixture.check("window_of_clip", np.repeat(np.arange(len(clips)), [len(real) for _, real in clips]))
    fixture.check("valid_samples", samples)
    fixture.check("window_weights", cutting.weights(samples))
    stored = config["outputs"]["wav_samples"]["shape"][1]
    (every,) = fixture.stated("wav_samples", r"every (\d+)\w* sample", (1601,))
    fixture.check("wav_samples", np.concatenate([cut for cut, _ in clips])[:, ::every][:, :stored])
    fixture.check("scores", _clip_scores(fixture.array("raw_predictions"), clips, config["target_transform"]))
    for case in fixture.json("windows.json"):
        cut, real = cutting.windows(np.ones(case["samples"], np.float32))
        assert len(cut) == case["windows"]
        assert real.tolist() == case["valid"] == cut.sum(axis=1, dtype=np.int64).tolist()
        np.testing.assert_allclose(cutting.weights(real), case["weights"], rtol=1e-9)
    assert set(fixture.checked) == set(config["outputs"])


def _layers(text: str) -> list[tuple[int, int, int]]:
    """Channels, kernel and stride of each convolution: sums and multiples of lists, as the official code has them."""

    def value(node: ast.expr) -> list[tuple[int, int, int]]:
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            return value(node.left) + value(node.right)
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
            return value(node.left) * int(ast.literal_eval(node.right))
        found: list[tuple[int, int, int]] = ast.literal_eval(node)
        return found

    return value(ast.parse(text, mode="eval").body)


def _config(sizes: dict[str, Any]) -> audiobox.AudioboxConfig:
    wavlm = sizes["wavlm"]
    fixed = {
        "extractor_mode": "default",
        "layer_norm_first": False,
        "conv_bias": False,
        "normalize": False,
        "gru_rel_pos": True,
    }
    assert {name: wavlm[name] for name in fixed} == fixed
    assert sizes["nth_layer"] == wavlm["encoder_layers"] + 1
    encoder = WavLMSizes(
        wavlm["encoder_embed_dim"],
        wavlm["encoder_layers"],
        wavlm["encoder_attention_heads"],
        wavlm["encoder_ffn_embed_dim"],
        tuple(_layers(wavlm["conv_feature_layers"])),
        wavlm["conv_pos"],
        wavlm["conv_pos_groups"],
        wavlm["num_buckets"],
        wavlm["max_distance"],
    )
    return audiobox.AudioboxConfig(encoder, sizes["proj_num_layer"], sizes["proj_ln"], sizes["normalize_embed"])


@runner("audiobox")
def network(fixture: Fixture) -> None:
    config = fixture.config
    model = audiobox.Audiobox(_config(config["constructor"]))
    audiobox.load(model, fixture.weights(), fixture.path.name)
    clips = _windows(Fixture(fixture.path / config["audio_from"]))
    waves = torch.from_numpy(np.concatenate([cut for cut, _ in clips]))
    samples = torch.from_numpy(np.concatenate([real for _, real in clips]))
    real = torch.arange(waves.shape[1]) < samples[:, None]
    frames = r"every (\d+)\w* (?:of the \d+ )?frame"
    (conv_every,), (last_every,) = (fixture.stated(name, frames, (25,)) for name in ("conv", "last_hidden"))
    with exact_float32():
        convolved = model.wavlm_model.convolve(waves)
        valid = valid_frames(real, convolved.shape[1])
        last = model.wavlm_model.hidden_states(convolved, valid)[-1] * valid[..., None]
        raw = model(waves, real).numpy().T
    fixture.check("conv", convolved[:, ::conv_every])
    fixture.check("frames_valid", valid.sum(1))
    fixture.check("last_hidden", last[:, ::last_every])
    fixture.check("raw", raw)
    fixture.check("scores", _clip_scores(raw, clips, config["constructor"]["target_transform"]))
    assert set(fixture.checked) == set(config["outputs"])

"""CLAP's networks: sizes, the front end against transformers' own, checkpoints of both kinds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.errors import MMBenchError
from mmbench.metrics.clap import PRESETS
from mmbench.metrics.extractors.clap import ClapAudio, ClapText
from mmbench.metrics.networks import clap
from mmbench.metrics.networks.clap_preprocess import LENGTH, SAMPLE_RATE, log_mel, prepare_waveform, ten_seconds
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.weights.known import KNOWN

RATE = 16000


def noise(seconds: float, rate: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def shapes(tower: clap.Tower, config: clap.ClapConfig) -> dict[str, tuple[int, ...]]:
    """What a tower needs of a checkpoint."""
    with torch.device("meta"):
        state = clap.TOWERS[tower](config).model.state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not clap.DERIVED.match(name)}


def test_full_size() -> None:
    base, tiny = clap.HTSAT_BASE, clap.HTSAT_TINY
    found = [shapes("audio", base), shapes("audio", tiny), shapes("text", base), shapes("text", tiny)]
    values = [sum(int(np.prod(shape)) for shape in tower.values()) for tower in found]
    assert values == [68_611_993, 28_191_001, 125_302_016, 125_302_016]


@pytest.mark.parametrize(("size", "config"), [("base", clap.HTSAT_BASE), ("tiny", clap.HTSAT_TINY)])
def test_names_and_shapes_are_those_of_the_official_network(
    fixtures_folder: Path, size: str, config: clap.ClapConfig
) -> None:
    file = fixtures_folder / "manifests" / f"laion_clap_htsat_{size}.json"
    if not file.exists():
        pytest.skip("no manifest in this set")
    official = {
        name: torch.empty(shape, device="meta") for name, shape in json.loads(file.read_text())["shapes"].items()
    }
    renamed = {name: tuple(value.shape) for name, value in clap.from_official(official).items()}
    kept = {k: v for k, v in renamed.items() if not clap.DERIVED.match(k) and not k.startswith("logit_scale")}
    assert kept == shapes("audio", config) | shapes("text", config)


@pytest.mark.parametrize("seconds", [0.7, 4.0, 10.0])
def test_the_front_end_is_that_of_transformers(seconds: float) -> None:
    from transformers import ClapFeatureExtractor

    theirs = ClapFeatureExtractor(truncation="rand_trunc", padding="repeatpad", frequency_min=50)  # as published
    audio = noise(seconds, SAMPLE_RATE)
    found = theirs(audio, sampling_rate=SAMPLE_RATE, return_tensors="np")["input_features"][0, 0]
    wave = prepare_waveform(audio, SAMPLE_RATE, seconds=None, centred=False, resampler="librosa")
    np.testing.assert_allclose(log_mel(wave), found, atol=1e-3)


def test_what_is_not_ten_seconds_long() -> None:
    ramp = np.arange(1, 200001, dtype=np.float32)
    filled = ten_seconds(ramp)
    np.testing.assert_array_equal(filled, np.concatenate([ramp, ramp, np.zeros(80000)]))
    longer = np.arange(LENGTH + 101, dtype=np.float32)
    np.testing.assert_array_equal(ten_seconds(longer), longer[50 : 50 + LENGTH])
    kept = prepare_waveform(noise(30), RATE, seconds=8, centred=False, resampler="torchaudio")
    assert not kept[8 * SAMPLE_RATE :].any()
    shifted = prepare_waveform(noise(3) + 0.5, RATE, seconds=8, centred=True, resampler="torchaudio")
    np.testing.assert_allclose(
        shifted, prepare_waveform(noise(3), RATE, seconds=8, centred=True, resampler="torchaudio"), atol=1e-5
    )


def laion_names(config: clap.ClapConfig) -> list[str]:
    """Names of HTSAT's tensors in LAION's files."""
    blocks = [f"layers.{i}.blocks.{j}" for i, depth in enumerate(config.depths) for j in range(depth)]
    parts = [
        f"{b}.{part}" for b in blocks for part in ("norm1", "norm2", "attn.qkv", "attn.proj", "mlp.fc1", "mlp.fc2")
    ]
    merges = [f"layers.{i}.downsample" for i in range(len(config.depths) - 1)]
    parts += ["bn0", "norm", "patch_embed.proj", "patch_embed.norm", *(f"{merge}.norm" for merge in merges)]
    names = [f"{part}.{kind}" for part in parts for kind in ("weight", "bias")]
    names += [f"bn0.{kind}" for kind in ("running_mean", "running_var", "num_batches_tracked")]
    names += [f"{merge}.reduction.weight" for merge in merges]
    return [*names, *(f"{block}.attn.relative_position_bias_table" for block in blocks)]


def random_clap(config: clap.ClapConfig) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """A CLAP under transformers' names, and under LAION's with all that its files hold besides."""
    plain: dict[str, Tensor] = {}
    for tower in clap.TOWERS.values():
        network = tower(config)
        fill_randomly(network, "published")
        plain |= network.model.state_dict()
    theirs = {
        name.replace("text_model.", "text_branch."): plain[name] for name in plain if name.startswith("text_model")
    }
    branch = [f"audio_branch.{name}" for name in laion_names(config)]
    projections = [(t, n, kind) for t in clap.TOWERS for n in (0, 2) for kind in ("weight", "bias")]
    for name in (*branch, *(f"{tower}_projection.{number}.{kind}" for tower, number, kind in projections)):
        places = list(clap.from_official({name: torch.zeros(3)}))
        theirs[name] = torch.cat([plain[place] for place in places]) if len(places) > 1 else plain[places[0]]
    unused = ("logit_scale_a", "audio_branch.tscam_conv.weight", "text_transform.sequential.0.weight")
    unused = (*unused, *(f"audio_branch.layers.0.blocks.0.{x}" for x in ("attn_mask", "attn.relative_position_index")))
    return plain, {f"module.{name}": value for name, value in (theirs | dict.fromkeys(unused, torch.ones(2))).items()}


def test_checkpoints_of_both_kinds_are_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plain, theirs = random_clap(clap.SMALL)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    for size in ("HTSAT_BASE", "HTSAT_TINY"):
        monkeypatch.setattr(clap, size, clap.SMALL)

    def publish(name: str, saved: dict[str, object], number: int) -> None:
        monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], sha256=None, bytes=None))
        torch.save(saved, tmp_path / f"{name}{number}.pt")
        monkeypatch.setenv(f"MMBENCH_WEIGHTS_{name.upper()}", str(tmp_path / f"{name}{number}.pt"))

    publish("clap_htsat_base", {"epoch": 15, "state_dict": theirs, "optimizer": {"lr": np.float64(1e-4)}}, 0)
    publish("clap_htsat_unfused", dict(plain), 0)
    mel, tokens = torch.randn(2, 1001, 64), torch.randint(4, 200, (1, 9))
    with exact_float32():
        for kind, inputs in ((ClapAudio, (mel,)), (ClapText, (tokens, torch.ones_like(tokens)))):
            base, unfused = (kind(PRESETS[v]).network for v in ("avbench_8s", "javisbench"))
            torch.testing.assert_close(base(*inputs), unfused(*inputs), rtol=0, atol=0)
            whole = clap.TOWERS[kind.tower](clap.SMALL)
            fill_randomly(whole, "published")
            torch.testing.assert_close(base(*inputs), whole(*inputs), rtol=0, atol=0)
    del theirs["module.audio_branch.norm.bias"]
    publish("clap_htsat_base", {"state_dict": theirs}, 1)
    with pytest.raises(
        MMBenchError, match=r"clap_htsat_base lacks 1 tensors .* first audio_model.audio_encoder.norm.bias"
    ):
        _ = ClapAudio(PRESETS["avbench_8s"]).network
    publish("clap_htsat_unfused", {**plain, "strange": mel}, 1)
    for tower in (ClapAudio, ClapText):
        with pytest.raises(MMBenchError, match=r"holds 1 without a place, first strange"):
            _ = tower(PRESETS["javisbench"]).network

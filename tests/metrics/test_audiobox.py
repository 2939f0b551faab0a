"""Audiobox Aesthetics: the release's sizes, padding, windows, its checkpoint, and four metrics of one network."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.audiobox import Aesthetics
from mmbench.metrics.extractors.audiobox import AudioboxExtractor
from mmbench.metrics.networks import audiobox
from mmbench.metrics.networks.audiobox import AXES, FULL, SMALL, Audiobox, new_name
from mmbench.metrics.networks.audiobox_windows import WINDOW, clip_scores, windows
from mmbench.metrics.networks.wavlm import valid_frames
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import make_metric
from mmbench.types import Clip, Features, distinct_extractors
from mmbench.weights.known import KNOWN

RATE = 16000
CONVOLUTIONS = "wavlm_model.feature_extractor.conv_layers"
NAMES = ("audiobox_ce", "audiobox_cu", "audiobox_pc", "audiobox_pq")


def clip(samples: int, seed: int = 0, rate: int = RATE) -> Clip:
    audio = (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)
    return Clip(np.zeros((8, 8, 8, 3), np.uint8), 8.0, audio, rate)


def release_names(depth: int, head_layers: int) -> list[str]:
    """Names of the tensors in a release whose heads have norms."""
    encoder, attention = "wavlm_model.encoder", ("k_proj", "v_proj", "q_proj", "out_proj", "grep_linear")
    layers = [f"{encoder}.layers.{i}" for i in range(depth)]
    parts = ["wavlm_model.layer_norm", "wavlm_model.post_extract_proj", f"{encoder}.layer_norm"]
    parts += [f"{layer}.self_attn.{part}" for layer in layers for part in attention]
    parts += [f"{x}.{part}" for x in layers for part in ("self_attn_layer_norm", "fc1", "fc2", "final_layer_norm")]
    linear = [f"proj_layer.{axis}.{3 * k}" for axis in AXES for k in range(head_layers)]
    parts += [*linear, *(f"proj_layer.{axis}.{3 * k + 1}" for axis in AXES for k in range(head_layers - 1))]
    names = [f"{part}.{kind}" for part in (*parts, f"{CONVOLUTIONS}.0.2") for kind in ("weight", "bias")]
    names += [f"{CONVOLUTIONS}.{i}.0.weight" for i in range(7)] + [f"{x}.self_attn.grep_a" for x in layers]
    names += [f"{encoder}.pos_conv.0.{kind}" for kind in ("weight_g", "weight_v", "bias")]
    names += [f"{layers[0]}.self_attn.relative_attention_bias.weight", *(f"layer_weights.{axis}" for axis in AXES)]
    return [*names, "wavlm_model.mask_emb"]


def released(network: Audiobox) -> dict[str, torch.Tensor]:
    """A network's tensors under the names of a release."""
    sizes, state = network.config.wavlm, network.state_dict()
    names = release_names(sizes.depth, network.config.head_layers)
    state["mask_emb"] = torch.ones(sizes.width)
    return {name: state["mask_emb" if name.endswith("mask_emb") else new_name(name)].contiguous() for name in names}


def test_the_release_has_these_tensors_and_no_others(fixtures_folder: Path) -> None:
    with torch.device("meta"):
        network = Audiobox(FULL)
        release = {name: list(value.shape) for name, value in released(network).items()}
    assert len(release) == len(network.state_dict()) + 1 == 324
    assert sum(p.numel() for p in network.parameters()) == 103_858_344
    header, end = {}, 0
    for name in sorted(release):  # as safetensors writes a file
        begin, end = end, end + 4 * math.prod(release[name])
        header[name] = {"dtype": "F32", "shape": release[name], "data_offsets": [begin, end]}
    length = len(json.dumps(header, separators=(",", ":")))
    assert 8 + math.ceil(length / 8) * 8 + end == KNOWN["audiobox"].bytes
    file = fixtures_folder / "manifests" / "audiobox_aesthetics.json"
    if not file.exists():
        pytest.skip("no manifest in this set")
    listed = json.loads(file.read_text())["shapes"]  # which does not know the depth of the heads
    assert all(release[name] == shape for name, shape in listed.items() if not name.startswith("proj_layer."))
    assert {name.split(".")[0] for name in set(release) - set(listed)} == {"proj_layer"}


def test_a_frame_is_padding_if_all_its_samples_are() -> None:
    real = torch.arange(160000) < torch.tensor([1, 320, 321, 159680, 160000])[:, None]
    assert valid_frames(real, 499).sum(1).tolist() == [1, 1, 2, 499, 499]


@pytest.fixture(scope="module")
def extractor() -> AudioboxExtractor:
    return AudioboxExtractor("random")


def test_a_clip_is_the_mean_of_its_windows_weighted_by_their_lengths(extractor: AudioboxExtractor) -> None:
    whole = clip(WINDOW + WINDOW // 4)
    parts = [replace(whole, audio=whole.audio[:WINDOW]), replace(whole, audio=whole.audio[WINDOW:])]
    (both,), (first,), (last,) = ([f["scores"] for f in extractor.extract([c])] for c in (whole, *parts))
    np.testing.assert_allclose(both, (first + last / 4) / 1.25, rtol=1e-5)
    assert np.abs(first - last).max() > 1e-3  # random weights, too, answer by the clip
    together = [f["scores"] for f in extractor.extract([parts[1], whole])]
    np.testing.assert_allclose(together, [last, both], rtol=1e-5)


def test_the_shortest_sound_silence_and_none(extractor: AudioboxExtractor) -> None:
    quiet = Clip(np.zeros((8, 8, 8, 3), np.uint8), 8.0, np.zeros(RATE, np.float32), RATE)
    short, silent = extractor.extract([clip(1, rate=48000), quiet])
    assert np.isfinite([short["scores"], silent["scores"]]).all()
    assert (bool(short["silent"]), bool(silent["silent"])) == (False, True)
    with pytest.raises(MMBenchError, match="no audio"):
        extractor.extract([clip(0)])


def test_a_sample_beyond_ten_seconds_is_a_window_that_hardly_counts() -> None:
    cut, samples = windows(np.ones(WINDOW + 1, np.float32))
    assert samples.tolist() == [WINDOW, 1]
    assert cut.sum() == WINDOW + 1
    scale = {"CE": {"mean": 5.0, "std": 2.0}}
    (score,) = clip_scores(np.array([[1.0], [100.0]], np.float32), samples, scale).values()
    assert score == pytest.approx(7.0 + 198 / (WINDOW + 1))


def test_the_checkpoint_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Audiobox(SMALL)
    fill_randomly(network, "published")
    state = released(network)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(audiobox, "FULL", SMALL)
    monkeypatch.setitem(KNOWN, "audiobox", replace(KNOWN["audiobox"], sha256=None, bytes=None))
    scale = {axis: {"mean": 5.0 + k, "std": 2.0} for k, axis in enumerate(AXES)}

    def publish(weights: dict[str, torch.Tensor], config: dict[str, object], number: int) -> AudioboxExtractor:
        save_file(weights, tmp_path / f"{number}.safetensors")
        (tmp_path / f"{number}.json").write_text(json.dumps(config))
        monkeypatch.setenv("MMBENCH_WEIGHTS_AUDIOBOX", str(tmp_path / f"{number}.safetensors"))
        monkeypatch.setenv("MMBENCH_WEIGHTS_AUDIOBOX_CONFIG", str(tmp_path / f"{number}.json"))
        return AudioboxExtractor()

    sound = clip(20000)
    (found,) = publish(state, {"target_transform": scale}, 0).extract([sound])
    waves, samples = windows(sound.audio)
    with torch.inference_mode():
        raw = network(torch.from_numpy(waves), torch.arange(WINDOW) < torch.from_numpy(samples)[:, None])[0]
    np.testing.assert_allclose(found["scores"], raw.numpy() * 2 + [5, 6, 7, 8], rtol=1e-5)
    with pytest.raises(MMBenchError, match=r"lacks the scales of CE, CU, PC, PQ"):
        publish(state, {"target_transform": {"CE": scale["CE"]}}, 1).extract([sound])
    lacking = {name: value for name, value in state.items() if name != "layer_weights.PQ"}
    with pytest.raises(MMBenchError, match=r"Audiobox weights lacks 1 tensors .* first layer_weights\.PQ"):
        publish(lacking, {"target_transform": scale}, 2).extract([sound])
    with pytest.raises(MMBenchError, match=r"holds 1 without a place, first strange"):
        publish({**state, "strange": torch.ones(1)}, {"target_transform": scale}, 3).extract([sound])


def test_four_metrics_share_a_network_and_have_no_mean() -> None:
    metrics = [make_metric(name, weights="random") for name in NAMES]
    (extractor,) = distinct_extractors(metrics)
    heard: list[Features | None] = [
        {"scores": np.array([1.0, 2.0, 3.0, 4.0]), "silent": np.array(False)},
        None,
        {"scores": np.array([3.0, 5.0, 7.0, 9.0]), "silent": np.array(True)},
    ]
    scores = [metric.score({extractor.name: heard}, None, 0) for metric in metrics]
    assert [score.value for score in scores] == [2.0, 3.5, 5.0, 6.5]
    assert {(score.num_scored, score.details["silent"]) for score in scores} == {(2, 1)}
    np.testing.assert_array_equal(scores[3].per_sample, [4, np.nan, 9])  # type: ignore[arg-type]
    assert [metric.higher_is_better for metric in metrics] == [True, True, False, True]
    with pytest.raises(UsageError, match="one of float32"):
        make_metric("audiobox_ce.bfloat16")
    assert {cls.place for cls in Aesthetics.__subclasses__()} == set(range(len(AXES)))

"""cd-FVD: sizes and names, positions, frames, the checkpoint, and the distance where clips are few."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.cd_fvd import CDFVD
from mmbench.metrics.extractors.videomae import VideoMAEExtractor
from mmbench.metrics.networks import videomae
from mmbench.metrics.networks.videomae import FULL, SMALL, VideoMAE, preprocess_frames, sinusoids
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import lookup
from mmbench.types import Clip, Features
from tests.metrics.support import noise_clip


def shapes(network: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def test_full_size() -> None:
    with torch.device("meta"):
        network = VideoMAE(FULL)
    assert len(network.state_dict()) == 526
    assert sum(p.numel() for p in network.parameters()) == 1_011_855_918


def test_names_and_shapes_are_those_of_the_official_loader(fixtures_folder: Path) -> None:
    file = fixtures_folder / "manifests" / "videomae_g_ssv2.json"
    if not file.exists():
        pytest.skip("no manifest in this set")
    with torch.device("meta"):
        assert shapes(VideoMAE(FULL)) == json.loads(file.read_text())["shapes"]


def test_positions_are_sine_and_cosine() -> None:
    table = sinusoids(5, 6)
    np.testing.assert_allclose(table[3, [0, 1, 2]], [np.sin(3), np.cos(3), np.sin(3 / 10000 ** (2 / 6))], rtol=1e-6)
    network = VideoMAE(SMALL)
    assert network.positions(16).shape == (2048, 44)
    assert network.positions(8).shape == (1024, 44)


def test_keys_have_no_bias() -> None:
    attention = videomae.Attention(16, 2)
    fill_randomly(attention, "")
    plain = torch.nn.MultiheadAttention(16, 2, batch_first=True)
    with torch.no_grad():
        plain.in_proj_weight.copy_(attention.qkv.weight)
        plain.in_proj_bias.copy_(torch.cat([attention.q_bias, torch.zeros(16), attention.v_bias]))
        plain.out_proj.load_state_dict(attention.proj.state_dict())
        x = torch.randn(2, 5, 16)
        torch.testing.assert_close(attention(x), plain(x, x, x, need_weights=False)[0])


def test_frames_are_stretched_and_not_normalised() -> None:
    frames = torch.from_numpy(noise_clip(3).video)
    pixels = preprocess_frames(frames)
    assert pixels.shape == (3, 3, 224, 224)
    assert 0 <= float(pixels.min()) < float(pixels.max()) <= 1
    white = preprocess_frames(torch.full((1, 24, 32, 3), 255, dtype=torch.uint8))
    torch.testing.assert_close(white, torch.ones(3, 1, 224, 224))


def test_the_first_16_frames_count_and_fewer_are_refused() -> None:
    extractor, long = VideoMAEExtractor("random", device="cpu"), noise_clip(20)
    cut = Clip(long.video[:16], long.fps, long.audio, long.sample_rate)
    together = extractor.extract([long, noise_clip(16, seed=1)])
    assert together[0]["features"].shape == (44,)
    np.testing.assert_array_equal(extractor.extract([cut])[0]["features"], together[0]["features"])
    assert not np.allclose(together[0]["features"], together[1]["features"], atol=1e-3)
    with pytest.raises(MMBenchError, match="has 15 frames"):
        extractor.extract([noise_clip(15)])


def test_the_checkpoint_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = VideoMAE(SMALL)
    fill_randomly(whole, "published")
    monkeypatch.setattr(videomae, "FULL", SMALL)

    def published(state: dict[str, Tensor], **others: object) -> None:
        half = {name: value.half() for name, value in state.items()}
        torch.save({"module": half, **others}, tmp_path / "videomae.pth")

    monkeypatch.setattr(
        "mmbench.weights.checkpoints.load_state_dict",
        lambda name: torch.load(tmp_path / "videomae.pth", weights_only=True),
    )
    published(whole.state_dict(), epoch=1)
    clip = noise_clip(16)
    ours = VideoMAEExtractor(device="cpu")
    with exact_float32():
        expected = whole.half().float()(preprocess_frames(torch.from_numpy(clip.video))[None])[0]
    np.testing.assert_allclose(ours.extract([clip])[0]["features"], expected.numpy(), atol=1e-5)
    assert {p.dtype for p in ours.network.parameters()} == {torch.float32}
    published({name: value for name, value in whole.state_dict().items() if name != "fc_norm.bias"})
    with pytest.raises(MMBenchError, match=r"lacks 1 tensors .* first fc_norm\.bias"):
        _ = VideoMAEExtractor(device="cpu").network
    published({**whole.state_dict(), "pos_embed": torch.zeros(1)})
    with pytest.raises(MMBenchError, match="holds 1 without a place, first pos_embed"):
        _ = VideoMAEExtractor(device="cpu").network


def rows(n: int, seed: int) -> list[Features | None]:
    values = np.random.default_rng(seed).standard_normal((n, 30)).astype(np.float32)
    return [{"features": row} for row in values]


def test_the_distance_is_defined_where_clips_are_fewer_than_features() -> None:
    metric = CDFVD(weights="random")
    ours, real = rows(8, 0), rows(10, 1)
    score = metric.score({"videomae": ours}, {"videomae": real}, seed=0)
    a, b = (np.stack([f["features"] for f in table if f]).astype(np.float64) for table in (ours, real))
    assert score.value == pytest.approx(frechet_distance(Moments.of(a), Moments.of(b), ddof=0))
    assert score.value > 0
    assert (score.num_scored, score.details["num_reference"]) == (8, 10)
    assert score.details["floor"] is not None
    assert score.details["kvd"] is not None
    assert score.replicates is not None


def test_it_is_registered_with_one_variant() -> None:
    assert lookup("metric", "cd_fvd").factory is CDFVD
    assert (CDFVD(weights="random").variant, CDFVD.ddof) == ("vit_g_ssv2_16f", 0)
    with pytest.raises(UsageError, match="one of vit_g_ssv2_16f"):
        CDFVD("i3d")

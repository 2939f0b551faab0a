"""CLIP-SIM: frames shown, channels, towers and their checkpoint, and the value."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.clip_sim import CLIPSim
from mmbench.metrics.extractors.clip import CLIPText, CLIPVideo
from mmbench.metrics.networks import clip
from mmbench.metrics.networks.pillow_views import pictures
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import lookup
from mmbench.types import Clip, distinct_extractors
from mmbench.weights import checkpoints as weights
from tests.metrics.support import ClipInMemory, noise_clip


def test_full_size() -> None:
    with torch.device("meta"):
        towers = {name: clip.build_tower(name, clip.FULL) for name in ("vision", "text")}
    assert {name: sum(p.numel() for p in t.parameters()) for name, t in towers.items()} == {
        "vision": 87_849_216,
        "text": 63_428_096,
    }
    vision, text = (towers[name].config for name in ("vision", "text"))
    assert (vision.num_attention_heads, vision.hidden_act, vision.layer_norm_eps) == (12, "quick_gelu", 1e-5)
    assert (text.num_attention_heads, text.max_position_embeddings, text.eos_token_id) == (8, 77, 49407)


def test_frames_are_spread_evenly() -> None:
    assert clip.shown_frames(1).tolist() == [0] * 48
    assert clip.shown_frames(48).tolist() == list(range(48))
    assert clip.shown_frames(96)[[0, 23, 24, 47]].tolist() == [0, 46, 49, 95]


def test_the_default_sees_blue_for_red() -> None:
    source = noise_clip(20)
    swapped = Clip(np.ascontiguousarray(source.video[..., ::-1]), source.fps, source.audio, source.sample_rate)
    bgr, rgb = (CLIPSim(variant, weights="random", device="cpu").video for variant in CLIPSim.variants)
    a, b, c = (e.extract([x])[0]["embedding"] for e, x in ((bgr, source), (rgb, swapped), (rgb, source)))
    np.testing.assert_array_equal(a, b)
    assert not np.allclose(a, c, atol=1e-4)
    assert bgr.spec() != rgb.spec()


def test_the_value_is_the_mean_cosine_of_48_frames() -> None:
    metric, source = CLIPSim("rgb", weights="random", device="cpu"), noise_clip(20)
    samples: list[Sample | None] = [Sample(ClipInMemory(t, source), t) for t in ("a drum", "rain", "")]
    found = extract(samples, metric.extractors(), FeatureCache(None))
    score = metric.score(found.features, None, seed=0)
    assert (score.num_scored, score.baseline) == (2, None)
    assert found.reasons == {("clip_text", 2): "no prompt"}
    with exact_float32(), torch.no_grad():
        shown = pictures(source.video[clip.shown_frames(20)])
        frames = metric.video.network(pixel_values=shown).image_embeds
        texts = metric.text.network(input_ids=torch.from_numpy(metric.text.tokenizer(["a drum", "rain"]))).text_embeds
    cosines = torch.nn.functional.cosine_similarity(frames[:, None], texts[None], dim=-1).mean(0)
    assert score.per_sample is not None
    np.testing.assert_allclose(score.per_sample[:2], cosines.numpy(), atol=1e-6)
    assert abs(cosines[0] - cosines[1]) > 1e-4


def test_what_follows_the_end_of_a_text_is_not_seen() -> None:
    text = CLIPText("random", device="cpu")
    tokens = torch.from_numpy(text.tokenizer(["rain"]))
    other = tokens.clone()
    other[0, int(tokens[0].argmax()) + 1 :] = 17
    with exact_float32():
        a, b = (text.network(input_ids=x).text_embeds for x in (tokens, other))
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)
    long, longer = text.extract(["word " * 100, "word " * 200])
    np.testing.assert_allclose(long["embedding"], longer["embedding"], atol=1e-6)  # 77 tokens are read


def test_the_checkpoint_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    towers = {name: clip.build_tower(name, clip.SMALL) for name in ("vision", "text")}
    state = {"logit_scale": torch.ones(())}
    for name, tower in towers.items():
        fill_randomly(tower, "published")
        state |= {**tower.state_dict(), f"{name}_model.embeddings.position_ids": torch.arange(3)[None]}

    def published(tensors: dict[str, torch.Tensor]) -> None:
        torch.save(tensors, tmp_path / "clip.bin")

    monkeypatch.setattr(clip, "FULL", clip.SMALL)
    monkeypatch.setattr(weights, "verify", lambda name: weights.Verdict(name, tmp_path / "clip.bin", "", "published"))
    published(state)
    pixels, tokens = torch.randn(1, 3, 224, 224), torch.tensor([[49406, 7, 49407]])
    with exact_float32():
        ours, theirs = (
            n(pixel_values=pixels).image_embeds for n in (CLIPVideo(device="cpu").network, towers["vision"])
        )
        torch.testing.assert_close(ours, theirs)
        ours, theirs = (n(input_ids=tokens).text_embeds for n in (CLIPText(device="cpu").network, towers["text"]))
        torch.testing.assert_close(ours, theirs)
    published({name: value for name, value in state.items() if name != "visual_projection.weight"})
    with pytest.raises(MMBenchError, match="lacks 1 tensors"):
        _ = CLIPVideo(device="cpu").network
    published({**state, "text_model.encoder.layers.2.layer_norm1.bias": torch.zeros(16)})
    with pytest.raises(MMBenchError, match=r"1 unknown tensors, first text_model\.encoder\.layers\.2"):
        _ = CLIPText(device="cpu").network


def test_features_do_not_depend_on_the_batch() -> None:
    clips, video = [noise_clip(10, seed=i) for i in range(2)], CLIPVideo("random", device="cpu")
    for one, together in zip(clips, video.extract(clips), strict=True):
        np.testing.assert_allclose(video.extract([one])[0]["embedding"], together["embedding"], atol=1e-5)


def test_both_variants_run_side_by_side() -> None:
    metrics = [CLIPSim(variant, weights="random") for variant in CLIPSim.variants]
    assert [e.name for e in distinct_extractors(metrics)] == ["clip_video_bgr", "clip_text", "clip_video_rgb"]
    assert lookup("metric", "clip_sim").factory is CLIPSim
    with pytest.raises(UsageError, match="one of javisbench_bgr, rgb"):
        CLIPSim("openai")

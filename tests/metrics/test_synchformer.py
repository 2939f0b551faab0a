"""Synchformer: sizes, attention against a plain form, front ends against ffmpeg, Pillow and librosa, its checkpoint."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.errors import MMBenchError
from mmbench.metrics.extractors.synchformer import SynchformerAudio, SynchformerHead, SynchformerVideo
from mmbench.metrics.networks import synchformer
from mmbench.metrics.networks import synchformer_preprocess as pre
from mmbench.metrics.networks.synchformer import FULL, SMALL, Synchformer
from mmbench.metrics.networks.synchformer_layers import Summary
from mmbench.metrics.networks.synchformer_segments import Stretch
from mmbench.metrics.networks.synchformer_video import DividedAttention
from mmbench.metrics.networks.video_frontend import centre_crop, fps_filter, resize_short_side
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip

RATE = 16000


def shapes(network: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def test_full_size() -> None:
    with torch.device("meta"):
        whole = Synchformer(FULL)
    assert len(whole.state_dict()) == 513
    assert sum(p.numel() for p in whole.parameters()) == 237_460_245
    assert shapes(whole)["transformer.pos_emb_cfg.pos_emb"] == [1, 198, 768]


def test_names_and_shapes_are_those_of_the_official_loader(fixtures_folder: Path) -> None:
    file = fixtures_folder / "manifests" / "synchformer.json"
    if not file.exists():
        pytest.skip("no manifest in this set")
    with torch.device("meta"):
        assert shapes(Synchformer(FULL)) == json.loads(file.read_text())["shapes"]


def random(network: torch.nn.Module) -> torch.nn.Module:
    fill_randomly(network, "")
    return network.eval()


def test_a_summary_is_the_first_output_of_torchs_layer() -> None:
    summary = random(Summary(24, 3, 40))
    x = torch.randn(5, 7, 24)
    with torch.no_grad():
        whole = torch.cat([summary.cls_token.expand(5, -1, -1), x], dim=1)
        expected = torch.nn.TransformerEncoderLayer.forward(summary, whole)[:, 0]  # type: ignore[arg-type]
        torch.testing.assert_close(summary(x), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("over_time", [True, False])
def test_divided_attention_is_attention_under_a_mask(over_time: bool) -> None:
    steps, patches, heads = 4, 6, 2
    network = random(DividedAttention(16, heads))
    x = torch.randn(3, 1 + steps * patches, 16)
    place = torch.arange(steps * patches)
    group = place % patches if over_time else place // patches
    sees = torch.ones(1 + steps * patches, 1 + steps * patches, dtype=torch.bool)
    sees[1:, 1:] = group[:, None] == group[None]
    q, k, v = (t.unflatten(-1, (heads, -1)).transpose(1, 2) for t in network.qkv(x).chunk(3, dim=-1))
    plain: Tensor = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=sees)
    expected = network.proj(plain.transpose(1, 2).flatten(2))
    torch.testing.assert_close(network(x, steps, over_time), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("rate", "target"), [("24", "25"), ("30000/1001", "25"), ("7", "25"), ("60", "25"), ("25", "1/2")]
)
def test_frame_rates_change_as_ffmpeg_changes_them(rate: str, target: str) -> None:
    import av
    from av.filter import Graph

    fps, number = Fraction(rate), 61
    graph = Graph()
    source = graph.add_buffer(width=16, height=16, format="gray", time_base=1 / fps)
    changed, sink = graph.add("fps", f"fps={target}"), graph.add("buffersink")
    source.link_to(changed)
    changed.link_to(sink)
    graph.configure()
    shown: list[int] = []

    def take() -> None:
        while True:
            try:
                shown.append(int(sink.pull().to_ndarray()[0, 0]))  # type: ignore[union-attr]
            except (av.BlockingIOError, av.EOFError):
                return

    for k in range(number):
        frame = av.VideoFrame.from_ndarray(np.full((16, 16), k, np.uint8), format="gray")
        frame.pts, frame.time_base, frame.duration = k, 1 / fps, 1
        source.push(frame)
        take()
    source.push(None)
    take()
    assert fps_filter(number, fps, Fraction(target)).tolist() == shown


def test_resizing_is_pillows_and_leaves_what_fits() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 30, 47, 3), dtype=np.uint8)
    assert resize_short_side(frames, 30) is frames
    assert resize_short_side(frames, 20).shape == (2, 20, 31, 3)
    assert resize_short_side(frames.transpose(0, 2, 1, 3), 20).shape == (2, 31, 20, 3)
    flat = np.full_like(frames, 77)
    np.testing.assert_array_equal(resize_short_side(flat, 50), 77)
    corner = centre_crop(np.arange(9 * 8, dtype=np.uint8).reshape(1, 9, 8, 1), 6)[0, 0, 0, 0]
    assert corner == 2 * 8 + 1  # (9 - 6) / 2 = 1.5 goes to the even 2


@pytest.mark.parametrize(("height", "width"), [(70, 30), (60, 30), (30, 70)])
def test_the_width_changes_before_the_height_whatever_the_aspect(height: int, width: int) -> None:
    """By definition: Keys' cubic, widened by the scale, each pass rounded. The other order is 9 levels off."""

    def weights(old: int, new: int) -> np.ndarray:
        scale = old / new
        t = np.abs(np.arange(old) + 0.5 - (np.arange(new)[:, None] + 0.5) * scale) / max(scale, 1.0)
        near, far = (1.5 * t - 2.5) * t * t + 1, ((-0.5 * t + 2.5) * t - 4) * t + 2
        taps = np.where(t < 1, near, np.where(t < 2, far, 0.0))
        return taps / taps.sum(axis=1, keepdims=True)

    frame = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    (got,) = resize_short_side(frame[None], 22)
    wide = np.clip(np.rint(np.einsum("nw,hwc->hnc", weights(width, got.shape[1]), frame)), 0, 255)
    want = np.clip(np.rint(np.einsum("nh,hwc->nwc", weights(height, got.shape[0]), wide)), 0, 255)
    np.testing.assert_allclose(got, want, atol=1)


def test_the_mel_bank_is_librosas_htk_bank_without_norm() -> None:
    import librosa

    theirs = librosa.filters.mel(sr=RATE, n_fft=1024, n_mels=128, fmin=0, fmax=8000, htk=True, norm=None)
    np.testing.assert_allclose(pre.mel_bank().T, theirs, atol=1e-5)


def test_segments_are_cut_before_they_are_mirrored() -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal(2 * RATE)).astype(np.float32)
    segments = pre.audio_segments(audio, RATE, 2)
    assert segments.shape == (5, 128, 66)
    alone = pre.audio_segments(audio[5120:15360], RATE, 2)
    np.testing.assert_array_equal(segments[1], alone[0])
    assert pre.audio_segments(audio[:10239], RATE, 2).shape == (0, 128, 66)
    np.testing.assert_allclose(segments[:, :, 65], 4.2677393 / (2 * 4.5689974), rtol=1e-6)  # 0, then normalised
    quiet = pre.audio_segments(np.zeros(10240, np.float32), RATE, 2)
    np.testing.assert_allclose(quiet[:, :, :65], (np.log(1e-6) + 4.2677393) / (2 * 4.5689974), rtol=1e-6)


def test_the_checkpoint_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Synchformer(SMALL)
    fill_randomly(whole, "published")
    monkeypatch.setattr(synchformer, "FULL", SMALL)
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))

    def published(state: dict[str, Tensor], name: str) -> None:
        torch.save(state, tmp_path / name)
        monkeypatch.setenv("MMBENCH_WEIGHTS_SYNCHFORMER", str(tmp_path / name))

    published(whole.state_dict(), "whole.pth")
    mel, video = torch.randn(2, 128, 66), torch.randn(1, 16, 3, 224, 224)
    stretch = Stretch(8)
    tower, ear, head = SynchformerVideo(stretch), SynchformerAudio(stretch), SynchformerHead()
    with exact_float32():
        torch.testing.assert_close(tower.network(video), whole.vfeat_extractor(video))
        torch.testing.assert_close(ear.network(mel), whole.afeat_extractor(mel))
        vis, aud = torch.randn(2, 14, 8, 24), torch.randn(2, 14, 6, 24)
        torch.testing.assert_close(head.network(vis, aud), whole(vis, aud))
    assert not [name for name in head.network.state_dict() if "extractor" in name]  # the towers are let go
    lacking = {name: value for name, value in whole.state_dict().items() if name != "vproj.bias"}
    published(lacking, "lacking.pth")
    for part in (SynchformerVideo(stretch), SynchformerHead()):  # before any clip is encoded
        with pytest.raises(MMBenchError, match=r"lacks 1 tensors and holds 0 without a place, first vproj\.bias"):
            _ = part.network
    published({**whole.state_dict(), "module.x": mel}, "strange.pth")
    with pytest.raises(MMBenchError, match=r"holds 1 without a place, first module\.x"):
        _ = SynchformerAudio(stretch).network


def test_features_do_not_depend_on_the_batch() -> None:
    rng = np.random.default_rng(0)
    clips = [
        Clip(
            rng.integers(0, 256, (125, 8, 8, 3), dtype=np.uint8),
            25.0,
            rng.uniform(-0.1, 0.1, 80000).astype(np.float32),
            RATE,
        )
        for _ in range(2)
    ]
    for half in (SynchformerVideo(Stretch(5), "random"), SynchformerAudio(Stretch(5), "random")):
        together = half.extract(clips)
        for one, both in zip(clips, together, strict=True):
            np.testing.assert_allclose(half.extract([one])[0]["segments"], both["segments"], atol=1e-5)
        assert not np.allclose(together[0]["segments"], together[1]["segments"], atol=1e-2)

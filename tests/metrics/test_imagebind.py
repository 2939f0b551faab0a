"""ImageBind: sizes, towers against torch's own layers, equal views, text tokens, scores."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.extractors.imagebind import ImageBindAudio, ImageBindText, ImageBindVideo
from mmbench.metrics.imagebind import IBAV, IBTA, IBTV, cosine
from mmbench.metrics.networks import imagebind
from mmbench.metrics.networks.imagebind import HUGE, SMALL, ImageBind, load_towers
from mmbench.metrics.networks.imagebind_preprocess import (
    Views,
    audio_views,
    clip_starts,
    frame_pairs,
    mean_over_views,
    video_views,
)
from mmbench.metrics.networks.imagebind_transformer import Attention
from mmbench.networks.clip_tokens import ClipTokenizer, clean
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.statistics.excess import estimate_excess
from mmbench.types import Clip
from mmbench.weights import checkpoints as weights

RATE = 16000
START, END = 49406, 49407


@pytest.fixture(scope="module")
def model() -> ImageBind:
    network = ImageBind(SMALL)
    fill_randomly(network, "")
    return network


def video(num_frames: int, height: int = 40, width: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (num_frames, height, width, 3), dtype=np.uint8)


def noise(seconds: float, offset: float = 0.0, seed: int = 0) -> np.ndarray:
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (0.1 * samples + offset).astype(np.float32)


def test_full_size() -> None:
    with torch.device("meta"):
        towers = {m: ImageBind(HUGE, [m]) for m in ("vision", "audio", "text")}
    sizes = {m: sum(p.numel() for p in tower.parameters()) for m, tower in towers.items()}
    assert sizes == {"vision": 632_829_440, "audio": 86_235_648, "text": 354_032_641}
    assert sum(len(tower.state_dict()) for tower in towers.values()) == 864
    assert towers["vision"].state_dict()["modality_preprocessors.vision.rgbt_stem.proj.1.weight"].shape[2:] == (
        2,
        14,
        14,
    )
    assert "modality_trunks.audio.blocks.11.attn.bias_k" in towers["audio"].state_dict()


@pytest.mark.parametrize(("bias_kv", "causal"), [(False, False), (True, False), (False, True)])
def test_attention_is_torchs(bias_kv: bool, causal: bool) -> None:
    torch.manual_seed(0)
    theirs = torch.nn.MultiheadAttention(24, 3, add_bias_kv=bias_kv, batch_first=True).eval()
    torch.nn.init.normal_(theirs.in_proj_bias)
    ours = Attention(24, 3, bias_kv)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(2, 7, 24)
    mask = torch.full((7, 7), -torch.inf).triu(1) if causal else None
    with torch.no_grad():
        torch.testing.assert_close(ours(x, causal), theirs(x, x, x, attn_mask=mask, need_weights=False)[0])


def test_lengths_of_embeddings(model: ImageBind) -> None:
    tokens = torch.from_numpy(ClipTokenizer(None)(["a", "wind"]))
    with exact_float32():
        lengths = [
            model.embed_vision(torch.randn(2, 3, 2, 224, 224)).norm(dim=1),
            model.embed_audio(torch.randn(2, 1, 128, 204)).norm(dim=1),
            model.embed_text(tokens).norm(dim=1),
        ]
    for length, expected in zip(lengths, (1.0, 20.0, 1 / 0.07), strict=True):
        torch.testing.assert_close(length, torch.full((2,), expected))


def test_text_scale_is_clipped(model: ImageBind) -> None:
    scale = ImageBind(SMALL, ["text"]).modality_postprocessors["text"][1]
    with torch.no_grad():
        scale.log_logit_scale.fill_(6.0)
        assert scale(torch.ones(1)) == 100


def test_a_picture_is_a_video_of_two_equal_frames(model: ImageBind) -> None:
    picture = torch.randn(1, 3, 224, 224)
    with exact_float32():
        torch.testing.assert_close(
            model.embed_vision(picture), model.embed_vision(picture[:, :, None].expand(-1, -1, 2, -1, -1))
        )


def test_what_follows_the_end_of_a_text_is_not_seen(model: ImageBind) -> None:
    tokens = torch.from_numpy(ClipTokenizer(None)(["rain", "a much longer text about rain"]))
    changed = tokens.clone()
    changed[0, int(tokens[0].argmax()) + 1 :] = 17
    with exact_float32():
        together, alone = model.embed_text(changed)[0], model.embed_text(tokens[:1])[0]
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)


def test_checkpoint_of_more_towers(model: ImageBind) -> None:
    state = dict(model.state_dict())
    audio = ImageBind(SMALL, ["audio"])
    ignored = load_towers(audio, {**state, "modality_trunks.imu.blocks.0.norm_1.weight": torch.zeros(1)})
    assert "modality_trunks.imu.blocks.0.norm_1.weight" in ignored
    assert not any(key.split(".")[1] == "audio" for key in ignored)
    key = "modality_trunks.audio.blocks.0.norm_1.weight"
    assert torch.equal(audio.state_dict()[key], state[key])
    with pytest.raises(MMBenchError, match="1 unknown tensors"):
        load_towers(audio, {**state, "modality_trunks.audio.blocks.3.norm_1.weight": torch.zeros(24)})
    del state[key]
    with pytest.raises(MMBenchError, match="lacks 1 tensors"):
        load_towers(audio, state)


def test_clip_bounds_are_exact_fractions() -> None:
    starts = clip_starts(52800 / RATE, 3)
    assert [int(s * RATE) for s in starts] == [0, 10399, 20799]  # plain doubles give 10400 and 20800 at 3.3 s
    assert clip_starts(1.6, 5) == [Fraction(0)] * 5


@given(st.integers(1, 400), st.sampled_from([5.0, 7.5, 8.0, 10.0, 24000 / 1001, 30.0]))
def test_frame_pairs_lie_in_the_video(num_frames: int, fps: float) -> None:
    pairs = frame_pairs(num_frames, fps)
    assert len(pairs) == 5
    assert all(0 <= first <= last < num_frames for first, last in pairs)
    if num_frames / fps <= 2:
        assert set(pairs) == {(0, num_frames - 1)}


@pytest.mark.parametrize(
    ("frames", "fps", "distinct"),
    [
        (video(16), 8.0, 1),
        (video(16), 10.0, 1),
        (video(16, 40, 60), 8.0, 3),
        (video(50, 40, 60), 5.0, 15),
        (video(50), 5.0, 5),
        (video(30, 60, 40), 7.5, 15),
        (np.repeat(video(1), 50, axis=0), 5.0, 1),
    ],
    ids=["2s", "1.6s", "2s_wide", "10s_wide", "10s", "4s_tall", "static"],
)
def test_distinct_views_give_the_mean_of_all(model: ImageBind, frames: np.ndarray, fps: float, distinct: int) -> None:
    once, every = video_views(frames, fps), video_views(frames, fps, deduplicate=False)
    assert (len(once.data), len(every.data), len(once.first_equal)) == (distinct, 15, 15)
    position = {index: i for i, index in enumerate(sorted(set(once.first_equal)))}
    assert torch.equal(once.data[[position[i] for i in once.first_equal]], every.data)
    with exact_float32():
        a, b = (mean_over_views(model.embed_vision, [views], 4)[0] for views in (once, every))
    torch.testing.assert_close(a, b, atol=1e-6, rtol=0)


def test_views_of_several_clips_share_batches(model: ImageBind) -> None:
    views = [video_views(video(n, h, 40, seed=n), 5.0) for n, h in ((8, 40), (50, 60), (9, 40))]
    with exact_float32():
        together = mean_over_views(model.embed_vision, views, 4)
        alone = torch.cat([mean_over_views(model.embed_vision, [v], 16) for v in views])
    torch.testing.assert_close(together, alone, atol=1e-6, rtol=0)


def test_only_first_and_last_frame_count() -> None:
    frames = video(16)
    other = video(16, seed=1)
    other[[0, 15]] = frames[[0, 15]]
    assert torch.equal(video_views(frames, 8.0).data, video_views(other, 8.0).data)


def test_fewer_frames_than_clips_say_so() -> None:
    with pytest.raises(MMBenchError, match="hold no frame"):
        video_views(video(3), 0.3)


@pytest.mark.parametrize("offset", [0.0, 0.3])
def test_short_audio_has_one_view(model: ImageBind, offset: float) -> None:
    once, every = audio_views(noise(1.6, offset), RATE), audio_views(noise(1.6, offset), RATE, deduplicate=False)
    assert (len(once.data), once.first_equal) == (1, (0, 0, 0))
    assert (every.data - once.data).abs().max() < 1e-6
    with exact_float32():
        a, b = (mean_over_views(model.embed_audio, [views], 4) for views in (once, every))
    torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def test_overlapping_clips_are_centred_in_place() -> None:
    audio = noise(3.0)
    audio[:RATE] += 0.5  # moves the mean of the first clip alone
    second = audio_views(audio, RATE).data[1]
    alone = audio_views(audio[RATE // 2 : RATE // 2 + 2 * RATE], RATE).data[0]
    assert (second - alone).abs().max() > 1e-3


def test_padding_is_not_silence() -> None:
    data = audio_views(np.zeros(25600, np.float32), RATE).data[0, 0]
    assert data.shape == (128, 204)
    torch.testing.assert_close(data[:, :158], torch.full((128, 158), -1.27756), atol=1e-4, rtol=0)
    torch.testing.assert_close(data[:, 158:], torch.full((128, 46), 0.467061), atol=1e-5, rtol=0)


def test_audio_below_one_window_says_so() -> None:
    with pytest.raises(MMBenchError, match="300 samples"):
        audio_views(noise(300 / RATE), RATE)


@pytest.mark.parametrize(
    ("broken", "cleaned"),
    [
        ("schÃ¶n Ã©tÃ©", "schön été"),
        ("“curly” ‘quotes’", "\"curly\" 'quotes'"),
        ("A &amp;amp; B &lt;3", "a & b <3"),
        ("ｆｕｌｌ　ﬁne\x00", "full fine"),
        ("  Two\n words ", "two words"),
    ],
)
def test_texts_are_cleaned_as_clip_cleans_them(broken: str, cleaned: str) -> None:
    assert clean(broken) == cleaned
    assert clean(cleaned) == cleaned


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters="&")))
def test_ascii_is_only_lowered(text: str) -> None:
    assert clean(text) == " ".join(text.lower().split())


def test_tokens_keep_their_end() -> None:
    tokens = ClipTokenizer(None)(["", "ab", "word " * 100])
    assert tokens.shape == (3, 77)
    assert tokens.dtype == np.int64
    assert tokens[0, :3].tolist() == [START, END, 0]
    assert tokens[1, 0] == START
    assert tokens[1, 3:5].tolist() == [END, 0]  # two bytes
    assert tokens[2, 76] == END
    assert tokens.argmax(axis=1).tolist() == [1, 3, 76]


@pytest.fixture(scope="session")
def merges(fixtures_folder: Path) -> Path:
    for file in sorted(fixtures_folder.rglob("bpe_simple_vocab_16e6.txt.gz")):
        return file
    pytest.skip("no byte-pair merges among the reference outputs")


def test_tokens_of_words(merges: Path, tmp_path: Path) -> None:
    import gzip

    texts = ["a dog barking", "A  DOG\nbarking"]
    tokens = ClipTokenizer(merges)(texts)
    assert tokens[0, :5].tolist() == [START, 320, 1929, 32676, END]
    assert np.array_equal(tokens[0], tokens[1])
    lines = gzip.decompress(merges.read_bytes()).decode().split("\n")
    (tmp_path / "merges.txt").write_text("\n".join(lines[: 1 + 48894]) + "\n")  # as published beside CLIP models
    assert np.array_equal(ClipTokenizer(tmp_path / "merges.txt")(texts), tokens)


def test_a_file_without_merges_is_refused(tmp_path: Path) -> None:
    (tmp_path / "merges.txt").write_text("#version\na b\n")
    with pytest.raises(MMBenchError, match=r"CLIP's merges"):
        ClipTokenizer(tmp_path / "merges.txt")


def test_extractors_do_not_depend_on_the_batch() -> None:
    clips = [Clip(video(16, seed=i), 8.0, noise(2.0, seed=i), RATE) for i in range(3)]
    for extractor in (ImageBindVideo("random", device="cpu"), ImageBindAudio("random", device="cpu", batch_size=2)):
        together = np.stack([f["embedding"] for f in extractor.extract(clips)])
        alone = np.stack([extractor.extract([c])[0]["embedding"] for c in clips])
        assert together.dtype == np.float32
        np.testing.assert_allclose(together, alone, atol=1e-5)
        assert np.ptp(together, axis=0).max() > 1e-3
    texts = ImageBindText("random", device="cpu")
    together = texts.extract(["a", "a longer text"])
    np.testing.assert_allclose(texts.extract(["a"])[0]["embedding"], together[0]["embedding"], atol=1e-5)
    with pytest.raises(MMBenchError, match="no audio"):
        ImageBindAudio("random", device="cpu").extract([Clip(video(2), 8.0, np.zeros(0, np.float32), RATE)])


def test_spec_of_text_names_the_vocabulary() -> None:
    assert ImageBindText().spec()["weights"].startswith("d6f6c22bedcc")
    assert ImageBindText().spec()["weights"] != ImageBindVideo().spec()["weights"]


def test_missing_weights_say_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.delenv("MMBENCH_WEIGHTS_IMAGEBIND", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MMBenchError) as caught:
        ImageBindText(device="cpu").extract(["a"])
    assert caught.value.next == "mmbench weights fetch imagebind"


def test_a_published_checkpoint_becomes_an_extractor(
    model: ImageBind, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    torch.save(
        {**model.state_dict(), "modality_trunks.imu.blocks.0.norm_1.weight": torch.zeros(1)}, tmp_path / "ib.pth"
    )
    monkeypatch.setattr(imagebind, "HUGE", SMALL)
    monkeypatch.setattr(weights, "verify", lambda name: weights.Verdict(name, tmp_path / "ib.pth", "", "published"))
    clip = Clip(video(16), 8.0, noise(2.0), RATE)
    for tower in (ImageBindVideo, ImageBindAudio):
        real, random = tower(device="cpu"), tower("random", device="cpu")
        np.testing.assert_array_equal(real.extract([clip])[0]["embedding"], random.extract([clip])[0]["embedding"])
        assert set(real.network.modality_trunks) == {tower.tower}  # the others are not loaded


def test_cosine() -> None:
    a = np.array([[3.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    b = np.array([[0.5, 0.0], [-1.0, 0.0], [1.0, 0.0]])
    np.testing.assert_allclose(cosine(a, b), [1, -np.sqrt(0.5), 0])
    x = torch.randn(5, 8, dtype=torch.float64)
    y = torch.randn(5, 8, dtype=torch.float64) * 1e-7
    np.testing.assert_allclose(cosine(x.numpy(), y.numpy()), torch.nn.CosineSimilarity(dim=1, eps=1e-6)(x, y).numpy())


def embeddings(n: int, seed: int, scale: float = 1.0) -> list[dict[str, np.ndarray] | None]:
    values = np.random.default_rng(seed).standard_normal((n, 8)).astype(np.float32) * scale
    return [{"embedding": v} for v in values]


def test_score_is_the_mean_cosine_beside_shuffled_pairs() -> None:
    sounds = embeddings(30, 0, scale=20.0)
    videos = [{"embedding": s["embedding"] + v["embedding"]} for s, v in zip(sounds, embeddings(30, 1), strict=True)]
    videos[3] = sounds[5] = None
    score = IBAV().score({"imagebind_video": videos, "imagebind_audio": sounds}, None, seed=0)
    assert score.per_sample is not None
    assert np.flatnonzero(np.isnan(score.per_sample)).tolist() == [3, 5]
    assert score.num_scored == 28
    assert score.value == pytest.approx(np.nanmean(score.per_sample))
    assert score.value > 0.9
    assert score.baseline is not None
    assert abs(score.baseline) < 4 * (score.baseline_stderr or 0)
    assert estimate_excess(score).value == pytest.approx(score.value - score.baseline)


def test_prompts_have_no_shuffled_baseline() -> None:
    for metric, other in ((IBTV(), "imagebind_video"), (IBTA(), "imagebind_audio")):
        assert [e.name for e in metric.extractors()] == ["imagebind_text", other]
        score = metric.score({"imagebind_text": embeddings(4, 0), other: embeddings(4, 1)}, None, seed=0)
        assert score.baseline is None
        assert score.stderr is not None


def test_nothing_to_score() -> None:
    score = IBAV().score({"imagebind_video": [None], "imagebind_audio": embeddings(1, 0)}, None, seed=0)
    assert np.isnan(score.value)
    assert score.num_scored == 0
    with pytest.raises(UsageError, match="official"):
        IBAV("other")


def test_counts_of_views() -> None:
    views = Views(torch.zeros(2, 1), (0, 0, 2, 0))
    assert views.counts().tolist() == [3, 1]

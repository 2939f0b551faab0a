"""The bounce networks: what they are given, that clips stand alone, and that the scores answer to what is wrong."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from mmbench.checks.verification import distortions
from mmbench.datasets.bounce import PHRASES, bounce
from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.bounce import FADBounce, FVDBounce, IBBounceAV, IBBounceTA, IBBounceTV
from mmbench.metrics.extractors import bounce as extractors
from mmbench.metrics.extractors.base import NetworkExtractor, PublishedExtractor
from mmbench.metrics.extractors.bounce import WEIGHTS, BounceAudio, BounceExtractor, BounceText, BounceVideo
from mmbench.metrics.networks.bounce import EMBEDDING_DIM, FEATURE_DIM, WORDS, Tower, frames_of, load, log_mel, words_of
from mmbench.registry import discover
from mmbench.statistics.estimates import mean_estimate
from mmbench.statistics.paired import paired_difference
from mmbench.types import Clip, Features, Item, Request, Score

N = 64
SEED = 3
DATASET = bounce()
EXTRACTORS: dict[str, Any] = {"video": BounceVideo(), "audio": BounceAudio(), "text": BounceText()}
Change = Callable[[Clip, float, np.random.Generator], Clip]
Table = dict[str, list[Features | None]]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Any:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def items(stream: str) -> list[Item]:
    return [DATASET.real(Request(p, 0, SEED), stream) for p in DATASET.prompts(N, SEED)]


@cache
def truth() -> Table:
    return table(items("real"))


@cache
def reference() -> Table:
    real = DATASET.reference(N, SEED)[:]
    return {f"bounce_{m}": EXTRACTORS[m].extract([x.clip for x in real]) for m in ("video", "audio")}


def table(of: list[Item]) -> Table:
    found: Table = {f"bounce_{m}": EXTRACTORS[m].extract([x.clip for x in of]) for m in ("video", "audio")}
    return {**found, "bounce_text": EXTRACTORS["text"].extract([x.prompt.text for x in of])}


def changed(modality: str, change: Change, strength: float) -> Table:
    """Features of the real clips with one modality distorted."""
    rngs = (np.random.default_rng((SEED, i)) for i in range(N))
    clips = [change(x.clip, strength, rng) for x, rng in zip(items("real"), rngs, strict=True)]
    return {**truth(), f"bounce_{modality}": EXTRACTORS[modality].extract(clips)}


def score(metric: Any, features: Table) -> Score:
    return metric.score(features, reference() if metric.needs_reference else None, SEED)


def clip(video: np.ndarray, fps: float = 8.0, seconds: float = 2.0) -> Clip:
    audio = np.random.default_rng(0).uniform(-0.1, 0.1, int(16000 * seconds)).astype(np.float32)
    return Clip(video, fps, audio, 16000)


def test_listed_without_torch() -> None:
    code = "import sys; from mmbench.registry import discover; names = discover('metric')[0]; "
    code += "from mmbench.metrics.bounce import IBBounceAV; [e.spec() for e in IBBounceAV().extractors()]; "
    code += "print('torch' in sys.modules, *(n for n in names if 'bounce' in n))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "fad_bounce", "fvd_bounce", "ib_bounce_av", "ib_bounce_ta", "ib_bounce_tv"]
    assert discover("metric")[0]["fvd_bounce"].factory().variant == "bounce_v1"


@pytest.mark.parametrize("metric", [FVDBounce, FADBounce, IBBounceAV, IBBounceTA, IBBounceTV])
def test_unknown_variants_are_refused(metric: Any) -> None:
    with pytest.raises(UsageError, match="official"):
        metric("official")
    assert {e.weights for e in metric().extractors()} == {"trained"}


def test_size_of_the_weights() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000
    assert WEIGHTS.with_suffix(".md").is_file()


def test_shapes_and_lengths() -> None:
    for name, rows in truth().items():
        assert rows[0] is not None
        assert rows[0]["embedding"].shape == (EMBEDDING_DIM,)
        assert rows[0]["embedding"].dtype == np.float32
        assert np.linalg.norm(rows[0]["embedding"]) == pytest.approx(1, abs=1e-5)
        if name != "bounce_text":
            assert rows[0]["features"].shape == (FEATURE_DIM,)


@pytest.mark.parametrize("modality", ["video", "audio"])
def test_features_have_unit_variance_on_real_clips(modality: str) -> None:
    rows = np.stack([f["features"] for f in truth()[f"bounce_{modality}"] if f])
    assert np.abs(rows.mean(0)).max() < 0.7
    assert 0.6 < rows.var(0).mean() < 1.4


@pytest.mark.e2e
@pytest.mark.parametrize("modality", ["video", "audio", "text"])
def test_a_clip_does_not_see_its_batch(modality: str) -> None:
    some = items("real")[:5]
    inputs = [x.prompt.text for x in some] if modality == "text" else [x.clip for x in some]
    extractor = EXTRACTORS[modality]
    together = extractor.extract(inputs)
    apart = [f for x in reversed(inputs) for f in type(extractor)(device="cpu").extract([x])][::-1]
    for a, b in zip(together, apart, strict=True):
        assert all(np.array_equal(a[k], b[k]) for k in a)


def test_only_its_own_half_is_looked_at() -> None:
    whole = items("real")[0].clip
    deaf, blind = replace(whole, audio=whole.audio[:0]), replace(whole, video=whole.video[:0])
    assert np.array_equal(EXTRACTORS["video"].extract([deaf])[0]["features"], truth()["bounce_video"][0]["features"])
    assert np.array_equal(EXTRACTORS["audio"].extract([blind])[0]["features"], truth()["bounce_audio"][0]["features"])
    with pytest.raises(MMBenchError, match="no audio"):
        EXTRACTORS["audio"].extract([deaf])
    with pytest.raises(MMBenchError, match="no frames"):
        EXTRACTORS["video"].extract([blind])


def test_other_rates_and_sizes_show_the_same_moments() -> None:
    video = np.zeros((48, 30, 40, 3), np.uint8)
    video[:] = np.arange(48, dtype=np.uint8)[:, None, None, None] * 5
    frames = frames_of(video, 24.0)
    assert frames.shape == (16, 3, 64, 64)
    torch.testing.assert_close(frames[:, 0, 10, 10], torch.arange(16) * 15 / 255)
    short = frames_of(video[:6], 24.0)
    assert torch.equal(short[2:], short[2:3].expand(14, -1, -1, -1))
    plain = items("real")[0].clip.video
    assert torch.equal(frames_of(plain, 8.0), torch.from_numpy(plain).permute(0, 3, 1, 2) / 255)


def test_sound_is_read_where_it_is() -> None:
    rate = 16000
    audio = np.zeros(2 * rate, np.float32)
    audio[rate : rate + 800] = np.sin(2 * np.pi * 1000 * np.arange(800) / rate)
    mel = log_mel(audio, rate)
    assert mel.shape == (128, 48)
    loud = torch.nonzero(mel.max(1).values > np.log(1.0)).flatten()
    assert 63 <= int(loud[0]) <= 64  # a hop is 1/64 s, and windows reach one hop ahead
    assert 66 <= int(loud[-1]) <= 68
    assert torch.allclose(mel[:60], torch.tensor(np.log(0.1), dtype=torch.float32))
    assert torch.equal(log_mel(np.append(audio, np.ones(100, np.float32)), rate), mel)
    assert torch.equal(log_mel(audio[: rate + 900], rate), mel)
    assert log_mel(np.repeat(audio, 2), 2 * rate).shape == mel.shape


def test_every_word_of_the_prompts_is_known_and_others_are_passed_over() -> None:
    texts = [p.format(m.adjective) for m in DATASET.world.materials.values() for p in PHRASES.values()]
    assert {word for text in texts for word in text.split()} == set(WORDS)
    plain, odd, none = words_of(["a glass ball", "A  GLASS zebra ball", "Ω \x00 7"])
    assert torch.equal(plain, odd)
    assert not none.any()
    assert words_of([]).shape == (0, len(WORDS))
    assert np.isfinite(EXTRACTORS["text"].extract(["", "Ω"])[0]["embedding"]).all()


def test_weights_that_do_not_fit_are_refused(tmp_path: Any) -> None:
    state = load_file(WEIGHTS)
    state.pop("audio.gather.weight")
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(MMBenchError, match=r"w.safetensors lacks 1 tensors .* first gather.weight"):
        load("audio", tmp_path / "w.safetensors")
    assert not load("video", tmp_path / "w.safetensors").training


def test_another_file_of_weights_is_another_extractor(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = BounceVideo().spec()
    assert before == EXTRACTORS["video"].spec()
    save_file({"x": torch.zeros(1)}, tmp_path / "w.safetensors")
    monkeypatch.setattr(extractors, "WEIGHTS", tmp_path / "w.safetensors")
    assert BounceVideo().spec() != before


@pytest.mark.e2e
def test_independent_sound_shows_in_the_joint_score_alone() -> None:
    mixed = {**truth(), "bounce_audio": EXTRACTORS["audio"].extract([x.clip for x in items("independent 0")])}
    joint = paired_difference(score(IBBounceAV(), truth()), score(IBBounceAV(), mixed))
    assert joint.high is not None
    assert joint.high < -0.2
    video = paired_difference(score(FVDBounce(), truth()), score(FVDBounce(), mixed))
    assert video.value == 0
    audio = paired_difference(score(FADBounce(), truth()), score(FADBounce(), mixed))
    assert audio.low is not None
    assert audio.high is not None
    assert audio.low < 0 < audio.high
    for metric in (IBBounceTV(), IBBounceTA()):
        d = paired_difference(score(metric, truth()), score(metric, mixed))
        assert abs(d.value) < 0.05


def test_shuffled_pairs_are_worse_than_own_ones() -> None:
    found = score(IBBounceAV(), truth())
    assert found.baseline is not None
    assert found.value > found.baseline + 0.4
    assert score(IBBounceTV(), truth()).baseline is None


@pytest.mark.parametrize(("metric", "modality"), [(IBBounceAV, "audio"), (IBBounceTA, "audio"), (IBBounceTV, "video")])
def test_another_material_is_noticed(metric: Any, modality: str) -> None:
    kinds = [x.prompt.data["material"] for x in items("real")]
    other = [next(j for k in range(1, N) if kinds[j := (i + k) % N] != kinds[i]) for i in range(N)]
    rows = truth()[f"bounce_{modality}"]
    wrong = {**truth(), f"bounce_{modality}": [rows[j] for j in other]}
    d = paired_difference(score(metric(), truth()), score(metric(), wrong))
    assert d.high is not None
    assert d.high < -0.2


DISTANCES: list[tuple[Any, str, Change, tuple[float, ...]]] = [
    (FVDBounce, "video", lambda c, s, _: distortions.blur(c, s), (1, 2, 4)),
    (FVDBounce, "video", distortions.pixel_noise, (32, 48, 64)),
    (FVDBounce, "video", distortions.freeze, (0.5, 0.75, 1)),
    (FVDBounce, "video", distortions.shuffle_frames, (0.5, 1)),
    (FADBounce, "audio", distortions.white_noise, (30, 15, 0)),
    (FADBounce, "audio", lambda c, f, _: distortions.low_pass(c, f), (4000, 2000, 1000)),
    (FADBounce, "audio", lambda c, f, _: distortions.hard_clip(c, f), (0.1, 0.05, 0.02)),
]
NAMES = ["blur", "pixel noise", "freeze", "shuffle", "white noise", "low-pass", "clipping"]


@pytest.mark.e2e
@pytest.mark.parametrize(("metric", "modality", "change", "strengths"), DISTANCES, ids=NAMES)
def test_distances_rise_with_the_distortion(
    metric: Any, modality: str, change: Change, strengths: tuple[float, ...]
) -> None:
    scores = [score(metric(), truth()), *(score(metric(), changed(modality, change, s)) for s in strengths)]
    assert all(a.value < b.value for a, b in itertools.pairwise(scores))
    whole = paired_difference(scores[0], scores[-1])
    assert whole.low is not None
    assert whole.low > 0


@pytest.mark.e2e
@pytest.mark.parametrize("sign", [1, -1], ids=["late", "early"])
def test_the_joint_score_falls_as_sound_and_picture_part(sign: int) -> None:
    shifts = (0.0625, 0.125, 0.25, 0.5)
    tables = [truth(), *(changed("audio", lambda c, s, _: distortions.delay_audio(c, sign * s), s) for s in shifts)]
    values = [score(IBBounceAV(), t).per_sample for t in tables]
    for a, b in itertools.pairwise(values):
        assert a is not None
        assert b is not None
        assert mean_estimate(b - a).value < 0.01
    assert mean_estimate(values[-1] - values[0]).value < -0.3  # type: ignore[operator]


def test_a_tower_without_its_part_cannot_be_made() -> None:
    for unfinished in (Tower, NetworkExtractor, PublishedExtractor, BounceExtractor):
        with pytest.raises(TypeError, match="abstract"):
            unfinished()

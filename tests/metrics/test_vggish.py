"""VGGish, its front end and FAD: sizes, example counts, silence, padding, resampling, the extractor, the score."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.extractors.vggish import VGGishExtractor
from mmbench.metrics.fad import FAD
from mmbench.metrics.networks.audio_frontend import frames, kaldi_fbank, mel_filters, resample, vggish_examples
from mmbench.metrics.networks.vggish import VGGish, prepare_waveform
from mmbench.types import Clip
from mmbench.weights import checkpoints as weights

RATE = 16000


def tone(seconds: float, rate: int = RATE, frequency: float = 440.0) -> np.ndarray:
    """(s,) float32 sine of amplitude 0.3."""
    return (0.3 * np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def clip(audio: np.ndarray, rate: int = RATE) -> Clip:
    return Clip(np.zeros((1, 2, 2, 3), np.uint8), 8.0, audio.astype(np.float32), rate)


def test_size_and_names() -> None:
    with torch.device("meta"):
        state = VGGish().state_dict()
    layers = [*(f"features.{i}" for i in (0, 3, 6, 8, 11, 13)), *(f"embeddings.{i}" for i in (0, 2, 4))]
    assert set(state) == {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
    assert state["embeddings.0.weight"].shape == (4096, 512 * 6 * 4)
    assert sum(v.numel() for v in state.values()) == 72_141_184


@pytest.mark.parametrize(
    ("samples", "count"), [(15360, 0), (15599, 0), (15600, 1), (25600, 1), (32000, 2), (160000, 10)]
)
def test_examples_without_padding(samples: int, count: int) -> None:
    assert vggish_examples(np.zeros(samples, np.float32)).shape == (count, 96, 64)


@pytest.mark.parametrize(("seconds", "count"), [(0.1, 2), (0.96, 2), (1.6, 2), (2.0, 2), (10.0, 10)])
def test_examples_of_prepared_audio(seconds: float, count: int) -> None:
    assert len(vggish_examples(prepare_waveform(tone(seconds), RATE))) == count


def test_silence_is_log_a_hundredth() -> None:
    np.testing.assert_allclose(vggish_examples(np.zeros(32000, np.float32)), math.log(0.01), rtol=1e-7)


def test_padding_is_silence_and_stays_silent_under_an_offset() -> None:
    waveform = prepare_waveform(tone(1.6) + np.float32(0.25), RATE)
    assert waveform.shape == (32000,)
    assert not waveform[25600:].any()
    assert abs(waveform[:25600].mean()) < 1e-6
    assert vggish_examples(waveform)[1, 70:] == pytest.approx(math.log(0.01), rel=1e-7)


def test_only_the_first_channel_is_heard() -> None:
    left, right = tone(2.0), tone(2.0, frequency=700.0)
    assert np.array_equal(prepare_waveform(np.stack([left, right], axis=1), RATE), prepare_waveform(left, RATE))


def test_audio_is_neither_cut_nor_clipped() -> None:
    loud = 5 * tone(3.3)
    assert prepare_waveform(loud, RATE).shape == (52800,)
    assert np.abs(prepare_waveform(loud, RATE)).max() > 1.4


@pytest.mark.parametrize("rate", [8000, 22050, 44100, 48000])
def test_resampling_keeps_a_tone(rate: int) -> None:
    y, expected = resample(tone(1.0, rate), rate, RATE), tone(1.0)
    assert y.dtype == np.float32
    np.testing.assert_allclose(y[400:-400], expected[400:-400], atol=1e-3)


@given(st.integers(1, 2000), st.sampled_from([8000, 11025, 16000, 32000, 44100, 48000]))
def test_length_after_resampling(samples: int, rate: int) -> None:
    stereo = np.ones((2, samples), np.float32)
    assert resample(stereo, rate, RATE).shape == (2, -(-samples * RATE // rate))


def test_resampling_removes_what_the_new_rate_cannot_hold() -> None:
    assert np.abs(resample(tone(1.0, 48000, 11000.0), 48000, RATE)[400:-400]).max() < 2e-3


def test_mel_bands() -> None:
    vggish, kaldi = mel_filters(64, 125.0, 7500.0), mel_filters(128, 20.0, 8000.0)
    assert vggish.shape == (257, 64)
    assert vggish.any(axis=0).all()
    assert np.flatnonzero(~kaldi.any(axis=0)).tolist() == [3]  # ImageBind's fourth band lies between two FFT bins
    assert vggish.max() <= 1
    assert kaldi.min() == 0


def test_whole_windows_only() -> None:
    assert frames(np.arange(399.0)).shape == (0, 400)
    assert frames(np.arange(400.0)).shape == (1, 400)
    assert frames(np.arange(720.0))[2, 0] == 320


def test_kaldi_ignores_a_constant_and_floors_silence() -> None:
    x = tone(1.0).astype(np.float64)
    np.testing.assert_allclose(kaldi_fbank(x + 0.3, 128), kaldi_fbank(x, 128), atol=1e-6)
    assert np.unique(kaldi_fbank(np.zeros(800), 128)).tolist() == [pytest.approx(-15.9424, abs=1e-4)]


@pytest.fixture(scope="module")
def extractor() -> VGGishExtractor:
    return VGGishExtractor("random", device="cpu")


@pytest.mark.e2e
def test_rows_per_clip_do_not_depend_on_the_batch(extractor: VGGishExtractor) -> None:
    clips = [clip(tone(1.6)), clip(tone(3.0, 44100), 44100), clip(np.zeros(32000))]
    together = [f["embedding"] for f in extractor.extract(clips)]
    assert [e.shape for e in together] == [(2, 128), (3, 128), (2, 128)]
    assert together[0].dtype == np.float32
    for one, embedding in zip(clips, together, strict=True):
        np.testing.assert_allclose(extractor.extract([one])[0]["embedding"], embedding, atol=1e-4)
    assert min(e.min() for e in together) < 0  # the last ReLU is left out
    np.testing.assert_allclose(together[2][0], together[2][1], atol=1e-5)


@pytest.mark.e2e
def test_a_clip_without_sound_is_refused(extractor: VGGishExtractor) -> None:
    with pytest.raises(MMBenchError, match="no audio"):
        extractor.extract([clip(np.zeros(0))])


@pytest.mark.e2e
def test_published_weights_become_an_extractor(extractor: VGGishExtractor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "load_state_dict", lambda name: extractor.network.state_dict())
    real, sound = VGGishExtractor(device="cpu"), clip(tone(2.0))
    np.testing.assert_array_equal(real.extract([sound])[0]["embedding"], extractor.extract([sound])[0]["embedding"])


def test_spec_names_the_weights() -> None:
    assert VGGishExtractor().spec()["weights"].startswith("10086976")
    assert VGGishExtractor("random").spec() != VGGishExtractor("random", salt="x").spec()


def rows(n: int, seed: int) -> list[dict[str, np.ndarray]]:
    return [{"embedding": r} for r in np.random.default_rng(seed).standard_normal((n, 2, 6)).astype(np.float32)]


def test_fad_pools_the_rows_of_all_clips() -> None:
    generated, real = rows(40, 0), rows(30, 1)
    score = FAD().score({"vggish": generated}, {"vggish": [None, *real]}, seed=0)
    a, b = (Moments.of(np.concatenate([f["embedding"] for f in side])) for side in (generated, real))
    assert score.value == pytest.approx(frechet_distance(a, b, ddof=1), rel=1e-12)
    assert score.num_scored == 40  # clips, not rows
    assert score.details["num_reference"] == 30


def test_the_bootstrap_draws_clips_not_rows() -> None:
    """Rows that agree within a clip hold no more than one row: the standard error must know."""
    real = rows(200, 1)
    single = [{"embedding": f["embedding"][:1]} for f in rows(60, 0)]
    double = [{"embedding": np.repeat(f["embedding"], 2, axis=0)} for f in single]
    one, two = (FAD().score({"vggish": side}, {"vggish": real}, seed=0) for side in (single, double))
    assert one.stderr is not None
    assert two.stderr == pytest.approx(one.stderr, rel=0.05)


def test_floor_and_infinity_stand_beside_the_value() -> None:
    """Two sets of one distribution: the value is all bias, halves have about twice of it, infinite n has none."""
    details = (score := FAD().score({"vggish": rows(300, 0)}, {"vggish": rows(300, 1)}, seed=0)).details
    assert 1.3 < details["floor"] / score.value < 3
    assert abs(details["infinity"]) < 4 * details["infinity_stderr"]
    points = np.array(details["infinity_points"])
    assert points[:, 0].tolist() == [300, 150, 100, 75]
    assert points[0, 1] == pytest.approx(score.value, rel=1e-9)
    assert np.polyfit(1 / points[:, 0], points[:, 1], 1)[1] == pytest.approx(details["infinity"], abs=1e-6)
    few = FAD().score({"vggish": rows(3, 0)}, {"vggish": rows(3, 1)}, seed=0).details
    assert few["num_reference"] == 3
    assert few["floor"] is few["infinity"] is few["infinity_stderr"] is None
    longer = [{"embedding": np.repeat(f["embedding"], 2, axis=0)} for f in rows(300, 0)]
    assert FAD().score({"vggish": longer}, {"vggish": rows(300, 1)}, seed=0).details["infinity"] is None


def test_fad_needs_a_reference_and_a_known_variant() -> None:
    with pytest.raises(MMBenchError, match="no real clips"):
        FAD().score({"vggish": rows(3, 0)}, None, seed=0)
    with pytest.raises(UsageError, match="audioldm_eval"):
        FAD("google")

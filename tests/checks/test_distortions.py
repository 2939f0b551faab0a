"""Distortions do what their units say, to the half they name, and the same each time."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from mmbench.checks.verification import distortions
from mmbench.types import Clip
from tests.builders import clip as noise_clip

Distort = Callable[[Clip, float], Clip]
RATE = 16000  # [Hz]


def rng() -> np.random.Generator:
    return np.random.default_rng(7)


VIDEO: dict[
    str, tuple[Distort, float, tuple[float, ...]]
] = {  # name: (function, strength of no change, mild to strong)
    "blur": (distortions.blur, 0, (0.5, 1, 3)),
    "pixel_noise": (lambda c, s: distortions.pixel_noise(c, s, rng()), 0, (5, 20, 60)),
    "freeze": (lambda c, s: distortions.freeze(c, s, rng()), 0, (0.25, 0.5, 1)),
    "shuffle_frames": (lambda c, s: distortions.shuffle_frames(c, s, rng()), 0, (0.3, 0.6, 1)),
}
AUDIO: dict[str, tuple[Distort, float, tuple[float, ...]]] = {
    "white_noise": (lambda c, s: distortions.white_noise(c, s, rng()), math.inf, (30, 10, 0)),
    "low_pass": (distortions.low_pass, RATE / 2, (6000, 2000, 500)),
    "hard_clip": (distortions.hard_clip, 1, (0.8, 0.4, 0.1)),
    "delay_audio": (distortions.delay_audio, 0, (0.001, 0.005, 0.012)),
}
ALL = {**VIDEO, **AUDIO}


def clip(seed: int = 0) -> Clip:
    """Ten frames and a quarter of full scale, so that nothing saturates."""
    c = noise_clip(seed, frames=10, size=16, samples=400)
    return Clip(c.video // 2 + 64, c.fps, c.audio / 4, c.sample_rate)


def tone(frequency: float) -> Clip:
    """One second of a sine of amplitude 0.5."""
    time = np.arange(RATE) / RATE
    return Clip(clip().video, 8.0, (0.5 * np.sin(2 * np.pi * frequency * time)).astype(np.float32), RATE)


@pytest.mark.parametrize("name", ALL)
def test_no_strength_changes_nothing(name: str) -> None:
    distort, none, _ = ALL[name]
    assert distort(clip(), none).digest() == clip().digest()


@pytest.mark.parametrize("name", ALL)
def test_only_the_named_half_changes_and_keeps_its_form(name: str) -> None:
    distort, _, steps = ALL[name]
    before = clip()
    after = distort(before, steps[-1])
    assert after.size() == before.size()
    assert before.digest() == clip().digest(), "the input was changed"
    changed = (after.video_digest() != before.video_digest(), after.audio_digest() != before.audio_digest())
    assert changed == (name in VIDEO, name in AUDIO)
    assert after.digest() == distort(clip(), steps[-1]).digest()


@pytest.mark.parametrize("name", ["blur", "pixel_noise", "freeze", "white_noise", "low_pass", "hard_clip"])
def test_stronger_is_further_away(name: str) -> None:
    distort, _, steps = ALL[name]
    half = "video" if name in VIDEO else "audio"
    plain = getattr(clip(), half).astype(np.float64)
    errors = [float(np.square(getattr(distort(clip(), s), half) - plain).mean()) for s in steps]
    assert errors == sorted(errors)
    assert errors[0] > 0
    assert errors[0] < errors[-1]


def test_blur_of_a_point_has_the_standard_deviation_asked_for() -> None:
    video = np.zeros((1, 65, 65, 3), np.uint8)
    video[0, 32, 32] = 255
    spread = distortions.blur(Clip(video, 8.0, np.zeros(0, np.float32), RATE), 1.5).video[0, 32, :, 0].astype(float)
    assert spread.argmax() == 32
    assert 1.2 < math.sqrt(np.sum(spread * (np.arange(65) - 32) ** 2) / spread.sum()) < 1.6  # 8 bits lose the tails


def test_pixel_noise_has_the_standard_deviation_asked_for() -> None:
    grey = Clip(np.full((4, 64, 64, 3), 128, np.uint8), 8.0, np.zeros(0, np.float32), RATE)
    assert distortions.pixel_noise(grey, 10, rng()).video.std() == pytest.approx(10, rel=0.02)


def test_frozen_frames_repeat_the_one_before_and_grow_in_number() -> None:
    video = clip().video
    for fraction, lost in ((1 / 3, 3), (1, 9)):
        frozen = distortions.freeze(clip(), fraction, rng()).video
        kept = [i for i in range(10) if np.array_equal(frozen[i], video[i])]
        assert kept[0] == 0
        assert len(kept) == 10 - lost
        for i in set(range(10)) - set(kept):
            np.testing.assert_array_equal(frozen[i], frozen[i - 1])


def test_shuffled_frames_are_the_same_frames_in_other_places() -> None:
    video, shuffled = clip().video, distortions.shuffle_frames(clip(), 0.5, rng()).video
    assert sorted(f.tobytes() for f in video) == sorted(f.tobytes() for f in shuffled)
    assert sum(not np.array_equal(a, b) for a, b in zip(video, shuffled, strict=True)) == 5


@pytest.mark.parametrize("snr", [20.0, 6.0])
def test_noise_has_the_power_asked_for(snr: float) -> None:
    plain = tone(440)
    noise = distortions.white_noise(plain, snr, rng()).audio.astype(np.float64) - plain.audio
    power = np.mean(np.square(plain.audio, dtype=np.float64))
    assert 10 * math.log10(power / np.mean(noise**2)) == pytest.approx(snr, abs=0.2)


def test_silence_stays_silent_under_noise() -> None:
    silent = Clip(clip().video, 8.0, np.zeros(100, np.float32), RATE)
    assert not distortions.white_noise(silent, 0, rng()).audio.any()


def test_the_low_pass_keeps_what_lies_below_and_takes_what_lies_above() -> None:
    low, high = (distortions.low_pass(tone(f), 1000).audio[4000:-4000] for f in (200, 4000))
    np.testing.assert_allclose(low, tone(200).audio[4000:-4000], atol=2e-3)  # no phase shift either
    assert np.abs(high).max() < 1e-3


def test_a_clipped_tone_has_the_peak_asked_for() -> None:
    assert np.abs(distortions.hard_clip(tone(440), 0.3).audio).max() == pytest.approx(0.15, rel=1e-3)


@pytest.mark.parametrize("seconds", [0.125, -0.125, 2.0, -2.0])
def test_a_delayed_click_comes_late_by_the_time_asked_for(seconds: float) -> None:
    audio = np.zeros(RATE, np.float32)
    audio[RATE // 2] = 1.0
    moved = distortions.delay_audio(Clip(clip().video, 8.0, audio, RATE), seconds).audio
    where = [RATE // 2 + round(seconds * RATE)] if abs(seconds) < 0.5 else []
    assert np.flatnonzero(moved).tolist() == where


@pytest.mark.parametrize("name", AUDIO)
def test_a_clip_without_sound_stays_so(name: str) -> None:
    mute = Clip(clip().video, 8.0, np.zeros(0, np.float32), RATE)
    assert len(AUDIO[name][0](mute, AUDIO[name][2][-1]).audio) == 0


@pytest.mark.parametrize("name", ["freeze", "shuffle_frames"])
def test_a_single_frame_stays(name: str) -> None:
    one = Clip(clip().video[:1], 8.0, clip().audio, RATE)
    assert VIDEO[name][0](one, 1.0).video_digest() == one.video_digest()


@pytest.mark.parametrize(
    ("name", "strength"),
    [
        ("blur", -1.0),
        ("pixel_noise", math.nan),
        ("freeze", 1.5),
        ("shuffle_frames", -0.1),
        ("white_noise", math.nan),
        ("low_pass", 0.0),
        ("hard_clip", 0.0),
    ],
)
def test_impossible_strengths_are_refused(name: str, strength: float) -> None:
    with pytest.raises(ValueError, match="expected"):
        ALL[name][0](clip(), strength)

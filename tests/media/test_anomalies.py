"""Odd clips are found, and ordinary ones, lossy or made by code, raise no alarm."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.signal import resample, resample_poly, sosfilt

from mmbench.media.anomalies import clipped_share, is_frozen, is_silent, lower_rate, repeated_share
from mmbench.media.decode import decode
from mmbench.media.resample import resample_audio
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Clip
from tests.media_files import flashes, write_media

RATE = 16000


def noise(rate: int, seconds: float = 1.0, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(round(rate * seconds))).astype(np.float32)


def film(frames: int, step: int = 2, grain: float = 2.0) -> np.ndarray:
    """(T, 64, 64, 3) uint8: a textured scene that drifts `step` pixels a frame, with grain."""
    rng = np.random.default_rng(1)
    scene = np.kron(rng.uniform(40, 210, (16, 16, 3)), np.ones((4, 4, 1)))
    moved = [np.roll(scene, step * j, axis=1) + rng.normal(0, grain, scene.shape) for j in range(frames)]
    return np.clip(np.stack(moved), 0, 255).astype(np.uint8)


def held(video: np.ndarray, times: int) -> np.ndarray:
    return np.repeat(video, times, axis=0)[: len(video)]


@pytest.mark.parametrize("suffix", ["exact", "mp4"])
def test_frozen_and_held_frames_are_found_whatever_the_codec(tmp_path: Path, suffix: str) -> None:
    def stored(video: np.ndarray) -> np.ndarray:
        return video if suffix == "exact" else decode(write_media(tmp_path / "a.mp4", video)).video

    moving, still = film(16), np.repeat(film(1), 16, axis=0)
    assert (repeated_share(stored(moving)), is_frozen(stored(moving))) == (0.0, False)
    assert (repeated_share(stored(still)), is_frozen(stored(still))) == (1.0, True)
    twice = stored(held(moving, 2))
    assert repeated_share(twice) == pytest.approx(8 / 15, abs=0.1)
    assert not is_frozen(twice)


def test_pictures_that_change_little_are_not_repeated() -> None:
    fade = np.broadcast_to(np.arange(100, 116, dtype=np.uint8)[:, None, None, None], (16, 32, 32, 3))
    ball = np.full((16, 256, 256, 3), 90, np.uint8)
    for j in range(16):
        ball[j, 100 + j : 103 + j, 50:53] = 200
    for video in (fade, ball):
        assert (repeated_share(video), is_frozen(video)) == (0.0, False)
    assert (repeated_share(ball[:1]), is_frozen(ball[:1])) == (0.0, False)
    assert (repeated_share(ball[:0]), is_frozen(ball[:0])) == (0.0, False)


def test_silence_is_what_nobody_hears() -> None:
    t = np.arange(RATE) / RATE
    for level, silent in ((0.0, True), (9e-4, True), (2e-3, False)):
        assert is_silent((level * np.sin(2 * np.pi * 440 * t) + 0.2).astype(np.float32)) is silent
    assert not is_silent(np.zeros(0, np.float32))


def test_flat_tops_are_clipped_and_peaks_are_not() -> None:
    t = np.arange(2 * RATE) / RATE
    loud = np.sin(2 * np.pi * 440 * t)
    assert clipped_share(np.clip(2 * loud, -1, 1).astype(np.float32)) == pytest.approx(2 / 3, abs=0.03)
    for ordinary in (loud, np.sin(2 * np.pi * 50 * t), noise(RATE, 2.0) / np.abs(noise(RATE, 2.0)).max()):
        stored = Clip(flashes(1), 8.0, ordinary.astype(np.float32), RATE).audio_int16() / 32768
        assert clipped_share(stored.astype(np.float32)) == 0.0
    assert clipped_share(np.zeros(0, np.float32)) == 0.0


@pytest.mark.parametrize(
    ("real", "declared"), [(8000, 16000), (16000, 44100), (16000, 48000), (22050, 44100), (24000, 48000), (8000, 48000)]
)
def test_a_resampled_sound_is_known_by_its_empty_band(real: int, declared: int) -> None:
    first = noise(real)
    by_us = resample_audio(Clip(flashes(8), 8.0, first, real), declared).audio
    for sound in (by_us, resample_poly(first, declared, real), resample(first, declared)):
        stored = np.rint(np.asarray(sound) * 32768) / 32768
        found = lower_rate(stored.astype(np.float32), declared)
        assert found == pytest.approx(real, rel=0.09), "22.05 and 24 kHz are too close to be told apart for certain"


def ordinary_sounds() -> dict[str, np.ndarray]:
    """Two seconds each at 16 kHz; many end far below 8 kHz, as sounds do."""
    rng, t = np.random.default_rng(2), np.arange(2 * RATE) / RATE
    brown = np.cumsum(rng.standard_normal(2 * RATE))
    buzz = sum(np.sin(2 * np.pi * 120 * k * t) / k for k in range(1, 60))
    vowel = sosfilt([[0.02, 0, 0, 1, -1.79, 0.9]], buzz)
    struck = sum(np.exp(-6 * t) * np.sin(2 * np.pi * f * t) for f in (523.0, 1410.0, 2760.0, 3900.0))
    dull = sosfilt([[0.1, 0.2, 0.1, 1, -1.1, 0.5]], rng.standard_normal(2 * RATE))
    sounds = {"white": rng.standard_normal(2 * RATE), "brown": brown - brown.mean(), "vowel": vowel, "struck": struck}
    sounds |= {f"tone {f}": np.sin(2 * np.pi * f * t) for f in (50, 440, 3500, 3990)}
    sounds |= {"dull": dull, "sweep": np.sin(2 * np.pi * (100 * t + 500 * t**2)), "hum and click": 0.1 * buzz}
    sounds["hum and click"][RATE] = 5.0
    return {name: (0.4 * x / np.abs(x).max()).astype(np.float32) for name, x in sounds.items()}


@pytest.mark.parametrize("name", ordinary_sounds())
def test_ordinary_sounds_raise_no_alarm(name: str) -> None:
    sound = Clip(flashes(1), 8.0, ordinary_sounds()[name], RATE).audio_int16() / np.float32(32768)
    assert (lower_rate(sound, RATE), clipped_share(sound), is_silent(sound)) == (0, 0.0, False)


@pytest.mark.parametrize(("codec", "rate"), [("aac", 16000), ("aac", 44100), ("libmp3lame", 44100), ("aac", 48000)])
def test_the_low_pass_of_a_lossy_codec_is_no_lower_rate(tmp_path: Path, codec: str, rate: int) -> None:
    path = write_media(tmp_path / "a.mkv", flashes(8), noise(rate), fps=8, rate=rate, audio_codec=codec)
    assert lower_rate(decode(path).audio, rate) == 0


def test_short_sounds_and_silence_are_not_judged() -> None:
    upsampled = resample(noise(8000, 0.2), 3200).astype(np.float32)
    assert lower_rate(upsampled, RATE) == 0
    assert lower_rate(np.zeros(RATE, np.float32), RATE) == 0


@pytest.mark.parametrize("world", ["bounce", "bounce_heavy"])
def test_clips_of_bounce_raise_no_alarm(world: str) -> None:
    dataset = make_dataset(world)
    steepest = (10, 45, 94)  # of 400 of bounce, the cliffs nearest to a resampled sound's: 17, 19 and 25 dB
    for request in (r for r in make_requests(dataset, 95, 7) if r.index < 8 or r.index in steepest):
        clip = dataset.real(request, "real").clip
        assert (repeated_share(clip.video), is_frozen(clip.video)) == (0.0, False)
        assert (lower_rate(clip.audio, RATE), clipped_share(clip.audio), is_silent(clip.audio)) == (0, 0.0, False)

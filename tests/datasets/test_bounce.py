"""Bounce: exact motion, exact sound, pure functions of (seed, split, index)."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmbench.datasets.bounce import FORMAT, PHRASES, Bounce, bounce, bounce_heavy
from mmbench.datasets.bounce_world.physics import Ball, positions, trajectory
from mmbench.datasets.bounce_world.render import Actor, ball_layer, dust
from mmbench.datasets.bounce_world.sound import KNEE, Voice, add_damped_sines, finish
from mmbench.datasets.bounce_world.stage import Projection
from mmbench.datasets.bounce_world.world import MATERIALS, STANDARD
from mmbench.registry import make_dataset
from mmbench.types import Item, Request

DATASET = bounce()
RATE = FORMAT.sample_rate
DURATION = 2.0


@pytest.fixture(scope="module")
def items() -> list[Item]:
    """40 items of the test split."""
    return [DATASET.real(Request(prompt, 0, 0), "real") for prompt in DATASET.prompts(40, 0)]


def test_format_of_items(items: list[Item]) -> None:
    for item in items:
        assert item.clip.video.shape == (16, 64, 64, 3)
        assert item.clip.audio.shape == (32000,)
        assert float(item.clip.fps) == 8.0
        assert item.clip.sample_rate == 16000
        assert np.abs(item.clip.audio).max() < 1.0
        assert np.array_equal(item.clip.audio_int16() / np.float32(32768), item.clip.audio)


def test_item_is_the_same_in_a_fresh_process(items: list[Item]) -> None:
    code = (
        "from mmbench.datasets.bounce import bounce\n"
        "from mmbench.types import Request\n"
        "d = bounce(); p = d.prompts(4, 0)[3]\n"
        "print(d.real(Request(p, 0, 0), 'real').clip.digest(), d.reference(9, 5)[8].clip.digest())\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert out == [items[3].clip.digest(), DATASET.reference(9, 5)[8].clip.digest()]
    again = DATASET.real(Request(DATASET.prompts(40, 0)[3], 0, 0), "real").clip
    assert np.array_equal(again.audio, items[3].clip.audio)


def test_everything_about_a_request_changes_its_item(items: list[Item]) -> None:
    prompt = DATASET.prompts(1, 0)[0]
    requests = [
        Request(prompt, 0, 0),
        Request(prompt, 1, 0),
        Request(prompt, 0, 1),
        Request(replace(prompt, id="x"), 0, 0),
    ]
    digests = [DATASET.real(r, "real").clip.digest() for r in requests] + [
        DATASET.real(requests[0], "other").clip.digest()
    ]
    assert len(set(digests)) == len(digests)


def test_prompts_are_prefixes_and_unique() -> None:
    many = DATASET.prompts(200, 3)
    assert DATASET.prompts(17, 3) == many[:17]
    assert len({p.id for p in many} | {p.id for p in DATASET.prompts(200, 4)}) == 400
    assert len({p.text for p in many}) == len(MATERIALS) * len(PHRASES)
    assert json.loads(json.dumps(dict(many[0].data))) == many[0].data


def test_items_fit_their_prompts(items: list[Item]) -> None:
    for item in items:
        want = item.prompt.data
        low, high = MATERIALS[want["material"]].radii
        radii = [ball.radius for ball in item.truth["balls"]]
        assert len(radii) == want["num_balls"]
        limits = {"any": (0, 1), "small": (0, 0.25), "large": (0.75, 1)}[want["size"]]
        assert all(limits[0] <= (r - low) / (high - low) <= limits[1] for r in radii)


def test_splits_are_disjoint(items: list[Item]) -> None:
    train = [item.clip.digest() for item in DATASET.reference(40, 0)]
    assert not set(train) & {item.clip.digest() for item in items}
    assert not {item.id for item in DATASET.reference(40, 0)} & {item.id for item in items}


def test_reference_is_lazy_and_a_prefix() -> None:
    long, short = DATASET.reference(None, 0), DATASET.reference(3, 0)
    assert (len(long), len(short)) == (2048, 3)
    assert long[2].clip.digest() == short[-1].clip.digest() == short[1:][1].clip.digest()
    with pytest.raises(IndexError):
        short[3]


def test_vertical_drop_matches_the_closed_form() -> None:
    world = replace(STANDARD, gravity=9.81)
    height, e, radius = 1.3, 0.7, 0.4
    _, impacts = trajectory(Ball(radius, e, 1.8, radius + height, 0.0, 0.0), world, 10.0)
    fall, speed = math.sqrt(2 * height / 9.81), math.sqrt(2 * 9.81 * height)
    times = [fall + 2 * speed * sum(e**j for j in range(1, k + 1)) / 9.81 for k in range(len(impacts))]
    np.testing.assert_allclose([i.time for i in impacts], times, rtol=1e-12)
    np.testing.assert_allclose([i.speed for i in impacts], speed * e ** np.arange(len(impacts)), rtol=1e-12)
    assert impacts[-1].speed * e < world.rest_speed <= impacts[-2].speed * e


def test_motion_is_continuous_stays_in_the_room_and_loses_energy() -> None:
    ball = Ball(0.4, 0.8, 1.0, 2.0, 3.1, 1.0)
    segments, impacts = trajectory(ball, STANDARD, 4.0)
    assert {i.surface for i in impacts} == {"floor", "left", "right"}
    energies = [0.5 * (s.vx**2 + s.vy**2) + STANDARD.gravity * s.y for s in segments]
    assert (np.diff(energies) < 0).all()
    for segment in segments[1:]:
        before = positions(segments, np.array([segment.start - 1e-9]))[0]
        np.testing.assert_allclose(before, [segment.x, segment.y], atol=1e-7)
    points = positions(segments, np.linspace(0, 4, 4001))
    assert points[:, 1].min() >= 0.4 - 1e-9
    assert points[:, 0].min() >= 0.4 - 1e-9
    assert points[:, 0].max() <= STANDARD.width - 0.4 + 1e-9


def test_a_ball_comes_to_rest() -> None:
    segments, impacts = trajectory(Ball(0.4, 0.5, 1.8, 1.4, 0.1, 0.0), STANDARD, 8.0)
    assert segments[-1].ay == 0.0
    assert segments[-1].vy == 0.0
    assert len(impacts) < 10


def test_truth_is_ordered_inside_the_clip_and_heard(items: list[Item]) -> None:
    for item in items:
        times, speeds = item.truth["impact_times"], item.truth["impact_speeds"]
        assert (np.diff(times) >= 0).all()
        assert STANDARD.first_impact[0] <= times[0]
        assert times[-1] < DURATION
        assert len(times) == len(speeds) == len(item.truth["impact_surfaces"]) == len(item.truth["impact_points"])
        assert ((speeds >= STANDARD.audible_speed) & (times <= STANDARD.last_onset)).sum() >= STANDARD.min_impacts


def test_sound_begins_with_the_first_impact(items: list[Item]) -> None:
    for item in items:
        first = math.ceil(item.truth["impact_times"][0] * RATE)
        audio = item.clip.audio
        assert not audio[:first].any()
        assert np.abs(audio[first : first + 32]).max() > 1e-3


def test_onsets_are_where_the_impacts_are(items: list[Item]) -> None:
    """Clear impacts and onsets match within one hop (1536 samples, 96 ms).

    Every detected onset lies within one hop of some impact; and every impact of at least 1.2 m/s, 0.3 s or more after
    the impact before it and before 1.85 s, has an onset within one hop.
    """
    import librosa

    hop = 1536
    found = wanted = 0
    for item in items:
        envelope = librosa.onset.onset_strength(y=item.clip.audio, sr=RATE, hop_length=hop, n_fft=2048)
        onsets = librosa.onset.onset_detect(onset_envelope=envelope, sr=RATE, hop_length=hop, units="time")
        times, speeds = item.truth["impact_times"], item.truth["impact_speeds"]
        assert all(np.abs(times - onset).min() <= hop / RATE for onset in onsets)
        gaps = np.diff(times, prepend=-1.0)
        for time in times[(speeds >= 1.2) & (gaps >= 0.3) & (times <= 1.85)]:
            wanted += 1
            found += bool(len(onsets)) and np.abs(onsets - time).min() <= hop / RATE
    assert wanted > 60
    assert found == wanted


def test_dust_rises_at_the_impact_and_not_before() -> None:
    segments, impacts = trajectory(Ball(0.4, 0.7, 1.8, 1.6, 0.0, 0.0), STANDARD, 1.0)
    time = impacts[0].time
    actor = Actor(0.4, MATERIALS["wood"], segments, impacts[:1], 0.0)
    clouds = dust(actor, Projection(STANDARD, 64, 64), time + np.array([-0.5, -1e-6, 1e-6, 0.1, 0.2, 2.0]))
    highest = clouds.max(axis=(1, 2))
    assert highest[0] == highest[1] == highest[5] == 0.0
    assert 0.5 < highest[2] <= 1.0
    assert highest[2] > highest[3] > highest[4] > 0.0
    np.testing.assert_array_equal(clouds[2], clouds[2][:, ::-1])


def test_a_resting_ball_is_drawn_where_it_is() -> None:
    to_pixels = Projection(STANDARD, 64, 64)
    segments, _ = trajectory(Ball(0.5, 0.7, 1.2, 2.0, 0.0, 0.0), replace(STANDARD, gravity=1e-9), 1.0)
    alpha = ball_layer(Actor(0.5, MATERIALS["metal"], segments, [], 0.0), to_pixels, np.zeros(1))[0, ..., 3]
    assert alpha.sum() == pytest.approx(math.pi * (0.5 * to_pixels.scale) ** 2, rel=0.01)
    x, y = to_pixels(np.array([[1.2, 2.0]]), 0.0)
    assert (alpha.sum(axis=0) * (np.arange(64) + 0.5)).sum() / alpha.sum() == pytest.approx(x[0], abs=0.05)
    assert (alpha.sum(axis=1) * (np.arange(64) + 0.5)).sum() / alpha.sum() == pytest.approx(y[0], abs=0.05)


def _single(material: str, radius: float, speed: float, seed: int = 0) -> np.ndarray:
    audio = np.zeros(RATE)
    Voice(MATERIALS[material], radius, np.random.default_rng(seed)).strike(audio, 0.1, 0.1 * speed, RATE)
    return audio


def _peak_frequency(audio: np.ndarray) -> float:
    tail = audio[int(0.12 * RATE) :]  # after the contact noise
    return float(np.abs(np.fft.rfft(tail, 1 << 16))[1:].argmax() + 1) * RATE / (1 << 16)


@pytest.mark.parametrize("material", MATERIALS)
def test_bigger_is_lower_and_faster_is_louder(material: str) -> None:
    low, high = MATERIALS[material].radii
    small, large = _peak_frequency(_single(material, low, 1.0)), _peak_frequency(_single(material, high, 1.0))
    assert small / large == pytest.approx(high / low, rel=0.05)
    np.testing.assert_allclose(_single(material, low, 3.0), 3.0 * _single(material, low, 1.0), atol=1e-12)


def test_louder_for_faster_within_and_across_items(items: list[Item]) -> None:
    """Peak level around lone impacts follows speed: rank correlation above 0.8 over all items and materials."""
    from scipy.stats import spearmanr

    speeds, peaks = [], []
    for item in items:
        times = item.truth["impact_times"]
        for k in np.flatnonzero((np.diff(times, prepend=-1.0) > 0.3) & (np.diff(times, append=9.0) > 0.05)):
            start = math.ceil(times[k] * RATE)
            speeds.append(item.truth["impact_speeds"][k])
            peaks.append(np.abs(item.clip.audio[start : start + 400]).max())
    assert spearmanr(speeds, peaks).statistic > 0.8


def test_materials_can_be_told_apart() -> None:
    """Nearest centroid on (log spectral centroid, log decay) names the material of nine voices in ten."""

    def features(material: str, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        audio = _single(material, rng.uniform(*MATERIALS[material].radii), 4.0, seed)
        power = np.abs(np.fft.rfft(audio[int(0.1 * RATE) :])) ** 2
        centroid = (power * np.arange(len(power))).sum() / power.sum()
        energy = np.cumsum(audio**2) / (audio**2).sum()
        return np.log([centroid, np.searchsorted(energy, 0.9) / RATE - 0.1])

    train = {m: np.mean([features(m, s) for s in range(20)], axis=0) for m in MATERIALS}
    hits = [
        min(train, key=lambda name: float(np.linalg.norm(train[name] - features(m, s)))) == m
        for m in MATERIALS
        for s in range(100, 120)
    ]
    assert np.mean(hits) > 0.9


def test_damped_sines_start_between_samples() -> None:
    onset, f, d = 0.0123456, 440.0, 30.0
    audio = np.zeros(4000)
    add_damped_sines(audio, onset, np.array([0.5]), np.array([f]), np.array([d]), RATE)
    t = np.arange(4000) / RATE - onset
    want = np.where(t >= 0, 0.5 * np.exp(-d * np.maximum(t, 0)) * np.sin(2 * np.pi * f * t), 0.0)
    np.testing.assert_allclose(audio, want, atol=1e-9)


def test_an_impact_after_the_last_sample_is_not_heard() -> None:
    audio = np.zeros(100)
    add_damped_sines(audio, 100 / RATE, np.ones(1), np.ones(1), np.ones(1), RATE)
    assert not audio.any()


def test_limiter_leaves_quiet_sound_alone_and_never_clips() -> None:
    x = np.linspace(-5, 5, 1001)
    y = finish(x)
    assert (np.diff(y) >= 0).all()
    assert np.abs(y).max() < 1.0
    quiet = np.abs(x) < KNEE
    np.testing.assert_allclose(y[quiet], x[quiet], atol=5e-5)


def test_heavy_world_differs_only_in_its_parameters() -> None:
    heavy = bounce_heavy()
    assert isinstance(heavy, Bounce)
    assert heavy.format == DATASET.format
    ours: dict[str, Any] = dict(DATASET.spec())
    theirs: dict[str, Any] = dict(heavy.spec())
    assert json.dumps(ours) != json.dumps(theirs)
    assert theirs["world"]["gravity"] > ours["world"]["gravity"]
    assert [p.text for p in heavy.prompts(200, 1)] != [p.text for p in DATASET.prompts(200, 1)]
    item = heavy.real(Request(heavy.prompts(1, 0)[0], 0, 0), "real")
    assert len(item.truth["impact_times"]) >= 2


def test_longer_clips_are_a_dataset_of_their_own_and_the_default_stays() -> None:
    longer: Bounce = make_dataset("bounce?seconds=8&fps=25&size=96")
    (prompt,) = longer.prompts(1, 0)
    item, usual = (data.real(Request(prompt, 0, 0), "real") for data in (longer, DATASET))
    assert item.clip.size() == longer.format.size() == "200x96x96@25+128000@16000"
    assert usual.clip.size() == FORMAT.size()
    assert longer.spec()["format"]["num_frames"] == 200
    assert DATASET.spec()["format"]["num_frames"] == 16
    early = item.truth["impact_times"][item.truth["impact_times"] < DURATION]
    assert early == pytest.approx(usual.truth["impact_times"])  # one scene, watched for longer
    assert len(item.truth["impact_times"]) > len(early)

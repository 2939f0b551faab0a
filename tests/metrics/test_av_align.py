"""AV-Align: formulas by hand, matching against scipy, extractors at their edges, baseline, missing values."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from mmbench.errors import UsageError
from mmbench.metrics.arithmetic import event_matching as em
from mmbench.metrics.av_align import PRESETS, AVAlign
from mmbench.metrics.extractors.onsets import OnsetTimes, first_clear_time, onset_envelope, onset_times
from mmbench.metrics.extractors.optical_flow import FarnebackFlow, flow_peaks, flow_trajectory
from mmbench.registry import make_metric
from mmbench.statistics.excess import estimate_excess
from mmbench.types import Clip, Features
from tests.reference.event_matching import eq37_set_union

FPS = 8.0
times = st.lists(st.floats(0, 2).map(lambda t: round(t, 3)), max_size=12).map(lambda x: np.array(x, np.float64))


def texture(num_frames: int, shifts: dict[int, int] | None = None, size: int = 64) -> np.ndarray:
    """(num_frames, size, size, 3) uint8: a smooth pattern that jumps to the right by shifts[i] pixels at frame i."""
    offset = np.cumsum([(shifts or {}).get(i, 0) for i in range(num_frames)])
    y, x = np.mgrid[:size, :size]
    frames = [127 + 60 * np.sin((x - o) / 5) + 60 * np.cos(y / 7 + (x - o) / 11) for o in offset]
    return np.repeat(np.array(frames).astype(np.uint8)[..., None], 3, axis=-1)


def clicks(at: list[float], seconds: float = 2.0, rate: int = 16000) -> np.ndarray:
    """(S,) float32: silence with decaying noise bursts at the given times [s]."""
    audio = np.zeros(int(seconds * rate), np.float32)
    burst = np.random.default_rng(0).standard_normal(800) * np.exp(-np.arange(800) / 150) * 0.3
    for t in at:
        start = int(t * rate)
        audio[start : start + 800] += burst[: len(audio) - start].astype(np.float32)
    return audio


def row(peaks: list[int], onsets: list[float], fps: float = FPS) -> tuple[Features, Features]:
    """Features of one sample whose flow peaks at the given frames."""
    flow = np.full(16, 0.2)
    flow[peaks] = 1.0
    return {"flow": flow, "fps": np.array(fps)}, {"onsets": np.array(onsets, np.float64)}


def score(metric: AVAlign, rows: list[tuple[Features | None, Features | None]], seed: int = 0):
    return metric.score({metric.video.name: [r[0] for r in rows], metric.audio.name: [r[1] for r in rows]}, None, seed)


def random_rows(n: int) -> list[tuple[Features, Features]]:
    rng = np.random.default_rng(n)
    return [
        row(list(rng.choice(np.arange(2, 15, 2), 3, replace=False)), list(np.sort(rng.uniform(0.2, 1.9, 4))))
        for _ in range(n)
    ]


def test_one_peak_and_three_onsets_score_3_in_v1_but_at_most_1_elsewhere() -> None:
    onsets, peaks = np.array([0.403, 0.5, 0.597]), np.array([0.5])
    assert em.tempotokens_v1(onsets, peaks, FPS) == 3.0
    assert em.tempotokens_v2(onsets, peaks, FPS) == em.matched(onsets, peaks, FPS) == 1 / 3
    assert em.max_matching(onsets, peaks, FPS) == 1
    assert em.sony_pr(onsets, peaks, FPS) == em.eq37_iou(onsets, peaks, FPS) == 1.0


def test_greedy_order_loses_a_pair_that_the_largest_matching_finds() -> None:
    onsets, peaks = np.array([0.48, 0.3]), np.array([0.4, 0.55])  # the first onset takes the only peak of the second
    assert em.tempotokens_v2(onsets, peaks, FPS) == 1 / 3
    assert em.matched(onsets, peaks, FPS) == 1.0


def test_synchrony_on_unlike_grids_is_1_or_a_half_by_the_reading_of_eq37() -> None:
    onsets, peaks = np.array([0.31, 0.82]), np.array([0.3, 0.8])
    assert em.eq37_iou(onsets, peaks, FPS) == 1.0
    assert eq37_set_union(onsets, peaks, FPS) == 0.5
    assert eq37_set_union(peaks, peaks, FPS) == 1.0


def test_window_is_open_and_rounded_as_written() -> None:
    assert em.max_matching(np.array([0.625]), np.array([0.5]), FPS) == 0
    assert em.max_matching(np.array([0.6249999]), np.array([0.5]), FPS) == 1
    assert abs(0.8 - 0.9) < 1 / 10  # the window in its other form takes in what this one leaves out
    assert not em.near(np.array([0.8]), np.array([0.9]), 10.0).any()
    assert em.max_matching(np.array([0.8]), np.array([0.9]), 10.0) == 0


@pytest.mark.parametrize("formula", [em.tempotokens_v1, em.tempotokens_v2, em.eq37_iou, eq37_set_union, em.matched])
def test_nothing_on_both_sides_is_undefined_and_on_one_side_is_0(formula) -> None:
    some, none = np.array([0.5, 1.0]), np.empty(0)
    assert math.isnan(formula(none, none, FPS))
    assert formula(some, none, FPS) == formula(none, some, FPS) == 0.0


def test_sony_pr_is_0_wherever_undefined() -> None:
    some, none = np.array([0.5]), np.empty(0)
    assert em.sony_pr(none, none, FPS) == em.sony_pr(some, none, FPS) == em.sony_pr(none, some, FPS) == 0.0


@given(times, times, st.sampled_from([8.0, 10.0, 24.0]))
def test_two_pointers_find_the_largest_matching(onsets: np.ndarray, peaks: np.ndarray, fps: float) -> None:
    graph = csr_array(em.near(onsets, peaks, fps).reshape(len(onsets), len(peaks)))
    largest = int((maximum_bipartite_matching(graph) >= 0).sum()) if len(onsets) and len(peaks) else 0
    assert em.max_matching(onsets, peaks, fps) == largest


@given(times, times, st.randoms(use_true_random=False))
def test_bounds_order_and_inequalities(onsets: np.ndarray, peaks: np.ndarray, random) -> None:
    if not len(onsets) + len(peaks):
        return
    value, v2 = em.matched(onsets, peaks, FPS), em.tempotokens_v2(onsets, peaks, FPS)
    assert 0 <= v2 <= value <= 1, "greedy never beats the largest matching"
    assert value <= em.tempotokens_v1(onsets, peaks, FPS)
    assert 0 <= em.eq37_iou(onsets, peaks, FPS) <= 1
    assert 0 <= em.sony_pr(onsets, peaks, FPS) <= 1
    shuffled = random.sample(list(onsets), len(onsets)), random.sample(list(peaks), len(peaks))
    assert em.matched(*map(np.array, shuffled), FPS) == value


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        ([], []),
        ([1.0], []),
        ([1.0, 2.0], []),
        ([0.1, 0.5, 0.5, 0.1], []),  # a plateau has no strict maximum
        ([0.9, 0.9, 0.2, 0.3, 0.1], [3]),  # the repeated first value is never one
        ([0.1, 0.2, 0.9], []),
        ([0.2, 0.9, 0.2, 0.09, 0.0], [1]),
    ],
)
def test_flow_peaks(flow: list[float], expected: list[int]) -> None:
    assert flow_peaks(np.array(flow), FPS).tolist() == [i / FPS for i in expected]


def test_flow_threshold_takes_in_its_own_value() -> None:
    assert len(flow_peaks(np.array([0.05, 0.1, 0.05]), FPS, 0.1)) == 1
    assert len(flow_peaks(np.array([0.05, 0.0999, 0.05]), FPS, 0.1)) == 0


def test_flow_equals_that_of_all_pairs_in_bgr() -> None:
    import cv2

    video = np.random.default_rng(0).integers(0, 256, (4, 48, 40, 3), dtype=np.uint8)
    grey = [cv2.cvtColor(cv2.cvtColor(f, cv2.COLOR_RGB2BGR), cv2.COLOR_BGR2GRAY) for f in video]
    expected = []
    for i in (1, 1, 2, 3):
        field = cv2.calcOpticalFlowFarneback(grey[i - 1], grey[i], None, 0.5, 3, 15, 3, 5, 1.2, 0)
        expected.append(np.hypot(field[..., 0].astype(float), field[..., 1]).mean())
    before = cv2.getNumThreads()
    np.testing.assert_allclose(flow_trajectory(video), expected, rtol=1e-5)
    assert cv2.getNumThreads() == before


def test_flow_peaks_where_the_picture_jumps() -> None:
    video = texture(16, {4: 3, 9: 3, 13: 3})
    assert flow_peaks(flow_trajectory(video), FPS).tolist() == [4 / FPS, 9 / FPS, 13 / FPS]


def test_static_video_has_constant_flow_and_no_peaks() -> None:
    flow = flow_trajectory(texture(16, size=96))
    assert flow.min() == flow.max() > 0
    assert flow_peaks(flow, FPS).size == 0


def test_flow_is_the_same_to_the_bit_wherever_memory_lies() -> None:
    video = np.random.default_rng(0).integers(0, 256, (12, 48, 48, 3), dtype=np.uint8)
    found, held = set(), []
    for k in range(8):
        held.append([np.empty(16 * n + 1000 * k, np.uint8) for n in range(9)])
        found.add(flow_trajectory(video).tobytes())
    assert len(found) == 1


@pytest.mark.parametrize("num_frames", [0, 1, 2])
def test_few_frames_have_a_defined_flow(num_frames: int) -> None:
    clip = Clip(texture(16, {1: 2})[:num_frames], Fraction(8), clicks([]), 16000)
    features = FarnebackFlow().extract([clip])[0]
    assert features["flow"].shape == ((2,) if num_frames == 2 else (0,))
    assert features["flow"].dtype == features["fps"].dtype == np.float64
    assert features["fps"] == 8.0


@pytest.mark.parametrize("rate", [16000, 22050])
@pytest.mark.parametrize("num_samples", [0, 1, 5, 700, 1536])
def test_short_audio_is_defined_at_every_rate(rate: int, num_samples: int, recwarn: pytest.WarningsRecorder) -> None:
    clip = Clip(texture(2), 8.0, np.zeros(num_samples, np.float32), 16000)
    assert OnsetTimes(rate, 512).extract([clip])[0]["onsets"].shape == (0,)
    assert not recwarn.list


def test_onsets_lie_near_clicks_and_silence_has_none() -> None:
    truth = [0.3, 0.72, 1.1, 1.6]
    for setting in (OnsetTimes(22050, 512), OnsetTimes(16000, 1536)):
        clip = Clip(texture(2), 8.0, clicks(truth), 16000)
        found = setting.extract([clip])[0]["onsets"]
        assert found.dtype == np.float64
        assert np.abs(found[:, None] - np.array(truth)).min(axis=1).max() < 0.1, "no onset without a click"
        assert np.abs(found[:, None] - np.array(truth)).min(axis=0).max() < 0.1, "no click without an onset"
    assert onset_times(clicks([]), 16000, 22050, 512).size == 0


def test_audio_is_analysed_as_its_16_bit_file_holds_it() -> None:
    quiet = clicks([0.5]) * 1e-5  # below half a step of 16 bits
    clip = Clip(texture(2), 8.0, quiet, 16000)
    assert onset_times(quiet, 16000, 16000, 1536).size > 0
    assert OnsetTimes().extract([clip])[0]["onsets"].size == 0


@pytest.mark.parametrize(("rate", "hop"), [(16000, 1536), (16000, 512), (22050, 512)])
def test_envelope_of_steady_sound_rises_only_before_the_first_clear_time(rate: int, hop: int) -> None:
    clear = first_clear_time(rate, hop)
    period = np.random.default_rng(0).standard_normal(64)  # divides every hop: whole frames are all alike
    sound = np.tile(0.1 * period, 2 * rate // 64).astype(np.float32)
    envelope = onset_envelope(sound, rate, rate, hop)
    times = np.arange(len(envelope)) * hop / rate
    whole = times < (len(sound) - 1024) / rate  # the end is padded too
    assert envelope[times < clear].max() > 0.5
    assert envelope[round(clear * rate / hop) - 1] > 0, "no earlier time would be clear"
    assert envelope[(times >= clear) & whole].max() < 1e-4


def test_matched_leaves_the_onset_of_a_clip_that_begins_with_sound_out() -> None:
    noise = (np.random.default_rng(0).standard_normal(32000) * 0.1).astype(np.float32)
    found = OnsetTimes(16000, 1536).extract([Clip(texture(2), 8.0, noise, 16000)])[0]["onsets"]
    assert found[0] == 0.096
    rows = [row([4], [0.096, 0.5])]
    assert score(AVAlign("matched"), rows).value == 1.0
    assert score(AVAlign("mmdisco_96ms"), rows).value == 0.5
    assert math.isnan(score(AVAlign("matched"), [row([], [0.096])]).value)
    assert score(AVAlign("matched"), [row([], [0.192])]).value == 0.0


def test_presets_say_what_they_say() -> None:
    assert AVAlign.variants == (
        "mmdisco_96ms", "tempotokens_v1", "tempotokens_v2", "sony_pr", "eq37", "matched",
    )  # fmt: skip
    grids = {name: (p.sample_rate, p.hop_length) for name, p in PRESETS.items()}
    assert {name for name, grid in grids.items() if grid == (16000, 1536)} == {"mmdisco_96ms", "eq37", "matched"}
    assert set(grids.values()) == {(16000, 1536), (22050, 512)}
    assert [name for name, p in PRESETS.items() if p.flow_threshold == 0.1] == ["tempotokens_v2"]
    assert AVAlign("tempotokens_v1").extractors()[1].name == "onsets_sr22050_hop512"
    assert make_metric("av_align").variant == "mmdisco_96ms"
    assert make_metric("av_align.matched").variant == "matched"
    with pytest.raises(UsageError, match="mmdisco_96ms, tempotokens_v1"):
        AVAlign("tempotokens")


def test_v2_asks_peaks_for_a_tenth_of_a_pixel() -> None:
    flow = np.full(16, 0.01)
    flow[4] = 0.09
    rows = [({"flow": flow, "fps": np.array(FPS)}, {"onsets": np.array([0.5])})]
    assert score(AVAlign("tempotokens_v2"), rows).value == 0.0
    assert score(AVAlign("tempotokens_v1"), rows).value == 1.0


def test_missing_unscored_and_zero_are_told_apart() -> None:
    one_frame = ({"flow": np.empty(0), "fps": np.array(FPS)}, {"onsets": np.array([0.5])})
    rows = [row([4], [0.5]), row([], []), (None, None), row([4], []), one_frame, row([4, 8], [0.5])]
    result = score(AVAlign(), rows)
    np.testing.assert_array_equal(result.per_sample, [1.0, np.nan, np.nan, 0.0, np.nan, 0.5])
    assert (result.num_scored, result.num_unscored) == (3, 2)
    assert result.value == 0.5
    assert result.stderr == pytest.approx(0.5 / math.sqrt(3))
    assert result.details["mean_onsets"] == pytest.approx(2 / 3)
    assert result.details["mean_peaks"] == pytest.approx(4 / 3)


def test_nothing_to_score_gives_no_number() -> None:
    for rows in ([], [(None, None)], [row([], [])]):
        result = score(AVAlign(), rows)
        assert math.isnan(result.value)
        assert (result.stderr, result.baseline, result.num_scored) == (None, None, 0)
    single = score(AVAlign(), [row([4], [0.5])])
    assert (single.value, single.stderr, single.baseline) == (1.0, None, None)


def test_clips_above_1_are_counted() -> None:
    rows = [row([4], [0.403, 0.5, 0.597]), row([4], [0.5])]
    result = score(AVAlign("mmdisco_96ms"), rows)
    assert result.value == 2.0
    assert result.details["above_1"] == 1
    assert score(AVAlign("matched"), rows).details["above_1"] == 0


def test_each_clip_is_matched_at_its_own_frame_rate() -> None:
    rows = [row([4], [0.6], fps=8.0), row([4], [0.6], fps=24.0)]  # peaks at 1/2 s and 1/6 s
    np.testing.assert_array_equal(score(AVAlign(), rows).per_sample, [1.0, 0.0])


def test_order_of_samples_does_not_change_the_mean() -> None:
    rows = random_rows(20)
    order = np.random.default_rng(1).permutation(20)
    first, second = score(AVAlign(), rows), score(AVAlign(), [rows[i] for i in order])
    assert first.value == pytest.approx(second.value, abs=1e-15)
    np.testing.assert_array_equal(first.per_sample[order], second.per_sample)


def test_baseline_pairs_no_clip_with_itself() -> None:
    rows = [row([2 + 2 * i], [(2 + 2 * i) / FPS]) for i in range(6)]  # each fits its own partner alone
    for seed in range(5):
        result = score(AVAlign("matched"), rows, seed)
        assert (result.value, result.baseline) == (1.0, 0.0)
        assert estimate_excess(result).value == 1.0


def test_baseline_is_given_by_the_seed_and_agrees_with_all_wrong_pairs() -> None:
    rows = random_rows(60)
    metric = AVAlign("matched")
    first, again, other = score(metric, rows, 0), score(metric, rows, 0), score(metric, rows, 1)
    assert (first.baseline, first.baseline_stderr) == (again.baseline, again.baseline_stderr)
    assert first.baseline != other.baseline
    peaks = [flow_peaks(video["flow"], FPS) for video, _ in rows]
    wrong = [em.matched(rows[j][1]["onsets"], peaks[i], FPS) for i in range(60) for j in range(60) if i != j]
    assert first.baseline == pytest.approx(np.mean(wrong), abs=3 * first.baseline_stderr)


def test_unscored_clips_stay_out_of_the_baseline() -> None:
    rows = random_rows(20)
    with_silent = [*rows, row([], []), (None, None)]
    assert score(AVAlign(), with_silent).baseline == score(AVAlign(), rows).baseline


def test_in_sync_beats_its_baseline_end_to_end() -> None:
    rng, clips = np.random.default_rng(3), []
    for _ in range(6):
        frames = [int(i) for i in rng.choice([3, 5, 7, 9, 11, 13], 2, replace=False)]
        video = texture(16, dict.fromkeys(frames, 3))
        clips.append(Clip(video, 8.0, clicks([i / FPS for i in frames]), 16000))
    metric = AVAlign("matched")
    table = {e.name: e.extract(clips) for e in metric.extractors()}
    result = metric.score(table, None, 0)
    assert result.value > 0.9
    assert result.baseline < 0.6


def test_extractors_cross_process_borders_and_differ_by_spec() -> None:
    clip = Clip(texture(4, {2: 3}), 8.0, clicks([0.5]), 16000)
    for extractor in (FarnebackFlow(), OnsetTimes(22050, 512)):
        data = pickle.dumps(extractor)
        assert len(data) < 300
        copy = pickle.loads(data)
        assert (copy.name, copy.spec()) == (extractor.name, extractor.spec())
        for key, value in extractor.extract([clip])[0].items():
            np.testing.assert_array_equal(copy.extract([clip])[0][key], value)
    assert OnsetTimes(16000, 512).spec() != OnsetTimes(16000, 1536).spec()


def test_listing_metrics_imports_nothing_heavy() -> None:
    code = (
        "import sys, mmbench.metrics.av_align; print(*{'cv2', 'librosa', 'scipy', 'torch', 'numba'} & set(sys.modules))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == ""


def test_a_clip_without_a_value_says_whether_it_lacks_frames_or_events() -> None:
    metric = AVAlign("matched")
    frames = np.zeros((4, 8, 8, 3), np.uint8)
    clips = [Clip(frames[:n], Fraction(8), np.zeros(8000, np.float32), 16000) for n in (4, 1)]
    score = metric.score({e.name: e.extract(clips) for e in metric.extractors()}, None, seed=0)
    assert (score.num_scored, score.num_unscored) == (0, 2)
    assert score.reasons == {0: "It has no onset, and no peak of motion.", 1: "A single frame shows no motion."}

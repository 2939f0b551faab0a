"""AV-Align against the official scripts: flow, peaks, onsets and every score, on published and hand-made media."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any

import av
import numpy as np
from safetensors.numpy import load_file

from mmbench.metrics.arithmetic import event_matching as matching
from mmbench.metrics.av_align import AVAlign
from mmbench.metrics.extractors.onsets import OnsetTimes, onset_envelope
from mmbench.metrics.extractors.optical_flow import FarnebackFlow, flow_peaks, flow_trajectory
from mmbench.types import Clip
from tests.conformance.harness import Fixture, runner
from tests.reference.event_matching import eq37_set_union

FLOW = {"rtol": 1e-5, "atol": 1e-6}
EXACT = {"rtol": 0.0, "atol": 1e-9}
PRESETS = {("sr16000_hop1536", "v1"): "mmdisco_96ms", ("sr22050_hop512", "v1"): "tempotokens_v1"}
PRESETS |= {("sr22050_hop512", "v2"): "tempotokens_v2", ("sr22050_hop512", "svg_pr"): "sony_pr"}
PRESETS |= {("sr16000_hop1536", "eq37_iou"): "eq37"}
CLIP_RATE = 10  # frames per second of the published files
SAMPLE_RATE = 16000


def decoded(file: Path) -> np.ndarray:
    """All (T, H, W, 3) uint8 frames of a file."""
    with av.open(str(file)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def scores(onsets: Any, peaks: Any, strong_peaks: Any, fps: float) -> dict[str, float]:
    """Every number the fixtures hold of two lists of times."""
    counts = matching.matched_counts(onsets, peaks, fps)
    return {
        "v1": matching.tempotokens_v1(onsets, peaks, fps),
        "v2": matching.tempotokens_v2(onsets, strong_peaks, fps),
        "svg_pr": matching.sony_pr(onsets, peaks, fps),
        "matched_audio": counts[0],
        "matched_video": counts[1],
        "eq37_set_union": eq37_set_union(onsets, peaks, fps),
        "eq37_iou": matching.eq37_iou(onsets, peaks, fps),
    }


def check_scores(fixture: Fixture, got: Mapping[str, float], want: Mapping[str, Any], name: str) -> None:
    """Equal numbers; what raises or is null there is NaN here."""
    for key in got.keys() & want.keys():
        if want[key] is None or isinstance(want[key], str):
            assert math.isnan(got[key]), f"{name}.{key}: {got[key]}, expected a missing value for {want[key]}"
        else:
            fixture.check_close(got[key], want[key], EXACT, f"{name}.{key}")


def check_onsets(fixture: Fixture, clip: Clip, entry: Mapping[str, Any], name: str) -> dict[str, np.ndarray]:
    """Onset times of every setting, as listed."""
    found = {}
    for setting, want in entry["onsets"].items():
        found[setting] = extractor(setting).extract([clip])[0]["onsets"]
        fixture.check_close(found[setting], np.array(want, dtype=np.float64), EXACT, f"{name}.{setting}.onsets")
    return found


def extractor(setting: str) -> OnsetTimes:
    """The extractor of a setting such as sr16000_hop1536."""
    rate, hop = setting.removeprefix("sr").split("_hop")
    return OnsetTimes(int(rate), int(hop))


def clips_of(fixture: Fixture, entries: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Clip]]:
    """The clip of every entry, cut as the config says; every file is decoded once."""
    parameters = fixture.config["parameters"]
    sounds = load_file(fixture.path / "../audio_16k.safetensors")
    for file, group in groupby(entries, key=lambda entry: entry["file"]):
        frames, sound = decoded(fixture.path / "../../../clips" / file), sounds[file.removesuffix(".mp4")]
        for entry in group:
            k, j = entry["index"], np.arange(16)
            if "timeline" in parameters:
                timeline = 2 * CLIP_RATE * k + np.floor(CLIP_RATE / parameters["fps"] * j).astype(int)
                chosen = 17 * (timeline // 16) + timeline % 16
                samples = sound.reshape(-1)[2 * SAMPLE_RATE * k :][: 2 * SAMPLE_RATE]
            else:
                chosen, samples = 17 * k + j, sound[k]
            audio = samples.astype(np.float32) / np.float32(32768)
            yield entry, Clip(np.ascontiguousarray(frames[chosen]), parameters["fps"], audio, SAMPLE_RATE)


@runner("av_align")
def av_align(fixture: Fixture) -> None:
    """Published clips: pixels, then flow, peaks, onsets, envelopes, scores and their means."""
    entries, parameters = fixture.json("clips.json"), fixture.config["parameters"]
    near_ties = {(stem, index) for stem, index in fixture.config["measured"]["unstable"].get("flow_near_tie", [])}
    with ThreadPoolExecutor(2) as pool:  # OpenCV lets go of the interpreter lock
        jobs = [
            (entry, clip, pool.submit(FarnebackFlow().extract, [clip])) for entry, clip in clips_of(fixture, entries)
        ]
    audio = hashlib.sha256()
    envelopes: dict[str, list[np.ndarray]] = {setting: [] for setting in parameters["settings"]}
    onsets: dict[str, list[dict[str, np.ndarray]]] = {setting: [] for setting in parameters["settings"]}
    for entry, clip, job in jobs:
        stem, fps = entry["file"].removesuffix(".mp4"), float(clip.fps)
        name = f"{stem}[{entry['index']}]"
        assert hashlib.sha256(clip.video.data).hexdigest() == entry["frames_sha256"], f"{name}: other pixels"
        audio.update(clip.audio_int16().tobytes())
        flow = job.result()[0]["flow"]
        fixture.check_close(flow, np.array(entry["flow"]), FLOW, f"{name}.flow")
        if (stem, entry["index"]) in near_ties:
            flow = np.array(entry["flow"])
        peaks, strong = flow_peaks(flow, fps), flow_peaks(flow, fps, 0.1)
        fixture.check_close(peaks, np.array(entry["video_peaks"]), EXACT, f"{name}.video_peaks")
        fixture.check_close(strong, np.array(entry["video_peaks_thr"]), EXACT, f"{name}.video_peaks_thr")
        for setting, found in check_onsets(fixture, clip, entry, name).items():
            check_scores(fixture, scores(found, peaks, strong, fps), entry["scores"][setting], f"{name}.{setting}")
            onsets[setting].append({"onsets": found})
            settings = parameters["settings"][setting].values()
            envelopes[setting].append(onset_envelope(clip.audio, clip.sample_rate, *settings))
    assert audio.hexdigest() == fixture.config["measured"]["audio_sha256"], "other samples"
    for setting, rows in envelopes.items():
        fixture.check(f"onset_envelope.{setting}", np.stack(rows))
    if "flow_64" in fixture.config["outputs"]:
        fixture.check("flow_64", np.stack([flow_trajectory(video) for video in fixture.array("frames_64")]))
    table = [{"flow": np.array(entry["flow"]), "fps": np.array(parameters["fps"])} for entry in entries]
    for (setting, formula), variant in PRESETS.items():
        metric, want = AVAlign(variant), fixture.config["aggregates"][setting][formula]
        score = metric.score({metric.video.name: table, metric.audio.name: onsets[setting]}, None, 0)
        fixture.check_close(score.value, want["mean"], EXACT, f"{variant}.mean")
        assert (score.details["above_1"], score.num_unscored) == (want["above_1"], want["undefined"])


@runner("av_align_edge")
def av_align_edge(fixture: Fixture) -> None:
    """Lists of times, trajectories, and media that break the official scripts."""
    for name, case in fixture.json("lists.json").items():
        onsets, peaks = np.array(case["audio"], np.float64), np.array(case["video"], np.float64)
        check_scores(fixture, scores(onsets, peaks, peaks, case["fps"]), case, name)
    for name, case in fixture.json("trajectories.json").items():
        flow = np.array(case["flow"], np.float64)
        fixture.check_close(flow_peaks(flow, case["fps"]), np.array(case["peaks"]), EXACT, f"{name}.peaks")
        strong = flow_peaks(flow, case["fps"], 0.1)
        fixture.check_close(strong, np.array(case["peaks_thr"]), EXACT, f"{name}.peaks_thr")
    for name, case in fixture.json("media.json").items():
        audio = fixture.array(case["audio"]).astype(np.float32) / np.float32(32768)
        clip = Clip(fixture.array(case["frames"]), case["fps"], audio, SAMPLE_RATE)
        onsets_of = check_onsets(fixture, clip, case, name)
        features = FarnebackFlow().extract([clip])
        if "flow_exception" in case:
            assert features[0]["flow"].size == 0, f"{name}: the official code has no flow here"
            for metric in (AVAlign("mmdisco_96ms"), AVAlign("tempotokens_v2"), AVAlign("sony_pr")):
                sound = metric.audio.extract([clip])
                score = metric.score({metric.video.name: features, metric.audio.name: sound}, None, 0)
                assert (score.num_scored, score.num_unscored) == (0, 1)
            continue
        flow = features[0]["flow"]
        fixture.check_close(flow, np.array(case["flow"]), FLOW, f"{name}.flow")
        peaks, strong = flow_peaks(flow, case["fps"]), flow_peaks(flow, case["fps"], 0.1)
        fixture.check_close(peaks, np.array(case["video_peaks"]), EXACT, f"{name}.video_peaks")
        fixture.check_close(strong, np.array(case["video_peaks_thr"]), EXACT, f"{name}.video_peaks_thr")
        for setting, found in onsets_of.items():
            got = scores(found, peaks, strong, case["fps"])
            check_scores(fixture, got, case["scores"][setting], f"{name}.{setting}")

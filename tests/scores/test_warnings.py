"""Every scored run says what is odd about its clips, in its record and on one line each; no number changes by it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.features.cache import FeatureCache
from mmbench.features.content import Content
from mmbench.features.extract import Sample
from mmbench.media.clip_files import write_preview
from mmbench.media.sources import FileSource
from mmbench.metrics.extractors.anomalies import AudioAnomalies
from mmbench.runs.spec import RunSpec
from mmbench.scores.accounting import Counts
from mmbench.scores.evaluate import Evaluation
from mmbench.scores.records import Record, parse_record, read_samples
from mmbench.scores.warnings import IDS, MEANINGS, compare_lengths, describe, summarize
from mmbench.tables.format import list_warnings
from mmbench.types import Clip
from tests.builders import record
from tests.commands import mmbench_here
from tests.scores.test_evaluate import Bright

RUN = RunSpec("mine", "d", 0, "real", {"steps": 1})
RATE = 16000


@dataclass(frozen=True, eq=False)
class Held:
    """A source that holds its clip, and counts how often it is asked for it."""

    id: str
    clip: Clip
    loads: list[str]
    digest: str = ""

    def load(self) -> Clip:
        self.loads.append(self.id)
        return self.clip


def ordinary(seed: int, seconds: float = 2.0, rate: int = RATE) -> Clip:
    """A clip of noise at 8 fps."""
    rng = np.random.default_rng(seed)
    video = rng.integers(0, 256, (16, 16, 16, 3), dtype=np.uint8)
    return Clip(video, 8.0, (0.1 * rng.standard_normal(round(seconds * rate))).astype(np.float32), rate)


def odd_clips() -> dict[str, tuple[Clip, set[str]]]:
    """Clips by id, each with the warnings that it deserves; ordinary ones among them."""
    from scipy.signal import resample

    a, b = ordinary(0), ordinary(1)
    silence = np.zeros(2 * RATE, np.float32)
    raised = resample(ordinary(6, rate=8000).audio, 2 * RATE).astype(np.float32)
    return {
        "a": (a, set()),
        "b": (b, set()),
        "again": (ordinary(0), {"duplicate"}),
        "its picture": (replace(ordinary(2), video=a.video), {"duplicate_video"}),
        "its sound": (replace(ordinary(3), audio=b.audio), {"duplicate_audio"}),
        "still": (replace(ordinary(4), video=np.repeat(ordinary(4).video[:1], 16, 0)), {"frozen"}),
        "held": (replace(ordinary(5), video=np.repeat(ordinary(5).video[:8], 2, 0)), {"repeated_frames"}),
        "raised": (replace(ordinary(7), audio=raised), {"sample_rate"}),
        "hard": (replace(ordinary(8), audio=np.clip(20 * ordinary(8).audio, -1, 1)), {"clipped"}),
        "quiet": (replace(ordinary(9), audio=silence), {"silent"}),
        "quiet too": (replace(ordinary(10), audio=silence), {"silent"}),
        "deaf": (replace(ordinary(11), audio=silence[:0]), {"no_audio"}),
        "deaf too": (replace(ordinary(12), audio=silence[:0]), {"no_audio"}),
        "short": (ordinary(13, seconds=1.5), {"lengths"}),
    }


def evaluate(folder: Path, samples: Sequence[Sample | None], metric: Any, cache: FeatureCache, **more: Any) -> Record:
    counts = Counts(len(samples), **more)
    (found,) = Evaluation([metric], None, cache, workers=1).score(RUN, samples, counts).save(folder)
    return found.record


def test_each_warning_counts_its_clips_names_them_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips = odd_clips()
    samples = [Sample(Held(name, clip, []), "") for name, (clip, _) in clips.items()]
    found = evaluate(tmp_path, samples, Bright(), FeatureCache(None))
    assert found.warnings is not None
    deserved = {kind: {n for n, (_, kinds) in clips.items() if kind in kinds} for kind in found.warnings}
    assert {kind: set(about["ids"]) for kind, about in found.warnings.items()} == deserved
    assert {kind for _, kinds in clips.values() for kind in kinds} == set(found.warnings)
    assert set(found.warnings) == set(MEANINGS) - {"missing", "unexpected", "format", "unexamined"}
    assert found.warnings["silent"] == {"n": 2, "ids": {"quiet": "", "quiet too": ""}}
    assert found.warnings["duplicate"]["ids"] == {"again": "as a"}
    assert "8 kHz" in found.warnings["sample_rate"]["ids"]["raised"]
    for kind in found.warnings:
        assert sum(f"mine: {kind}, " in message for message in caplog.messages) == 1
    rows = {row["id"]: row.get("warnings", {}) for row in read_samples(tmp_path, found)}
    assert {name: set(said) for name, said in rows.items()} == {name: kinds for name, (_, kinds) in clips.items()}
    assert found.n_scored == len(clips), "a warning takes no clip out of a score"
    told = list_warnings([asdict(found), asdict(found)])
    assert [line.partition(",")[0] for line in told] == [f"n = {len(clips)}: {kind}" for kind in found.warnings]


@pytest.mark.e2e
def test_real_clips_and_samples_of_tiny_raise_no_alarm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systems = ["-s", "ground_truth", "-s", "tiny", "-n", "2", "-m", "av_align"]
    done = mmbench_here(capsys, "run", *systems, "--out", tmp_path, "-f", "json")
    assert done.returncode == 0, done.stderr
    assert [row["record"]["warnings"] for row in json.loads(done.stdout)] == 4 * [{}]
    assert done.stderr == ""


def test_ordinary_clips_have_an_empty_list_of_warnings(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    samples = [Sample(Held(str(i), ordinary(i), []), "") for i in range(3)]
    assert evaluate(tmp_path, [*samples, None], Bright(), FeatureCache(None)).warnings == {}
    assert caplog.messages == []


def test_a_clip_that_could_not_be_looked_at_is_said_and_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: object, batch: object) -> list[Any]:
        raise ValueError("no spectrum")

    monkeypatch.setattr(AudioAnomalies, "extract", fail)
    found = evaluate(tmp_path, [Sample(Held("a", ordinary(0), []), "")], Bright(), FeatureCache(None))
    assert found.warnings == {"unexamined": {"n": 1, "ids": {"a": "ValueError: no spectrum"}}}
    assert found.n_scored == 1


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize("batch_size", [1, 4])
def test_clips_are_read_for_it_no_more_often_than_for_the_metric(tmp_path: Path, known: bool, batch_size: int) -> None:
    metric, loads = Bright(), list[str]()
    metric.networks[0].batch_size = batch_size
    samples = []
    for i in range(3):
        clip = ordinary(i)
        content = Content(clip.video_digest(), clip.audio_digest(), clip.size()) if known else None
        samples.append(Sample(Held(str(i), clip, loads, digest=f"file {i}"), "", content))
    with FeatureCache(tmp_path / "features") as cache:
        first = evaluate(tmp_path, samples, metric, cache)
    assert len(loads) == 3
    with FeatureCache(tmp_path / "features") as cache:
        assert evaluate(tmp_path, samples, metric, cache).warnings == first.warnings
    assert len(loads) == 3, "what was found is kept as features are"


def test_sound_counts_as_the_file_had_it_before_it_was_fitted(tmp_path: Path) -> None:
    def content(frames: int, fps: str, samples: int, fitted: str = "", codecs: str = "") -> Content:
        return Content("v", "a", f"{frames}x64x64@{fps}+{samples}@{RATE}", codecs, fitted)

    assert compare_lengths(content(16, "8", 30001)) == "", "within a frame of the picture"
    assert compare_lengths(content(16, "8", 29999)) == "2 s of picture, 1.87 s of sound"
    assert compare_lengths(content(48, "24", 32000, "1900", "h264+aac, lossy")) == "", "a codec's frame more"
    assert compare_lengths(content(60, "30", 32000 - 3000, "", "h264+aac, lossy")) != ""
    assert compare_lengths(content(60, "30", 32000, "1900", "ffv1+flac")) == "2 s of picture, 1.88 s of sound"
    write_preview(ordinary(0), tmp_path / "lossy.mp4")
    source = FileSource("lossy", str(tmp_path / "lossy.mp4"))
    assert source.load().notes["fitted"] != 0
    found = evaluate(tmp_path, [Sample(source, "")], Bright(), FeatureCache(None))
    assert found.warnings == {}, "a lossy codec's padding is nothing odd"


def test_opus_declares_48_khz_whatever_it_holds(tmp_path: Path) -> None:
    from scipy.signal import resample

    sound = resample(ordinary(0).audio, 96000).astype(np.float32)
    for codec, odd in (("opus", set()), ("flac", {"sample_rate"})):
        notes = {"video": {"codec": "ffv1"}, "audio": {"codec": codec}}
        clip = Clip(ordinary(0).video, Fraction(8), sound, 48000, notes)
        found = evaluate(tmp_path, [Sample(Held(codec, clip, []), "")], Bright(), FeatureCache(None))
        assert set(found.warnings or {}) == odd


def test_clips_of_another_form_than_requested_are_said_and_scored(tmp_path: Path) -> None:
    samples = [Sample(Held(str(i), ordinary(i), []), "", requested="16x16x16@8+32000@16000") for i in range(2)]
    samples[1] = replace(samples[1], requested="24x16x16@12+32000@16000")
    found = evaluate(tmp_path, samples, Bright(), FeatureCache(None), warned={"missing": {"2.mp4": ""}})
    assert found.warnings is not None
    assert list(found.warnings) == ["missing", "format"]
    assert list(found.warnings["format"]["ids"]) == ["1"]
    nearly = [replace(samples[0], requested="16x16x16@8+31998@16000")]
    assert evaluate(tmp_path, nearly, Bright(), FeatureCache(None)).warnings == {}
    other = [replace(samples[0], requested="16x16x16@7.992+32000@16000")]
    assert list(evaluate(tmp_path, other, Bright(), FeatureCache(None)).warnings or {}) == ["format"]
    assert "at 8 fps" in found.warnings["format"]["ids"]["1"]
    assert "requested: 2 s of 16x16 at 12 fps" in found.warnings["format"]["ids"]["1"]
    assert found.n_scored == 2


def test_a_record_names_some_and_counts_all() -> None:
    summary = summarize({"silent": {f"{i:06d}": "" for i in range(2000)}})
    assert (summary["silent"]["n"], len(summary["silent"]["ids"])) == (2000, IDS)
    assert describe(summary) == [
        "silent, 2000 clips: no sample of the sound is above -60 dBFS (000000; 000001; 000002 and 1997 more)"
    ]
    assert describe(summarize({"frozen": {"a": ""}})) == ["frozen, 1 clip: the picture never changes (a)"]


def test_records_from_before_it_read_as_they_did() -> None:
    line = {k: v for k, v in asdict(record()).items() if k != "warnings"}
    assert parse_record(line).warnings is None, "not looked at, which is not the same as nothing found"
    assert list_warnings([line]) == list_warnings([{**line, "warnings": {}}]) == []

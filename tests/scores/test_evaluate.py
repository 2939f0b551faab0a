"""From samples to records: nothing that was asked for vanishes, and a number is as real as its least real network."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.scores.accounting import UNDEFINED, Counts, compare_formats
from mmbench.scores.evaluate import Evaluation, signature, stored_samples
from mmbench.scores.records import Record, read_records, read_samples, read_score
from mmbench.types import Clip, ClipSource, FeatureTable, Request, Score
from tests.builders import MadeSource, Mean, clip
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

RUN = RunSpec("s", "d", 0, "real", {"steps": 1})


class Bright:
    """Mean brightness of each clip; with `needs_reference`, how far their mean is from that of the real ones."""

    name, variant, version, higher_is_better = "bright", "plain", 1, True

    def __init__(self, *weights: str, needs_reference: bool = False) -> None:
        self.needs_reference = needs_reference
        self.networks = [Mean("video", batch_size=4) for _ in weights or ("none",)]
        for i, (network, kind) in enumerate(zip(self.networks, weights or ("none",), strict=True)):
            network.name, network.weights = f"network_{i}", kind

    def extractors(self) -> list[Mean]:
        return self.networks

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        rows = features["network_0"]
        values = np.array([np.nan if row is None else float(row["mean"]) for row in rows])
        count = int(np.sum(~np.isnan(values)))
        if reference is None:
            return Score(float(np.nanmean(values)), 0.5, count, per_sample=values, low=-0.25, high=np.inf)
        real = np.mean([float(row["mean"]) for row in reference["network_0"] if row is not None])
        return Score(float(np.nanmean(values) - real), 0.5, count, replicates=np.linspace(0.0, 1.0, 5))


def scored(
    folder: Path,
    sources: Sequence[ClipSource | None],
    metric: Any,
    counts: Counts | None = None,
    dataset: Any = None,
) -> Record:
    """The record of clips under one metric; the only place that knows how an `Evaluation` is called."""
    samples = [s and Sample(s, f"text {i}") for i, s in enumerate(sources)]
    counts = counts or Counts(len(samples))
    (found,) = Evaluation([metric], dataset, FeatureCache(None), workers=1).score(RUN, samples, counts).save(folder)
    return found.record


def test_every_sample_asked_for_is_accounted_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = [MadeSource(0), MadeSource(1, broken=True), None, MadeSource(3), None]
    counts = Counts(5, {4: ("000004", "NaN in the audio")}, nonfinite=1)
    record = scored(tmp_path, sources, Bright(), counts)
    assert (record.n_expected, record.n_present, record.n_scored, record.n_unscored) == (5, 2, 2, 0)
    assert record.n_failed == 2, "a recorded failure, and a clip that cannot be decoded"
    assert (record.n_missing, record.n_nonfinite) == (1, 1)
    assert "made-1 cannot be read" in caplog.text
    rows = read_samples(tmp_path, record)
    assert [row.get("id") for row in rows] == ["made-0", "made-1", None, "made-3", "000004"]
    assert [row.get("text") for row in rows] == ["text 0", "text 1", None, "text 3", None]
    assert [row.get("missing", False) for row in rows] == [False, False, True, False, True]
    assert rows[4]["failed"] == "NaN in the audio"
    assert rows[1]["unreadable"] == "made-1 is truncated."


class Muted(Bright):
    """Brightness of clips, of which the second has no sound and so no feature, and the third no defined value."""

    def __init__(self, reasons: dict[int, str] | None = None) -> None:
        super().__init__()
        self.reasons = reasons or {}
        network = self.networks[0]
        extract = network.extract

        def deaf(batch: Any) -> Any:
            if any(c.video.mean() == clip(1).video.mean() for c in batch):
                raise MMBenchError("The clip has no audio.")
            return extract(batch)

        network.extract = deaf  # type: ignore[method-assign]

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        found = super().score(features, reference, seed)
        assert found.per_sample is not None
        found.per_sample[2] = np.nan
        return replace(found, num_scored=int(np.sum(~np.isnan(found.per_sample))), reasons=self.reasons)


def test_a_clip_without_a_value_is_unscored_with_its_reason_and_not_failed(tmp_path: Path) -> None:
    record = scored(tmp_path, [MadeSource(i) for i in range(4)], Muted())
    counts = record.n_expected, record.n_scored, record.n_unscored, record.n_failed, record.n_missing
    assert counts == (4, 2, 2, 0, 0)
    assert record.unscored == {"The clip has no audio.": 1, UNDEFINED: 1}
    rows = read_samples(tmp_path, record)
    assert [row.get("unscored") for row in rows] == [None, "The clip has no audio.", UNDEFINED, None]


def test_a_metric_says_why_a_sample_has_no_value(tmp_path: Path) -> None:
    dark, unasked = "It is too dark.", "of a sample that has a value"
    record = scored(tmp_path, [MadeSource(i) for i in range(4)], Muted({2: dark, 0: unasked}))
    assert record.unscored == {"The clip has no audio.": 1, dark: 1}
    assert [row.get("unscored") for row in read_samples(tmp_path, record)] == [
        None,
        "The clip has no audio.",
        dark,
        None,
    ]


def test_a_metric_that_counts_wrongly_writes_no_record(tmp_path: Path) -> None:
    class Boasting(Bright):
        def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
            return replace(super().score(features, reference, seed), num_scored=7)

    with pytest.raises(IntegrityError, match="scored 7 samples, and 2 have a value"):
        scored(tmp_path, [MadeSource(0), MadeSource(1)], Boasting())
    assert not (tmp_path / "records.jsonl").exists()


class Told(Bright):
    """Length of the prompt's feature: a metric of text."""

    def __init__(self) -> None:
        super().__init__()
        self.networks = [Mean("text", batch_size=4)]
        self.networks[0].name, self.networks[0].weights = "network_0", "none"
        self.asked: list[str] = []

        def extract(batch: Any) -> Any:
            self.asked += batch
            return [{"mean": np.array(float(len(text)))} for text in batch]

        self.networks[0].extract = extract  # type: ignore[method-assign]


@pytest.mark.parametrize("texts", [["one", "", "three"], ["", " ", ""]])
def test_clips_without_a_prompt_are_compared_with_no_text(
    texts: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    samples = [Sample(MadeSource(i), text) for i, text in enumerate(texts)]
    metric, cache = Told(), FeatureCache(None)
    for _ in range(2):  # the second time from the cache
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Mean of empty slice")
            (found,) = Evaluation([metric], None, cache, workers=1).score(RUN, samples, Counts(3)).save(tmp_path)
        with_text = [text for text in texts if text.strip()]
        assert metric.asked == with_text
        assert found.record.n_scored == len(with_text)
        assert found.record.unscored == {"no prompt": 3 - len(with_text)}
    assert ("prompts.csv" in caplog.text) == (not with_text)


def test_real_clips_of_another_length_or_rate_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert compare_formats(["16x64x64@8+32000@16000"], ["16x64x64@8+32000@16000"]) == {}
    (words,) = compare_formats(["16x64x64@8+32000@16000"], ["100x64x64@25+88200@22050"]).values()
    assert words == (
        "real clips are 2 s of 64x64 at 8 fps, sound of 2 s at 16 kHz; "
        "evaluated ones 4 s of 64x64 at 25 fps, sound of 4 s at 22.05 kHz"
    )
    record = scored(tmp_path, [MadeSource(0), MadeSource(1)], Bright(needs_reference=True), dataset=FixtureDataset())
    assert record.reference is not None
    assert record.reference["formats"] == [FixtureDataset().reference(1, 0)[0].clip.size()]
    assert record.reference["differs"] in caplog.text


def test_values_belong_to_their_samples_and_are_read_back(tmp_path: Path) -> None:
    record = scored(tmp_path, [MadeSource(0), None, MadeSource(2)], Bright())
    want = [clip(0).video.mean(dtype=np.float64), np.nan, clip(2).video.mean(dtype=np.float64)]
    assert record.value == pytest.approx(np.nanmean(want))
    assert read_records(tmp_path) == [record]
    found = read_score(tmp_path, record)
    assert found.per_sample is not None
    assert found.per_sample.tolist() == pytest.approx(want, nan_ok=True)
    assert (record.stderr, record.low, record.high) == (0.5, -0.25, None), "as the metric says; JSON has no infinity"
    assert (record.run_id, record.digest, record.weights) == (RUN.run_id, RUN.digest, "real")


@pytest.mark.parametrize(
    ("weights", "least"),
    [
        (("real",), "real"),
        (("none",), "none"),
        (("real", "none"), "real"),
        (("real", "trained"), "trained"),
        (("trained", "tiny"), "tiny"),
        (("tiny", "random"), "random"),
        (("real", "random"), "random"),
        (("real", "trained", "tiny", "random", "none"), "random"),
    ],
)
@pytest.mark.parametrize("order", [1, -1])
def test_a_number_is_as_real_as_its_least_real_network(
    weights: tuple[str, ...], least: str, order: int, tmp_path: Path
) -> None:
    assert scored(tmp_path, [MadeSource(0)], Bright(*weights[::order])).extractor_weights == least


def test_real_clips_are_given_to_metrics_that_compare_with_them(tmp_path: Path) -> None:
    dataset = FixtureDataset()
    record = scored(tmp_path, [MadeSource(0), MadeSource(1)], Bright(needs_reference=True), dataset=dataset)
    made = np.mean([clip(i).video.mean(dtype=np.float64) for i in range(2)])
    real = np.mean([item.clip.video.mean(dtype=np.float64) for item in dataset.reference(2, RUN.seed)])
    assert record.value == pytest.approx(made - real)
    assert record.reference is not None
    assert (record.reference["dataset"], record.reference["n"]) == ("fixture_dataset", 2)
    found = read_score(tmp_path, record)
    assert found.replicates is not None
    assert found.replicates.tolist() == np.linspace(0.0, 1.0, 5).tolist()
    alone = scored(tmp_path, [MadeSource(0)], Bright(), dataset=dataset)
    assert alone.reference is None, "it compared with nothing"


def test_real_clips_without_features_are_said_and_not_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metric, dataset = Bright(needs_reference=True), FixtureDataset()
    metric.networks[0].refused = dataset.reference(3, RUN.seed)[1].clip.digest()
    record = scored(tmp_path, [MadeSource(i) for i in range(3)], metric, dataset=dataset)
    assert record.reference is not None
    assert record.reference["n"] == 2
    assert "1 real clips have no network_0: ValueError: a clip it cannot take" in caplog.text


def test_a_lossy_clip_makes_a_lossy_record(tmp_path: Path) -> None:
    class Lossy(MadeSource):
        def load(self) -> Clip:
            notes = {"video": {"codec": "ffv1", "lossy": False}, "audio": {"codec": "aac", "lossy": True}}
            return replace(super().load(), notes=notes)

    assert scored(tmp_path, [MadeSource(0), Lossy(1)], Bright()).lossy
    assert not scored(tmp_path, [MadeSource(0), MadeSource(1)], Bright()).lossy


def test_nothing_to_score_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MMBenchError, match="no clips to score"):
        scored(tmp_path, [None, None], Bright())
    assert not list(tmp_path.iterdir())


def test_a_signature_changes_with_all_that_changes_a_number() -> None:
    base = signature(Bright(), ["3x8x8"])
    assert base.startswith("bright|plain|extractors:network_0-")
    assert base.endswith("|size:3x8x8|version:1")
    other = Bright()
    other.networks[0].version = 2
    versions = Bright()
    versions.version = 2  # type: ignore[misc]
    others = [signature(other, ["3x8x8"]), signature(versions, ["3x8x8"]), signature(Bright(), ["3x9x9"])]
    assert len({base, *others, signature(Bright("none", "none"), ["3x8x8"])}) == 5
    assert "size:4 sizes-" in signature(Bright(), ["a", "b", "c", "d"])
    assert signature(Bright(), ["a", "b", "c", "d"]) != signature(Bright(), ["a", "b", "c", "e"]), (
        "as many are not the same"
    )


def test_stored_samples_are_those_of_the_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURE_FAULTS", "1:nan,2:crash")
    store = SampleStore.create(tmp_path, RUN)
    requests: list[Request] = make_requests(FixtureDataset(), 4, 0)
    generate(store, FixtureSystem(), requests)
    samples, counts = stored_samples(store, 6)
    assert (counts.expected, counts.nonfinite) == (6, 1)
    assert {i: name for i, (name, _) in counts.failures.items()} == {1: "000001", 2: "000002"}
    assert "exploded" in counts.failures[2][1]
    assert [s is not None for s in samples] == [True, False, False, True, False, False]
    assert samples[3] is not None
    assert samples[3].text == requests[3].prompt.text
    record = json.loads((store.samples / "000003.json").read_text())
    assert samples[3].source.load().digest() == record["digest"]
    known: Mapping[str, Any] = vars(samples[3].content)
    assert record["video_digest"] in known.values(), "known without decoding"
    longer, _ = stored_samples(store, 1)
    assert len(longer) == 1


def test_extractors_of_one_name_that_differ_are_not_taken_for_each_other() -> None:
    first, second = Bright(), Bright()
    known = Evaluation([first, second], None, FeatureCache(None)).extractors
    assert set(known) == {first.networks[0].name, "video_anomalies", "audio_anomalies"}
    second.networks[0].version = 2
    with pytest.raises(UsageError, match="extractors called network_0 that differ"):
        Evaluation([first, second], None, FeatureCache(None))

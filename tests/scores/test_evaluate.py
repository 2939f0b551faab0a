"""From samples to records: nothing that was asked for vanishes, and a number is as real as its least real network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.scores.evaluate import Counts, Evaluation, signature, stored_samples
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
    (found,) = Evaluation([metric], dataset, FeatureCache(None), workers=1).score(folder, RUN, samples, counts)
    return found.record


def test_every_sample_asked_for_is_accounted_for(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    sources = [MadeSource(0), MadeSource(1, broken=True), None, MadeSource(3), None]
    record = scored(tmp_path, sources, Bright(), Counts(5, failed=1, nonfinite=1))
    assert (record.n_expected, record.n_present, record.n_scored) == (5, 2, 2)
    assert record.n_failed == 2, "a recorded failure, and a clip that cannot be decoded"
    assert record.n_nonfinite == 1
    assert "made-1 cannot be read" in caplog.text
    rows = read_samples(tmp_path, record)
    assert [row.get("unreadable", row.get("missing", False)) for row in rows] == [False, True, True, False, True]
    assert [row.get("id") for row in rows] == ["made-0", "made-1", None, "made-3", None]
    assert [row.get("text") for row in rows] == ["text 0", "text 1", None, "text 3", None]


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
    assert record.reference == {"dataset": "fixture_dataset", "n": 2}
    found = read_score(tmp_path, record)
    assert found.replicates is not None
    assert found.replicates.tolist() == np.linspace(0.0, 1.0, 5).tolist()
    alone = scored(tmp_path, [MadeSource(0)], Bright(), dataset=dataset)
    assert alone.reference is None, "it compared with nothing"


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
    assert "size:4 sizes" in signature(Bright(), ["a", "b", "c", "d"])


def test_stored_samples_are_those_of_the_run_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIXTURE_FAULTS", "1:nan,2:crash")
    store = SampleStore.create(tmp_path, RUN)
    requests: list[Request] = make_requests(FixtureDataset(), 4, 0)
    generate(store, FixtureSystem(), requests)
    samples, counts = stored_samples(store, 6)
    assert counts == Counts(6, failed=2, nonfinite=1)
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
    assert len(Evaluation([first, second], None, FeatureCache(None)).extractors) == 1
    second.networks[0].version = 2
    with pytest.raises(UsageError, match="extractors called network_0 that differ"):
        Evaluation([first, second], None, FeatureCache(None))

"""Which real clip a sample is compared with: that of its request, of its name or prompt, or none, with the reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mmbench as mm
from mmbench.baselines.ground_truth import GroundTruth
from mmbench.datasets.bounce import bounce
from mmbench.datasets.folder import Folder
from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Extraction, Sample
from mmbench.features.reference import export, read_reference
from mmbench.media.clip_files import write_lossless
from mmbench.registry import make_metric
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.scores.accounting import Counts
from mmbench.scores.evaluate import Evaluation
from mmbench.scores.partners import ALONE, Partners, find_partners
from mmbench.scores.records import Record
from mmbench.statistics.estimates import mean_score
from mmbench.types import Clip, Features, FeatureTable, Score
from tests.builders import Mean, clip

MADE = RunSpec("s", "bounce", 0, "real", {"system": "s"})
GIVEN = RunSpec("s", "d", 0, "real", {"submission": "0"})


class Gap:
    """By how much the mean of a sound is off that of its real clip."""

    name, variant, version, higher_is_better, needs_reference = "gap", "plain", 1, False, True
    in_pairs = True

    def __init__(self) -> None:
        self.extractor = Mean("audio")

    def extractors(self) -> list[Mean]:
        return [self.extractor]

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        assert reference is not None
        name = self.extractor.name
        pairs = zip(features[name], reference[name], strict=True)
        return mean_score(np.array([a["mean"] - b["mean"] if a and b else np.nan for a, b in pairs]))


class Held:
    """A clip in memory as a source."""

    digest = ""

    def __init__(self, id: str, clip: Clip) -> None:
        self.id, self.clip = id, clip

    def load(self) -> Clip:
        return self.clip


def held(ids: Sequence[str], texts: Sequence[str] = (), seed: int = 10) -> list[Sample | None]:
    return [Sample(Held(name, clip(seed + i)), (texts or [""] * len(ids))[i]) for i, name in enumerate(ids)]


def record(samples: list[Sample | None], run: RunSpec, real: Any) -> tuple[Record, Score]:
    found = Evaluation([Gap()], real, FeatureCache(None), workers=1).score(run, samples, Counts(len(samples)))
    return found.records[0], found.scores[0]


@pytest.fixture
def real_folder(tmp_path: Path) -> Folder:
    """Three clips of noise, seeds 0 to 2, the third with a prompt."""
    folder = tmp_path / "real"
    folder.mkdir()
    for i, name in enumerate("abc"):
        write_lossless(clip(i, samples=6000), folder / f"{name}.mkv")
    (folder / "prompts.csv").write_text("file,prompt\nc.mkv,a glass ball\n")
    return Folder(str(folder), held_out=0)


def test_a_run_is_compared_with_the_clips_that_ground_truth_shows() -> None:
    dataset = bounce()
    requests = make_requests(dataset, 3, 0)
    shown = list(GroundTruth(dataset=dataset).generate(requests))
    samples: list[Sample | None] = [Sample(Held(f"{i:06d}", c), "") for i, c in enumerate(shown)]
    samples[1] = None
    found, score = record(samples, MADE, dataset)
    np.testing.assert_array_equal(score.per_sample, [0, np.nan, 0])  # type: ignore[arg-type]
    assert (found.n_scored, found.n_missing) == (2, 1)
    assert found.reference is not None
    assert {k: found.reference[k] for k in ("n", "paired_by")} == {"n": 2, "paired_by": "prompt and index"}
    swapped = [samples[2], None, samples[0]]
    assert np.all(np.abs(record(swapped, MADE, dataset)[1].per_sample[[0, 2]]) > 0)  # type: ignore[index]


def test_clips_made_elsewhere_have_the_real_clips_of_their_names(real_folder: Folder) -> None:
    samples = held(["b", "x", "a", "c", "c"], ["", "", "", "a wooden ball", "a glass ball"])
    found, score = record(samples, GIVEN, real_folder)
    want = [clip(10 + i).audio.mean(dtype=np.float64) for i in range(5)]
    theirs = [clip(i, samples=6000).audio.mean(dtype=np.float64) for i in range(3)]
    assert score.per_sample is not None
    np.testing.assert_allclose(
        score.per_sample[[0, 2, 4]], np.subtract(want, [theirs[k] for k in (1, 0, 0, 0, 2)])[[0, 2, 4]], atol=1e-4
    )
    assert np.isnan(score.per_sample[[1, 3]]).all()  # no such name, and another prompt under one name
    assert found.unscored == {ALONE: 2}
    assert found.reference is not None
    assert {k: found.reference[k] for k in ("n", "paired_by")} == {"n": 3, "paired_by": "file name"}


def test_without_known_names_the_prompts_of_a_run_decide(caplog: pytest.LogCaptureFixture) -> None:
    dataset = bounce()
    texts = [request.prompt.text for request in make_requests(dataset, 3, 0)]
    texts[1] = "something else"
    shown = list(GroundTruth(dataset=dataset).generate(make_requests(dataset, 3, 0)))
    samples: list[Sample | None] = [
        Sample(Held(f"clip{i}", c), t) for i, (c, t) in enumerate(zip(shown, texts, strict=True))
    ]
    found, score = record(samples, GIVEN, dataset)
    np.testing.assert_array_equal(score.per_sample, [0, np.nan, 0])  # type: ignore[arg-type]
    assert found.unscored == {ALONE: 1}
    nothing, score = record([replace(s, text="") for s in samples if s], GIVEN, dataset)
    assert np.isnan(score.value)
    assert nothing.unscored == {ALONE: 3}
    assert "gap.plain: no clip has a real clip of its own. try: the names of the real clips, with" in caplog.text


def test_a_real_clip_without_features_leaves_its_sample_unscored_with_the_reason(real_folder: Folder) -> None:
    mean = Mean("audio")
    mean.refused = clip(1, samples=6000).digest()
    found = find_partners(real_folder, GIVEN, held(["a", "b"]), [mean], FeatureCache(None))
    ours: list[Features | None] = [{"mean": np.array(0.0)}] * 2
    pairs = found.only_pairs(Extraction({mean.name: ours, "other": ours}, [None, None]))
    assert [row is None for row in pairs.features[mean.name]] == [False, True]
    assert pairs.features["other"] == ours
    assert pairs.reasons == {(mean.name, 1): "its real clip: ValueError: a clip it cannot take"}


def test_missing_features_of_a_sample_keep_their_own_reason() -> None:
    found = Extraction({"e": [None, None]}, [None, None], {("e", 0): "it is mute"})
    assert Partners({"e": [None, None]}, {}, {}).only_pairs(found).reasons == {("e", 0): "it is mute"}


def test_files_of_features_do_not_say_whose_is_whose(real_folder: Folder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="gap compares each clip with its own real one"):
        export(tmp_path / "gap.safetensors", real_folder, [Gap()], 3, 0, FeatureCache(None))
    path = tmp_path / "fad.safetensors"
    export(path, real_folder, [make_metric("fad_bounce")], 3, 0, FeatureCache(None), workers=1)
    with pytest.raises(
        UsageError, match=r"gap\.plain compares clips in pairs, and this file does not say which is whose"
    ):
        Evaluation([Gap()], read_reference(path), FeatureCache(None))


def test_arrays_pair_by_id() -> None:
    real = [clip(i, samples=16000) for i in range(4)]
    videos, audios = [c.video for c in real], [c.audio for c in real]
    rates: Any = {"fps": 8, "sample_rate": 16000, "metrics": ("kl_pann", "fd_pann.paired"), "weights": "random"}
    same = mm.score(videos, audios, reference=(videos, audios), **rates)
    assert [same[name].value for name in same] == pytest.approx([0, 0], abs=1e-9)
    turned = mm.score(videos, audios[1:] + audios[:1], reference=(videos, audios), **rates)
    assert turned["kl_pann"].value > 0
    assert turned["fd_pann.paired"].value == pytest.approx(0, abs=1e-9)
    part = mm.score(videos, audios, reference=(videos, audios), ids=["000000", "000002", "x", "000001"], **rates)
    np.testing.assert_array_equal(np.isnan(part["kl_pann"].per_sample), [False, False, False, True])
    assert part["kl_pann"].per_sample[0] == pytest.approx(0, abs=1e-12)
    assert set(part["kl_pann"].unscored.values()) == {ALONE}

"""+bestof-K: candidates from streams of their own, the best by a metric, and what is kept of the choice."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmbench.baselines.kinds.best_of import BestOf, best_index, list_candidates
from mmbench.baselines.kinds.scorers import make_scorer
from mmbench.baselines.models.tiny.pair import TinyPair
from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.profiling.profile import make_batch, profiled_dataset
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests, make_runspec
from mmbench.runs.store import SampleStore
from mmbench.system_names import SystemName, make_system
from mmbench.types import Clip

DATASET = make_dataset("bounce")
REQUESTS = make_requests(DATASET, 2, 7)
STEPS = 2  # of the sampler: what is tested here does not need good samples


def system(name: str, **options: Any) -> Any:
    return make_system(name, dataset=DATASET, device="cpu", **{"num_inference_steps": STEPS, **options})


@pytest.fixture(scope="module", autouse=True)
def small_tiles() -> Iterator[None]:
    """Networks work on few samples at once, which takes less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TinyPair, "tile", 2)
        yield


@pytest.fixture(scope="module")
def best_of_3() -> list[Clip]:
    return list(system("tiny+bestof-3").generate(REQUESTS))


def test_the_first_candidate_is_what_the_pair_makes_alone_to_the_bit() -> None:
    alone = [clip.digest() for clip in system("tiny").generate(REQUESTS)]
    assert [clip.digest() for clip in system("tiny+bestof-1").generate(REQUESTS)] == alone


def test_candidates_draw_from_streams_of_their_own_and_longer_lists_begin_with_shorter_ones() -> None:
    three, five = (list_candidates(REQUESTS, k) for k in (3, 5))
    seeds = [[tuple(r.entropy("video noise")) for r in rows] for rows in (three, five)]
    assert seeds[0][:3] == seeds[1][:3]
    assert seeds[0][3:] == seeds[1][5:8]
    assert len(set(seeds[1])) == 10
    assert seeds[0][0] == tuple(REQUESTS[0].entropy("video noise"))


def test_the_best_candidate_is_kept_with_the_scores_of_all(best_of_3: list[Clip]) -> None:
    alone = system("tiny")
    for request, clip in zip(REQUESTS, best_of_3, strict=True):
        note = clip.notes["best_of"]
        assert note["scorer"] == "ib_bounce_av.bounce_v1"
        assert note["chosen"] == int(np.argmax(note["scores"]))
        assert len(set(note["scores"])) == 3
        made = list(alone.generate(list_candidates([request], 3)))
        assert clip.digest() == made[note["chosen"]].digest()


def test_the_choice_does_not_know_its_batch(best_of_3: list[Clip]) -> None:
    alone = [next(system("tiny+bestof-3").generate([request])) for request in reversed(REQUESTS)]
    assert [(c.digest(), c.notes) for c in alone[::-1]] == [(c.digest(), c.notes) for c in best_of_3]


def test_the_score_of_the_chosen_one_is_that_of_the_stored_clip(tmp_path: Any, best_of_3: list[Clip]) -> None:
    made = system("tiny+bestof-3")
    store = SampleStore.create(tmp_path, make_runspec(made, DATASET, 7, made.name, "bounce"))
    store.commit(REQUESTS[0], best_of_3[0], 1.0)
    clip, metric = store.source(0).load(), make_scorer("ib_bounce_av", "trained", "cpu")
    features = {e.name: e.extract([clip]) for e in metric.extractors()}
    note = store.record(0).notes["best_of"]
    assert note["scores"][note["chosen"]] == metric.score(features, None, 7).value


@pytest.mark.parametrize(
    ("scores", "higher", "best"),
    [
        ([0.1, 0.3, 0.2], True, 1),
        ([0.1, 0.3, 0.2], False, 0),
        ([0.3, 0.3], True, 0),
        ([np.nan, -5.0], True, 1),
        ([np.nan, 5.0], False, 1),
        ([np.nan, np.nan], True, 0),
    ],
)
def test_ties_go_to_the_first_and_unscored_candidates_never_win(scores: list[float], higher: bool, best: int) -> None:
    assert best_index(scores, higher) == best


def test_a_silent_and_still_candidate_is_unscored_and_loses() -> None:
    rng = np.random.default_rng(0)
    noise = (rng.uniform(size=(16, 64, 64, 3)) * 255).astype(np.uint8)
    still = Clip(np.zeros_like(noise), 8.0, np.zeros(32000, np.float32), 16000)
    loud = replace(still, video=noise, audio=rng.uniform(-1, 1, 32000).astype(np.float32))
    silent = replace(still, audio=np.zeros(0, np.float32))  # no extractor takes it
    chooser = BestOf(SystemName("tiny", candidates=3, scorer="av_align"), "ib_bounce_av", "trained")
    (clip,) = chooser.choose(REQUESTS[:1], [still, silent, loud], "cpu")
    assert clip.notes["best_of"]["chosen"] == 2
    assert clip.notes["best_of"]["scores"][:2] == [None, None]


@pytest.mark.parametrize(
    ("scorer", "hint"), [("fvd_bounce", "compares with real clips"), ("ib_bounce_ax", "did you mean ib_bounce_")]
)
def test_metrics_that_cannot_choose_are_refused_before_anything_is_made(scorer: str, hint: str) -> None:
    with pytest.raises(UsageError, match=hint):
        system(f"tiny+bestof-2-{scorer}")


def test_missing_weights_of_the_scorer_are_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("MMBENCH_WEIGHTS", str(tmp_path))
    with pytest.raises(MMBenchError) as caught:
        system("tiny+bestof-2-ib_av")
    assert caught.value.next == "mmbench weights fetch imagebind"


def test_the_identity_follows_number_scorer_and_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = system("tiny+bestof-2").spec()
    assert spec["optimised_for"] == "ib_bounce_av.bounce_v1"
    assert {e["name"] for e in spec["best_of"]["scorer"]["extractors"]} == {"bounce_video", "bounce_audio"}
    assert system("tiny+bestof-3").spec()["best_of"]["candidates"] == 3
    assert system("tiny+bestof-2-av_align").spec()["best_of"]["scorer"] != spec["best_of"]["scorer"]
    plain = system("tiny").spec()
    assert {k: spec[k] for k in plain} == plain, "the pair is the same"


def test_fewer_requests_at_once_so_that_candidates_fill_a_tile() -> None:
    assert [system(f"tiny+bestof-{k}").batch_size for k in (1, 4, 5, 99)] == [16, 4, 3, 1]


@pytest.mark.e2e
@pytest.mark.thorough
def test_an_untrained_published_pair_chooses_by_random_networks() -> None:
    dataset = profiled_dataset("mm_diffusion", None)
    options: dict[str, Any] = {"size": "tiny", "weights": "random", "num_inference_steps": 3}
    made = make_system("mm_diffusion+bestof-2", dataset=dataset, device="cpu", **options)
    (clip,) = made.generate(make_batch(dataset, 1))
    assert clip.notes["best_of"]["scorer"] == made.spec()["optimised_for"] == "ib_av.official"
    assert None not in clip.notes["best_of"]["scores"]

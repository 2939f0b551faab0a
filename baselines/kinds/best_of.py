"""Best of K: of K pairs made independently for a request, the one that a metric scores best (+bestof-K).

No training and no gradient: what a scorer and K times the work buy. Candidate 0 is what the pair makes alone, and a
longer list of candidates begins with the shorter one. A candidate that the metric leaves unscored, as a silent one,
never wins against a scored one; of equal scores the first wins, and so does the first where none is scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from typing import NoReturn

import numpy as np

from mmbench.baselines.kinds.scorers import find_scorer_weights, identify_scorer, make_scorer
from mmbench.errors import UsageError
from mmbench.system_names import SystemName
from mmbench.types import Clip, Extractor, Features, Metric, Request, Spec, Weights, full_name


@dataclass(frozen=True)
class Candidate(Request):
    """A request for one of several clips of the same prompt; each candidate draws from streams of its own.

    Attributes:
        candidate: Its number; 0 draws what the request itself draws.
    """

    candidate: int = 0

    def entropy(self, stream: str) -> list[int]:
        """Seed words of one stream of this candidate."""
        return super().entropy(f"{stream}, candidate {self.candidate}" if self.candidate else stream)


def list_candidates(requests: Sequence[Request], num: int) -> list[Request]:
    """The first `num` candidates of every request, request by request."""
    return [Candidate(r.prompt, r.index, r.seed, k) for r in requests for k in range(num)]


class BestOf:
    """A choice of one clip out of K by a metric with a value per sample that needs no real clips.

    Args:
        name: The system's name; its `scorer` counts, if it has one.
        scorer: The metric by which systems of this pair choose unless told otherwise.
        weights: Of the pair; untrained pairs choose by networks with random weights, where the metric has any.

    Raises:
        UsageError: No such metric, or one that needs real clips.
        MMBenchError: Its weights are not here; says how to fetch them.
    """

    def __init__(self, name: SystemName, scorer: str, weights: Weights) -> None:
        self.num = name.candidates
        self._name, self._scorer, self._weights = name, name.scorer or scorer, weights
        self._on_device = cache(partial(make_scorer, self._scorer, weights))  # with its networks
        metric = make_scorer(self._scorer, weights)
        if metric.needs_reference:
            self._refuse(f"{metric.name} compares with real clips")
        find_scorer_weights(metric)

    def _refuse(self, why: str) -> NoReturn:
        found = f"{self._name} cannot choose by {self._scorer}: {why}."
        again = replace(self._name, scorer="av_align")
        raise UsageError(found, "a metric with a value per sample that needs no real clips", f"mmbench run -s {again}")

    def spec(self) -> Spec:
        """Number of candidates, and the scorer with all that decides its values; `optimised_for` names it."""
        scorer = make_scorer(self._scorer, self._weights)
        best_of = {"candidates": self.num, "scorer": identify_scorer(scorer)}
        return {"best_of": best_of, "optimised_for": full_name(scorer)}

    def choose(self, requests: Sequence[Request], clips: Sequence[Clip], device: str) -> list[Clip]:
        """The best candidate of each request, with the scores of all in its notes.

        Args:
            requests: n requests.
            clips: Their n x K candidates, request by request.
            device: Where the scorer's networks run.
        """
        metric = self._on_device(device)
        scores = [self._score(metric, clip, requests[i // self.num]) for i, clip in enumerate(clips)]
        chosen = []
        for start in range(0, len(clips), self.num):
            own = scores[start : start + self.num]
            best = best_index(own, metric.higher_is_better)
            listed = [None if np.isnan(score) else score for score in own]
            note = {"chosen": best, "scorer": full_name(metric), "scores": listed}
            clip = clips[start + best]
            chosen.append(replace(clip, notes={**clip.notes, "best_of": note}))
        return chosen

    def _score(self, metric: Metric, clip: Clip, request: Request) -> float:
        """The value of one clip, as an evaluation of the stored clip gives it; NaN where it is unscored."""
        stored = replace(clip, audio=(clip.audio_int16() / 32768).astype(np.float32))
        features = {e.name: [_look(e, stored, request)] for e in metric.extractors()}
        score = metric.score(features, None, request.seed)
        if score.per_sample is None:
            self._refuse(f"{metric.name} has no value per sample")
        return float(score.per_sample[0])


def _look(extractor: Extractor, clip: Clip, request: Request) -> Features:
    """Features of one clip, or of its prompt; alone, so that no batch changes a choice."""
    return extractor.extract([request.prompt.text] if extractor.modality == "text" else [clip])[0]


def best_index(scores: Sequence[float], higher_is_better: bool) -> int:
    """The index of the best score, of equal ones the first; NaN is worst, and 0 is returned for NaN alone."""
    worth = [-np.inf if np.isnan(s) else s if higher_is_better else -s for s in scores]
    return int(np.argmax(worth))

"""Guidance of a pair by an embedding of video and sound (+aligner): no training, one gradient per evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mmbench.baselines.kinds.guiding import Guiding
from mmbench.baselines.kinds.scorers import find_scorer_weights, identify_scorer, make_scorer
from mmbench.errors import UsageError
from mmbench.system_names import SystemName
from mmbench.types import Spec, Weights, full_name

if TYPE_CHECKING:
    from mmbench.baselines.kinds.pair import DiffusionPair
    from mmbench.mmdisco.alignment import Alignment

ALIGNER_SCALE = 0.1  # the released code's learning_rate; on `tiny` and seed 41 it was tried: results/rivals


class Aligner:
    """The embedding of a metric of agreement, by whose cosine a pair is guided.

    Args:
        name: The system's name.
        scorer: The metric whose two networks embed video and sound.
        weights: Of the pair; untrained pairs are guided by random networks.
        scale: Weight of the gradient.
        guiding: Where it is computed, and how.

    Raises:
        UsageError: The scale is no number above 0.
        MMBenchError: The embedding's weights are not here; says how to fetch them.
    """

    def __init__(self, name: SystemName, scorer: str, weights: Weights, scale: float, guiding: Guiding) -> None:
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not 0 < scale < float("inf"):
            found = f"{name} cannot have aligner_scale {scale!r}."
            raise UsageError(found, "a number above 0", f"--set aligner_scale={ALIGNER_SCALE}")
        self._scorer, self._weights, self._scale, self._guiding = scorer, weights, float(scale), guiding
        find_scorer_weights(make_scorer(scorer, weights))

    def spec(self) -> Spec:
        """Scale, embedding and what of `Guiding` is not at its default; `optimised_for` names the metric."""
        scorer = make_scorer(self._scorer, self._weights)
        aligner = {"scale": self._scale, "embedding": identify_scorer(scorer), **self._guiding.spec()}
        return {"aligner": aligner, "optimised_for": full_name(scorer)}

    def guide(self, pair: DiffusionPair) -> Alignment:
        """The guidance of a pair's samples, with its networks on the pair's device."""
        from mmbench.mmdisco.alignment import WARM_UP, Alignment

        extractors: Any = make_scorer(self._scorer, self._weights, pair.device).extractors()
        towers = [e.network.requires_grad_(False) for e in extractors]
        steps, guiding = pair.sampling.num_inference_steps, self._guiding
        later = range(int(WARM_UP * steps) + 1, steps) if steps > 1 else range(1)
        return Alignment(
            lambda video, audio: pair.agreement(video, audio, *towers),
            (self._scale, self._scale),
            guiding.evaluations() or later,
            guiding.every,
            guiding.precision,
        )

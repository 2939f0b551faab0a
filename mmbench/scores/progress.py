"""The stages in which sets of clips are scored, for the progress of a job."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mmbench.progress import Progress, Stage

FEATURES, SCORES = 0.06, 0.01  # of the time that models take to generate, until it is measured; as the default job does


@dataclass(frozen=True)
class ScoringSizes:
    """How much there is to do for each clip and each set.

    Attributes:
        extractors: Extractors that look at each clip.
        of_real: Those that look at each real clip, too; 0 where no real clips are compared with.
        metrics: Metrics of each set.
    """

    extractors: int
    of_real: int
    metrics: int


@dataclass(frozen=True)
class ScoringStages:
    """The stages of one set: features of its clips, features of the real clips, and its metrics."""

    features: Stage
    real: Stage
    scores: Stage


def plan_scoring(job: Progress, sizes: ScoringSizes, sets: Sequence[tuple[str, int]]) -> list[ScoringStages]:
    """Add the stages of scoring to a job.

    Args:
        job: The job.
        sizes: Of its evaluation.
        sets: Name of each set, and how many clips it has; as many real clips are compared with it, which sets of one
            size share.
    """
    planned, sizes_seen = [], set()
    for name, num in sets:
        of_real = 0 if num in sizes_seen else num * sizes.of_real
        sizes_seen.add(num)
        features = job.plan("features", name, num * sizes.extractors, FEATURES, sizes.extractors)
        real = job.plan("features", "real clips", of_real, FEATURES, sizes.of_real)
        planned.append(ScoringStages(features, real, job.plan("scores", name, sizes.metrics, weight=SCORES)))
    return planned

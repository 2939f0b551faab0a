"""What an evaluation finds of one set of samples, as it is before anything is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.scores.records import Record, Scored, save_all
from mmbench.types import Score


@dataclass(frozen=True)
class Scoring:
    """The scores of one set of samples under each metric.

    Attributes:
        records: One per metric.
        scores: The score behind each record.
        samples: For each record, what identifies each sample, with the reason why one is not scored.
        absent: Indices of samples that are missing or could not be read.
    """

    records: Sequence[Record]
    scores: Sequence[Score]
    samples: Sequence[Sequence[dict[str, Any]]]
    absent: tuple[int, ...] = ()

    def save(self, folder: Path) -> list[Scored]:
        """Write the records and what they were made of into the run's folder; returns them with their scores."""
        pairs = zip(self.records, self.scores, strict=True)
        scored = [Scored(folder, record, score, self.absent) for record, score in pairs]
        save_all(folder, scored, self.samples)
        return scored

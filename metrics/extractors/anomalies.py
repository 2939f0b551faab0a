"""What is odd about single clips, as extractors: found in the pass that decodes them anyway, and kept as features."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np

from mmbench.media.anomalies import clipped_share, is_frozen, is_silent, lower_rate, repeated_share
from mmbench.types import Clip, Features, Modality, Spec, Weights


class VideoAnomalies:
    """Extractor of `repeated`, the share of frames that repeat the one before, and `frozen`, 1 if all are alike.

    Args:
        batch_size: 1 where clips are decoded one by one, else that of the networks which look at the same clips.
    """

    name = "video_anomalies"
    modality: Modality = "video"
    weights: Weights = "none"

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size

    def spec(self) -> Spec:
        """The rules' version."""
        return {"version": 1}

    def extract(self, batch: Sequence[Clip] | Sequence[str]) -> list[Features]:
        """Both numbers of each clip, as (1,) float64."""
        clips = cast("Sequence[Clip]", batch)
        return [_numbers(repeated=repeated_share(c.video), frozen=is_frozen(c.video)) for c in clips]


class AudioAnomalies:
    """Extractor of `silent` (0 or 1), `clipped`, a share of samples, and `lower_rate` [Hz], 0 for none.

    Args:
        batch_size: 1 where clips are decoded one by one, else that of the networks which look at the same clips.
    """

    name = "audio_anomalies"
    modality: Modality = "audio"
    weights: Weights = "none"

    def __init__(self, batch_size: int = 1) -> None:
        self.batch_size = batch_size

    def spec(self) -> Spec:
        """The rules' version."""
        return {"version": 1}

    def extract(self, batch: Sequence[Clip] | Sequence[str]) -> list[Features]:
        """The three numbers of each clip, as (1,) float64."""
        clips = cast("Sequence[Clip]", batch)
        return [
            _numbers(
                silent=is_silent(c.audio),
                clipped=clipped_share(c.audio),
                lower_rate=lower_rate(c.audio, c.sample_rate),
            )
            for c in clips
        ]


def _numbers(**values: float) -> Features:
    return {name: np.array([value], np.float64) for name, value in values.items()}

"""What a picture marks in a clip: when sounds begin, when something is seen to happen, and which of them coincide."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from mmbench.dataset_names import parse_dataset_name
from mmbench.datasets.bounce_world.seen_impacts import seen_impacts
from mmbench.metrics.extractors.onsets import OnsetTimes
from mmbench.metrics.extractors.optical_flow import flow_peaks, flow_trajectory
from mmbench.types import Clip

BOUNCE = ("bounce", "bounce_heavy")  # whose impacts can be seen by the dust they raise
LATE = 0.03  # how long after its cause an onset may be reported [s]: hop and window of the detector


@dataclass(frozen=True)
class Events:
    """Events of a clip.

    Attributes:
        heard: Times (K,) at which a sound begins [s].
        seen: Intervals (L, 2) in which something is seen to happen [s].
        kind: What that is: "impact", or "peak of motion".
        known: Times (M,) of true impacts [s]; none where they are not known.
    """

    heard: np.ndarray
    seen: np.ndarray
    kind: str
    known: np.ndarray

    def _coincide(self) -> np.ndarray:
        heard = self.heard[:, None]
        return (self.seen[None, :, 0] <= heard) & (heard <= self.seen[None, :, 1] + LATE)

    @property
    def heard_in_time(self) -> np.ndarray:
        """Which sounds begin while something is seen to happen: (K,) bool."""
        return np.asarray(self._coincide().any(axis=1))

    @property
    def seen_in_time(self) -> np.ndarray:
        """While which of what is seen a sound begins: (L,) bool."""
        return np.asarray(self._coincide().any(axis=0))

    def describe(self) -> str:
        """How many sounds coincide with what is seen, in a few words."""
        if not len(self.heard):
            return "no sound begins"
        at = "impacts" if self.kind == "impact" else "peaks"
        return f"{self.heard_in_time.sum()} of {len(self.heard)} sounds at {at}"


def find_events(clip: Clip, dataset: str = "", known: np.ndarray | None = None) -> Events:
    """The events of a clip.

    Sounds begin where TempoTokens' published script has onsets (22050 Hz, hop 512). In clips for the bounce datasets
    impacts are seen by the dust they raise; in others peaks of the optical flow, give or take a frame, as AV-Align.

    Args:
        clip: Of any format.
        dataset: Name of the dataset that it was made for.
        known: Times (M,) of true impacts [s].
    """
    fps, seconds = float(clip.fps), len(clip.video) / float(clip.fps)
    heard = _onsets().extract([clip])[0]["onsets"] if len(clip.audio) else np.empty(0)
    if parse_dataset_name(dataset).base in BOUNCE:
        kind, seen = "impact", seen_impacts(clip.video, fps)
    else:
        peaks = flow_peaks(flow_trajectory(clip.video), fps)
        kind, seen = "peak of motion", np.clip(peaks[:, None] + np.array([-1.0, 1.0]) / fps, 0.0, seconds)
    return Events(heard[heard < seconds], seen, kind, np.empty(0) if known is None else np.asarray(known))


@cache
def _onsets() -> OnsetTimes:
    return OnsetTimes(22050, 512)

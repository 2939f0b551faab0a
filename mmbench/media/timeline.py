"""Time stamps to steady clocks: which frame shows when, and where each audio sample lies in time.

All times are exact fractions of a second. Containers round time stamps (Matroska to 1 ms), so equality is always up to
a tolerance named here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Protocol

import numpy as np

ROUNDING = Fraction(1, 1000)  # Matroska's clock [s]: frame times closer than this are equal
JUMP = Fraction(2, 1000)  # audio stamps wander this far [s] by rounding alone; a larger step is a jump in time


def constant_rate(times: Sequence[Fraction], candidates: Iterable[Fraction | None]) -> Fraction | None:
    """The first candidate rate [1/s] with time j = time 0 + j / rate for all frames, or None (variable rate).

    Args:
        times: (T,) presentation times [s], ascending.
        candidates: Rates the container claims, best first.
    """
    for rate in candidates:
        if rate and all(abs(t - times[0] - j / rate) <= ROUNDING for j, t in enumerate(times)):
            return rate
    return None


def nominal_rate(times: Sequence[Fraction], candidates: Iterable[Fraction | None]) -> Fraction:
    """The rate [1/s] to give a video of variable rate: that of its median interval.

    Rounded time stamps hide the exact value, so the nearest claimed rate whose interval is equal up to rounding is
    taken, or else a whole number within 1 %.
    """
    intervals = sorted(b - a for a, b in pairwise(times) if b > a)
    claimed = [rate for rate in candidates if rate]
    if not intervals:
        return claimed[0] if claimed else Fraction(1)
    median = intervals[len(intervals) // 2]
    near = [rate for rate in claimed if abs(1 / rate - median) <= ROUNDING]
    if near:
        return min(near, key=lambda rate: abs(1 / rate - median))
    whole = Fraction(max(1, round(1 / median)))
    return whole if abs(whole * median - 1) <= Fraction(1, 100) else (1 / median).limit_denominator(1001) or 1 / median


def shown_frames(times: Sequence[Fraction], fps: Fraction, duration: Fraction) -> np.ndarray:
    """Index of the frame on screen at j / fps: the last one whose time is not later.

    Args:
        times: (T,) presentation times [s], ascending.
        fps: The constant rate wanted [1/s].
        duration: From the first frame's time to the end of the last one [s].

    Returns:
        (round(duration fps),) int64, at least one.
    """
    count = max(1, round(duration * fps))
    first_ticks = [math.ceil((time - times[0] - ROUNDING) * fps) for time in times]
    return np.searchsorted(np.array(first_ticks), np.arange(count), side="right") - 1


class Samples(Protocol):
    """(n,) float32, perhaps in a file, of which only slices are read."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> np.ndarray: ...


@dataclass
class AudioTimeline:
    """Decoded samples with the time of each: contiguous segments, a new one wherever the time stamps jump.

    Within a segment sample i lies at start + i / rate. Files made by joining encoded clips have a jump at each joint,
    so there the index of a sample in the plain concatenation is not its time times the rate.
    """

    rate: int
    time_base: Fraction
    segments: list[tuple[Fraction, Samples]] = field(default_factory=list)
    num_samples: int = 0

    @classmethod
    def from_frames(
        cls, rate: int, time_base: Fraction, frames: Iterable[tuple[Fraction | None, np.ndarray]]
    ) -> AudioTimeline:
        """Join decoded frames, each (time of its first sample [s] or None, (n,) float32), in decoding order."""
        timeline = cls(rate, time_base)
        tolerance = max(JUMP, 2 * time_base if time_base * rate > 1 else Fraction(0))
        start, length = Fraction(0), 0
        parts: list[np.ndarray] = []
        for time, samples in frames:
            expected = start + Fraction(length, rate)
            if time is not None and (not parts or abs(time - expected) > tolerance):
                timeline._append(start, parts)
                start, parts, length = time, [], 0
            parts.append(samples)
            length += len(samples)
        timeline._append(start, parts)
        return timeline

    def _append(self, start: Fraction, parts: list[np.ndarray]) -> None:
        if parts:
            samples = np.concatenate(parts)
            self.segments.append((start, samples))
            self.num_samples += len(samples)

    def window(self, start: Fraction, num_samples: int | None = None) -> tuple[np.ndarray, int]:
        """Samples from time `start` on: output k lies in [start + k / rate, start + (k + 1) / rate).

        Time without samples inside the window is silence; the window ends early where the audio ends. Where segments
        overlap the later one is heard.

        Args:
            start: Time of the window [s].
            num_samples: Length of the window; None for all that follows.

        Returns:
            (S,) float32 with S <= num_samples, and how many of these are filled-in silence.
        """
        # Stamps coarser than one sample cannot tell a first sample just beside the window's start from one at it.
        slack = self.time_base if self.time_base * self.rate > 1 else Fraction(0)
        if self.segments and abs(self.segments[0][0] - start) <= slack:
            start = self.segments[0][0]
        placed = [(math.floor((time - start) * self.rate), samples) for time, samples in self.segments]
        end = max((offset + len(samples) for offset, samples in placed), default=0)
        length = max(0, end if num_samples is None else min(end, num_samples))
        audio, covered = np.zeros(length, np.float32), np.zeros(length, bool)
        for offset, samples in placed:
            first, last = max(offset, 0), min(offset + len(samples), length)
            if first < last:
                audio[first:last] = samples[first - offset : last - offset]
                covered[first:last] = True
        if not covered.any():
            return np.zeros(0, np.float32), 0
        return audio, int(length - covered.sum())

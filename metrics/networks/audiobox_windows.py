"""Audiobox Aesthetics' windows of ten seconds, and a clip's scores from those of its windows.

Own writing of facebookresearch/audiobox-aesthetics@2618e9d (src/audiobox_aesthetics/infer.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.networks.audio_frontend import SAMPLE_RATE

WINDOW = 10 * SAMPLE_RATE  # samples, and from one window to the next
Scale = Mapping[str, Mapping[str, float]]  # axis -> "mean" and "std" of people's ratings


def windows(audio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(s,) at 16 kHz to windows (k, 160000), the last completed with zeros, and the real samples (k,) of each."""
    starts = np.arange(0, len(audio), WINDOW)
    found = np.zeros((len(starts), WINDOW), np.float32)
    for window, start in zip(found, starts, strict=True):
        part = audio[start : start + WINDOW]
        window[: len(part)] = part
    return found, np.minimum(len(audio) - starts, WINDOW)


def weights(samples: np.ndarray) -> np.ndarray:
    """Weights (k,) of windows in a clip's scores: how much of each is real."""
    return samples / WINDOW


def clip_scores(raw: np.ndarray, samples: np.ndarray, scale: Scale) -> dict[str, float]:
    """A clip's scores by axis.

    Args:
        raw: (k, axes) of its windows, the axes in the order of `scale`.
        samples: (k,) real samples of each window.
        scale: Of the release.
    """
    weight = weights(samples)
    found = {}
    for axis, column in zip(scale, raw.T.astype(np.float64), strict=True):
        rated = column * scale[axis]["std"] + scale[axis]["mean"]
        found[axis] = float(np.sum(rated * weight) / np.sum(weight))
    return found


def read_scale(file: Path, axes: tuple[str, ...]) -> Scale:
    """The scale of each axis as a release's config.json has it.

    Raises:
        MMBenchError: It lacks an axis.
    """
    try:
        known = json.loads(file.read_text())["target_transform"]
        return {axis: {part: float(known[axis][part]) for part in ("mean", "std")} for axis in axes}
    except (ValueError, LookupError, TypeError) as error:
        raise MMBenchError(f"{file} lacks the scales of {', '.join(axes)}.", "config.json of the release") from error

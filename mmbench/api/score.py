"""Arrays to scores in one call."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.api.evaluator import Evaluator
from mmbench.api.scores import Scores


def score(
    videos: Any,
    audios: Any = None,
    fps: float | None = None,
    sample_rate: int | None = None,
    prompts: Sequence[str] | None = None,
    metrics: str | Sequence[str] | None = None,
    reference: Any = None,
    *,
    weights: str = "real",
    device: str = "auto",
    seed: int = 0,
    workers: int = 1,
    cache: str | Path | None = None,
    ids: Sequence[str] | None = None,
    name: str = "samples",
) -> Scores:
    """Score clips that a program holds; the numbers are those of `mmbench evaluate` on the same clips in files.

    Args:
        videos: (n, frames, height, width, 3) uint8, or float in [0, 1]; numpy array or torch tensor, or a list of
            clips of differing length. Channels first is understood where no other axis can be the colours. Or Clips.
        audios: (n, samples) or (n, channels, samples), int16 or float in [-1, 1], or a list; channels are averaged.
            None scores videos alone.
        fps: Frames per second of the videos; Clips have their own.
        sample_rate: Samples per second of the audios [Hz]; Clips have their own.
        prompts: A text per clip, for metrics that compare with it.
        metrics: Names as of `mmbench list metrics`, with or without a variant. By default what the reference
            recommends; FVD, FAD and AV-Align beside other real clips; AV-Align without any.
        reference: Real clips for metrics that compare with them. (videos, audios) or Clips, which are all taken; a
            dataset's name or a folder of clips, of which as many are taken as there are samples; a file of
            `mmbench stats export`. A name that is a dataset's means the dataset: "./bounce" is a folder.
        weights: Of the metrics' networks, "real", or "random" to try the plumbing.
        device: A torch device; "auto" takes a GPU if there is one.
        seed: Of shuffles, resamplings, and the order of a dataset's real clips.
        workers: Processes for metrics without networks. More than one starts new interpreters, so a script then needs
            `if __name__ == "__main__":`.
        cache: Folder where features of a dataset's real clips are kept for the next time.
        ids: A name per clip, by which two sets are paired; by default numbers.
        name: What tables call these clips.

    Raises:
        UsageError: A layout, type, range or number that does not fit, an unknown metric, a missing reference.
        NonFiniteError: NaN or infinity.
        MMBenchError: Weights are not here; says how to fetch them.
    """
    evaluator = Evaluator(
        metrics,
        reference,
        fps=fps,
        sample_rate=sample_rate,
        weights=weights,
        device=device,
        seed=seed,
        workers=workers,
        cache=cache,
    )
    evaluator.update(videos, audios, prompts, ids)
    return evaluator.compute(name)

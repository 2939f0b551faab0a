"""Clips with their prompts and names, of a program's arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.api.arrays import VIDEO, make_clip
from mmbench.errors import UsageError
from mmbench.types import Clip

NOMINAL_RATE = 16000  # [Hz] of a clip without sound, as of a file without


@dataclass(frozen=True, eq=False)
class Clips:
    """Decoded clips with what belongs to them; `score` and `Evaluator.update` take them in place of arrays.

    Attributes:
        clips: Each with `video` (frames, height, width, 3) uint8, `fps`, `audio` (samples,) float32 and `sample_rate`.
        prompts: A text per clip, "" where there is none.
        ids: A name per clip, by which sets are paired.
    """

    clips: Sequence[Clip]
    prompts: Sequence[str]
    ids: Sequence[str]

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def videos(self) -> list[np.ndarray]:
        """The videos, (frames, height, width, 3) uint8 each."""
        return [clip.video for clip in self.clips]

    @property
    def audios(self) -> list[np.ndarray]:
        """The sounds, (samples,) float32 in [-1, 1] each."""
        return [clip.audio for clip in self.clips]

    def __repr__(self) -> str:
        sizes = Counter(clip.size() for clip in self.clips)
        return f"Clips({len(self)}: {', '.join(f'{n} of {size}' for size, n in sizes.most_common(3))})"


def make_clips(
    videos: Any,
    audios: Any = None,
    fps: float | None = None,
    sample_rate: int | None = None,
    prompts: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    first: int = 0,
) -> Clips:
    """Clips of arrays, or given ones; without `ids` they are numbered from `first`.

    Raises:
        UsageError: Lists of unlike lengths, no rates, or what `make_clip` refuses.
    """
    if isinstance(videos, Clips):
        if audios is not None:
            raise UsageError("Both clips and audios are given.", "clips, which have their sound", "audios=None")
        clips, prompts, ids = videos.clips, prompts or videos.prompts, ids or videos.ids
    elif isinstance(videos, str | Path):
        raise UsageError(
            f"videos is the text {str(videos)!r}.", "arrays, or Clips", f"mmbench.load_clips({str(videos)!r})"
        )
    else:
        if getattr(videos, "ndim", 5) != 5:
            remedy = "videos[None] and audios[None], if it is one clip"
            raise UsageError(f"videos is {videos.dtype} {tuple(videos.shape)}.", f"(n, {VIDEO[1:]}", remedy)
        if fps is None or not 0 < fps < 10_000:
            raise UsageError(f"fps is {fps}.", "frames per second of the videos", "fps=8")
        if audios is not None and (sample_rate is None or sample_rate != int(sample_rate) or sample_rate <= 0):
            raise UsageError(
                f"sample_rate is {sample_rate}.", "samples per second of the audios [Hz]", "sample_rate=16000"
            )
        _check_length("audios", audios, videos)
        sounds = [None] * len(videos) if audios is None else audios
        pairs = enumerate(zip(videos, sounds, strict=True))
        clips = [make_clip(video, audio, fps, int(sample_rate or NOMINAL_RATE), i) for i, (video, audio) in pairs]
    _check_length("prompts", prompts, clips)
    _check_length("ids", ids, clips)
    texts = [""] * len(clips) if prompts is None else list(prompts)
    names = [f"{first + i:06d}" for i in range(len(clips))] if ids is None else [str(name) for name in ids]
    return Clips(clips, texts, names)


def _check_length(name: str, given: Any, clips: Any) -> None:
    if isinstance(given, str) or (given is not None and len(given) != len(clips)):
        found = f"{name} is one text" if isinstance(given, str) else f"{len(given)} {name}"
        raise UsageError(
            f"{found} for {len(clips)} videos.", f"as many {name} as videos", f"{name} in the videos' order"
        )

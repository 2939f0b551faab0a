"""Clips with their prompts and names, of a program's arrays."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.api.arguments import as_sequence, read_ids, read_prompts, read_rate
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

    def __getitem__(self, part: slice) -> Clips:
        """Some of them: `clips[:8]`."""
        if not isinstance(part, slice):
            raise UsageError(f"clips[{part!r}] is no part of clips.", "a slice", "clips[:1], or clips.clips[0]")
        return Clips(self.clips[part], self.prompts[part], self.ids[part])

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
        clips = videos.clips
        prompts, ids = (videos.prompts if prompts is None else prompts), (videos.ids if ids is None else ids)
    elif isinstance(videos, str | Path):
        raise UsageError(
            f"videos is the text {str(videos)!r}.", "arrays, or Clips", f"mmbench.load_clips({str(videos)!r})"
        )
    else:
        if getattr(videos, "ndim", 5) not in (1, 5):
            remedy = "videos[None] and audios[None], if it is one clip"
            raise UsageError(f"videos is {videos.dtype} {tuple(videos.shape)}.", f"(n, {VIDEO[1:]}", remedy)
        videos = as_sequence("videos", videos)
        sounds = [None] * len(videos) if audios is None else as_sequence("audios", audios)
        rate = read_rate("fps", fps)
        samples = NOMINAL_RATE if audios is None else int(read_rate("sample_rate", sample_rate))
        check_length("audios", sounds, videos)
        clips = [make_clip(v, a, rate, samples, i) for i, (v, a) in enumerate(zip(videos, sounds, strict=True))]
    texts = [""] * len(clips) if prompts is None else read_prompts(prompts)
    names = [f"{first + i:06d}" for i in range(len(clips))] if ids is None else read_ids(ids)
    check_length("prompts", texts, clips)
    check_length("ids", names, clips)
    return Clips(clips, texts, names)


def check_length(name: str, given: Sequence[Any], clips: Sequence[Any]) -> None:
    """Raise UsageError unless there are as many as clips."""
    if len(given) != len(clips):
        found = f"{len(given)} {name} for {len(clips)} videos."
        raise UsageError(found, f"as many {name} as videos", f"{name} in the videos' order")

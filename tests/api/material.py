"""Bounce clips as arrays, and the same in lossless files."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from mmbench.api.clips import Clips
from mmbench.api.loading import load_clips
from mmbench.media.clip_files import write_lossless


@cache
def bounce_clips(num: int, seed: int = 1) -> Clips:
    """Clips that a reference of seed 0 does not hold."""
    return load_clips("bounce", num, seed)


def write_folder(folder: Path, clips: Clips) -> Path:
    """Write clips as clip8.mkv, clip9.mkv, clip10.mkv ..., whose natural order is theirs, with their prompts."""
    folder.mkdir()
    lines = ["file,prompt"]
    for i, (clip, text) in enumerate(zip(clips.clips, clips.prompts, strict=True), start=8):
        write_lossless(clip, folder / f"clip{i}.mkv")
        lines.append(f"clip{i}.mkv,{text}")
    (folder / "prompts.csv").write_text("\n".join(lines))
    return folder

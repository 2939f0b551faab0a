"""Cuts MM-Diffusion's published strings of samples into pieces of 8 s, with a silent and a short one, for a suite.

A piece joins five generated clips of 1.6 s, so nothing of its scores is about a model: they show that every metric
gives a number or a reason. Usage: python pieces.py CLIPS OUT, CLIPS the folder with landscape.mp4 and aist++.mp4.
"""

from __future__ import annotations

import csv
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np

from mmbench.media.clip_files import write_lossless
from mmbench.media.sources import submission
from mmbench.types import Clip


def pieces(video: Path, frames: int) -> list[Clip]:
    """Whole pieces of a string, in order."""
    return [source.load() for source in submission(video, frames, frames)[0]]


def write(folder: Path, clips: dict[str, Clip], prompt: str = "") -> None:
    """A folder of clips, with a table of their prompts if they have one."""
    folder.mkdir(parents=True)
    for name, clip in clips.items():
        write_lossless(clip, folder / f"{name}.mkv")
    if not prompt:
        return
    with (folder / "prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "prompt"), *((f"{name}.mkv", prompt) for name in clips)])


def main(clips: Path, out: Path) -> None:
    """Two folders: `made` of landscape, with two odd clips, and `real` of AIST++."""
    made = {f"piece{i:02d}": clip for i, clip in enumerate(pieces(clips / "landscape.mp4", 80))}
    first = made["piece00"]
    made["silent"] = replace(first, audio=np.zeros_like(first.audio))
    made["short"] = pieces(clips / "landscape.mp4", 16)[0]
    write(out / "made", made, "a landscape with water and wind")
    write(out / "real", {f"piece{i:02d}": c for i, c in enumerate(pieces(clips / "aist++.mp4", 80))})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

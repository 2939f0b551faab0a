"""Landscape: nature scenes with their sounds (arXiv 2204.09273), the first 2 s of each, with a caption as prompt.

The copy is either MM-Diffusion's, with the folders `train` and `test`, or videos named <YouTube id>_<start in s>.mp4,
whose split the packaged list knows. Captions are in the copy's `captions.csv`, columns file,caption; `mmbench data
caption landscape` makes them as arXiv 2405.17842 (4.3) does. The test videos are held out; the training videos are the
reference.
"""

from __future__ import annotations

import csv
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from mmbench.datasets.copies.first_clips import FirstClips
from mmbench.datasets.copies.texts import read_captions
from mmbench.datasets.vggsound import packed, video_key
from mmbench.registry import register


@cache
def listed() -> dict[str, str]:
    """Split by key of the 1,171 videos of the list; a key is the YouTube id and the start in six digits of seconds."""
    return {
        f"{row['ytid']}_{int(row['start_time']):06d}": row["set"]
        for row in csv.DictReader(packed("landscape_youtube.csv"))
    }


def split_of(path: str) -> str:
    """Train or test, by the first folder of a path below the root, else by the list; "" if neither knows."""
    first = PurePosixPath(path).parts[0]
    return first if first in ("train", "test") else listed().get(video_key(path), "")


@register("dataset", "landscape", "Landscape: your copy, landscape:PATH; 2 s, 256x256 at 8 fps, captions as prompts.")
class Landscape(FirstClips):
    """The user's copy, or what `mmbench data prepare` made of it; see the module."""

    name, title, captioned = "landscape", "Landscape", True
    naming = "in folders train and test, or named <YouTube id>_<start>.mp4"
    page = "https://drive.google.com/drive/folders/14A1zaQI5EfShlv3QirgCGeNFzZBzQ3lq"
    needed = "videos of {seconds} at least and with sound"
    stream = 0x6C616E64

    def key(self, path: str) -> str:
        """The path without its ending, folders joined by two underscores."""
        from mmbench.media.sources import VIDEO_SUFFIXES

        known = Path(path).suffix.lower() in VIDEO_SUFFIXES and split_of(path)
        return "__".join(PurePosixPath(path).with_suffix("").parts) if known else ""

    @cached_property
    def labels(self) -> dict[str, str]:
        """Caption by key, "" where there is none yet, also of missing videos of the list where others are named so."""
        captions = read_captions(self.root)
        found = {key: captions.get(path, "") for key, path in self.all_videos.items()}
        here = {video_key(path) for path in self.all_videos.values()}
        absent = [key for key in listed() if key not in here] if here & listed().keys() else []
        return found | dict.fromkeys(absent, "")

    def _split(self, key: str) -> str:
        return split_of(self.usable[key].file)

    def held_out(self, key: str) -> bool:
        """The test videos."""
        return self._split(key) == "test"

    def referred_to(self, key: str) -> bool:
        """The training videos."""
        return self._split(key) == "train"

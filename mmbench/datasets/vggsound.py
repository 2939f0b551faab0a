"""VGGSound: 10 s videos of 309 kinds of sounds (arXiv 2004.14368), the first 2 s of each or more, label as prompt.

The package knows the names and labels of the test set, and the videos whose sound does not match the picture by the
list of Yariv et al. (arXiv 2309.16429), which are never used. The user brings the videos, named <YouTube id>_<start in
s>.mp4. Half of the test videos, chosen by name, are held out. The reference is the other half, or, where the authors'
table `vggsound.csv` lies in the folder and so labels the rest, the training videos.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
from collections.abc import Mapping
from functools import cache, cached_property
from importlib.resources import files
from io import StringIO
from pathlib import Path

from mmbench.datasets.copies.first_clips import FirstClips, rank
from mmbench.datasets.copies.text_files import read_text
from mmbench.errors import UsageError
from mmbench.registry import register

TABLE = "vggsound.csv"  # the authors' table: YouTube id, start [s], label, train or test
NAME = re.compile(r"([\w-]{11})_(\d+)\.(?:mp4|mkv|webm|mov|m4v|avi)", re.IGNORECASE)


def packed(name: str) -> list[str]:
    """Lines of a list that comes with the package."""
    data = files("mmbench.datasets") / "data" / f"{name}.gz"
    return gzip.decompress(data.read_bytes()).decode().splitlines()


@cache
def labels_of_test() -> dict[str, str]:
    """Label by key of the 15,446 test videos; a key is the YouTube id and the start in six digits of seconds."""
    return {Path(file).stem: label for file, label in csv.reader(packed("vggsound_test.csv"))}


@cache
def unmatched() -> frozenset[str]:
    """YouTube ids of 55,735 videos whose sound and picture do not match."""
    return frozenset(packed("vggsound_unmatched_youtube_ids.txt"))


def train_labels(table: Path) -> dict[str, str]:
    """Label by key of the training videos in the authors' table; none without the table."""
    if not os.path.lexists(table):
        return {}
    try:
        rows = list(csv.reader(StringIO(read_text(table, "the authors' table"))))
    except csv.Error as error:
        raise UsageError(f"{table} is damaged: {error}.", "the authors' table", f"head -3 {table}") from None
    wanted = [row for row in rows if len(row) == 4 and row[3].strip() == "train"]
    if odd := [row for row in wanted if not row[1].strip().isdecimal()]:
        found = f"{table} is damaged: {odd[0][1]!r} is no second at which a video begins."
        raise UsageError(found, "the authors' table", f"head -3 {table}")
    return {f"{id}_{int(start):06d}": label for id, start, label, _ in wanted}


def video_key(path: str) -> str:
    """Key of a video by its file name; "" if it is not named like VGGSound."""
    match = NAME.fullmatch(Path(path).name)
    return f"{match[1]}_{int(match[2]):06d}" if match else ""


def held_out(key: str) -> bool:
    """Whether a test video belongs to the held-out half."""
    return not rank(key)[0] % 2


@register("dataset", "vggsound", "VGGSound: your copy, vggsound:PATH; 2 s, 256x256 at 8 fps, labels as prompts.")
class VGGSound(FirstClips):
    """The user's copy, or what `mmbench data prepare` made of it; see the module."""

    name, title = "vggsound", "VGGSound"
    naming = "named <YouTube id>_<start>.mp4, at any depth"
    page = "https://www.robots.ox.ac.uk/~vgg/data/vggsound/"
    needed = f"test videos, or {TABLE} beside training videos, of {{seconds}} at least and with sound"
    stream = 0x766767

    def __init__(self, path: str = "", *, shape: Mapping[str, float] | None = None) -> None:
        super().__init__(path, shape=shape)
        self._train = train_labels(self.root / TABLE)
        self.reference_split = "train" if self._train else "test"

    @cached_property
    def labels(self) -> dict[str, str]:
        """Label by key of the videos that may be used, here or not."""
        return {k: v for k, v in (self._train | labels_of_test()).items() if k[:11] not in unmatched()}

    def key(self, path: str) -> str:
        """YouTube id and start."""
        return video_key(path)

    def held_out(self, key: str) -> bool:
        """Half of the test videos."""
        return key in labels_of_test() and held_out(key)

    def referred_to(self, key: str) -> bool:
        """The training videos, or without the authors' table the other half of the test videos."""
        return key not in labels_of_test() if self._train else not held_out(key)

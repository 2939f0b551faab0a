"""VGGSound: 10 s videos of 309 kinds of sounds (arXiv 2004.14368), the first 2 s of each, with the label as prompt.

The package knows the names and labels of the test set, and the videos whose sound does not match the picture by the
list of Yariv et al. (arXiv 2309.16429), which are never used. The user brings the videos, named <YouTube id>_<start in
s>.mp4. Half of the test videos, chosen by name, are held out. The reference is the other half, or, where the authors'
table `vggsound.csv` lies in the folder and so labels the rest, the training videos.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import cache, cached_property
from importlib.resources import files
from pathlib import Path

import numpy as np

from mmbench.datasets.conformed import INDEX, PREPARED, Entry, conformed, examine_all, read_index, why_none
from mmbench.datasets.lazy import LazyItems
from mmbench.datasets.places import data_places
from mmbench.errors import MMBenchError
from mmbench.registry import register
from mmbench.types import Clip, ClipFormat, Item, Prompt, Request, Spec, digest_bytes

FORMAT = ClipFormat(num_frames=16, height=256, width=256, fps=8.0, num_samples=32000, sample_rate=16000)
PAGE = "https://www.robots.ox.ac.uk/~vgg/data/vggsound/"
TABLE = "vggsound.csv"  # the authors' table: YouTube id, start [s], label, train or test
NAME = re.compile(r"([\w-]{11})_(\d+)\.(?:mp4|mkv|webm|mov|m4v|avi)", re.IGNORECASE)
VERSION = 1


def _packed(name: str) -> list[str]:
    data = files("mmbench.datasets") / "data" / f"{name}.gz"
    return gzip.decompress(data.read_bytes()).decode().splitlines()


@cache
def labels_of_test() -> dict[str, str]:
    """Label by key of the 15,446 test videos; a key is the YouTube id and the start in six digits of seconds."""
    return {Path(file).stem: label for file, label in csv.reader(_packed("vggsound_test.csv"))}


@cache
def unmatched() -> frozenset[str]:
    """YouTube ids of 55,735 videos whose sound and picture do not match."""
    return frozenset(_packed("vggsound_unmatched_youtube_ids.txt"))


def train_labels(table: Path) -> dict[str, str]:
    """Label by key of the training videos in the authors' table; none without the table."""
    if not table.is_file():
        return {}
    with table.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == 4 and row[3].strip() == "train"]
    return {f"{id}_{int(start):06d}": label for id, start, label, _ in rows}


def find_videos(root: Path) -> dict[str, str]:
    """Path below `root` by key of all videos named like VGGSound at any depth; the first by path where keys repeat."""
    found = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders[:] = [name for name in folders if name != PREPARED]
        found += [Path(folder, name).relative_to(root).as_posix() for name in names if video_key(name)]
    videos: dict[str, str] = {}
    for path in sorted(found):
        videos.setdefault(video_key(path), path)
    return videos


def video_key(path: str) -> str:
    """Key of a video by its file name; "" if it is not named like VGGSound."""
    match = NAME.fullmatch(Path(path).name)
    return f"{match[1]}_{int(match[2]):06d}" if match else ""


def _rank(*key: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, key)).encode()).digest()


def held_out(key: str) -> bool:
    """Whether a test video belongs to the held-out half."""
    return not _rank(key)[0] % 2


@register("dataset", "vggsound", "VGGSound: your copy, vggsound:PATH; 2 s, 256x256 at 8 fps, labels as prompts.")
class VGGSound:
    """The user's copy, or what `mmbench data prepare` made of it; see the module.

    Args:
        path: Where it is. Without it MMBENCH_DATA_VGGSOUND, $MMBENCH_HOME/data/vggsound and ./data/vggsound are tried.

    Attributes:
        root: The folder.
        labels: Label by key of the videos that may be used, here or not.
        preparable: A video has one clip, its first 2 s, so clips can be made ready.

    Raises:
        MMBenchError: It is nowhere.
    """

    name = "vggsound"
    format = FORMAT
    preparable, why_none = True, staticmethod(why_none)
    default_metrics = ("fvd", "fad", "ib_tv", "ib_ta", "ib_av", "av_align")

    def __init__(self, path: str = "") -> None:
        variable, places = data_places(self.name, "vggsound", path)
        root = next((place for place in places if place.is_dir()), None)
        if root is None:
            raise MMBenchError(
                f"vggsound: {' or '.join(map(str, places))} is not a folder.",
                "VGGSound's videos, named <YouTube id>_<start>.mp4, at any depth",
                f"get them as {PAGE} says, then --dataset vggsound:PATH or export {variable}=PATH",
            )
        self.root = root
        train = train_labels(root / TABLE)
        self.reference_split = "train" if train else "test"
        self.labels = {k: v for k, v in (train | labels_of_test()).items() if k[:11] not in unmatched()}

    @classmethod
    def presence(cls) -> tuple[bool, str, str]:
        """For `mmbench doctor`: whether it is here, where or why not, and what to type."""
        try:
            return True, str(cls().root), ""
        except MMBenchError as error:
            return False, error.found, error.next

    @cached_property
    def videos(self) -> dict[str, str]:
        """Path below the root by key of the videos that are here and may be used."""
        return {key: path for key, path in find_videos(self.root).items() if key in self.labels}

    @property
    def missing(self) -> list[str]:
        """Names of videos that the split has and the copy has not."""
        return [f"{key}.mp4" for key in self.labels if key not in self.videos]

    @cached_property
    def usable(self) -> dict[str, Entry]:
        """Videos with a clip, by key; the others are counted in the log, with -v named."""
        from mmbench.console import log

        entries = read_index(self.root / PREPARED / INDEX, self.name, FORMAT)
        if entries is None:
            log.info(
                "All videos are read each time; once and for all: mmbench data prepare vggsound --root %s", self.root
            )
            entries = examine_all(self.root, list(self.videos.values()), FORMAT)
        bad = [entry for entry in entries if entry.reason]
        for entry in bad:
            log.info("%s is not used: %s", self.root / entry.file, entry.reason)
        if bad:
            listed = f"mmbench data check vggsound --root {self.root} lists them"
            log.warning("%d of %d videos cannot be used; %s", len(bad), len(entries), listed)
        found = {video_key(e.file): e for e in entries if e.status == "ok"}
        found = {key: entry for key, entry in sorted(found.items()) if key in self.labels}
        if not found:
            raise MMBenchError(
                f"{self.root} holds {len(find_videos(self.root))} videos named like VGGSound, none that can be used.",
                f"test videos, or {TABLE} beside training videos, of 2 s at least and with sound",
                f"mmbench data check vggsound --root {self.root}",
            )
        return found

    @cached_property
    def _held_out(self) -> dict[str, list[str]]:
        """Keys of held-out videos by label."""
        keys: dict[str, list[str]] = {}
        for key in self.usable:
            if key in labels_of_test() and held_out(key):
                keys.setdefault(self.labels[key], []).append(key)
        if not keys:
            found = f"{self.root} holds no usable video of the held-out half, so there are no prompts."
            raise MMBenchError(found, "test videos of VGGSound", f"mmbench data check vggsound --root {self.root}")
        return dict(sorted(keys.items()))

    @cached_property
    def _reference(self) -> list[str]:
        if self.reference_split == "train":
            return [key for key in self.usable if key not in labels_of_test()]
        return [key for key in self.usable if not held_out(key)]

    @cached_property
    def _digest(self) -> str:
        lines = (f"{key}\0{entry.sha256}\0{self.labels[key]}" for key, entry in self.usable.items())
        return digest_bytes(*(line.encode() for line in lines))

    def spec(self) -> Spec:
        """Version, format, and a digest of keys, labels and contents of all usable videos; no path.

        Prepared clips are those that the videos give, so both ways of having them are one dataset.
        """
        count = {"num_held_out": sum(map(len, self._held_out.values())), "num_reference": len(self._reference)}
        about = {"name": self.name, "version": VERSION, "format": asdict(FORMAT), "reference": self.reference_split}
        return {**about, **count, "digest": self._digest}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """`num` labels drawn with the seed, every label that has held-out videos being equally likely."""
        labels = list(self._held_out)
        rng = np.random.Generator(np.random.PCG64([seed, 0x766767]))
        return [Prompt(f"{i:05d}", labels[int(rng.integers(len(labels)))]) for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        """A held-out video's clip with the label that the prompt is, drawn uniformly.

        Raises:
            MMBenchError: No held-out video has this label.
        """
        keys = self._held_out.get(request.prompt.text)
        if keys is None:
            raise MMBenchError(f"No held-out video has the label {request.prompt.text!r}.", "a prompt of this dataset")
        return self._items([keys[int(request.rng(stream).integers(len(keys)))]])[0]

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """The first `num` clips of the reference (all if None or fewer), in an order drawn from `seed`.

        Raises:
            MMBenchError: There are none.
        """
        keys = sorted(self._reference, key=lambda key: _rank(seed, key))[:num]
        if not keys:
            found = f"{self.root} holds no usable {self.reference_split} videos for the reference."
            raise MMBenchError(found, "more of VGGSound", f"mmbench data check vggsound --root {self.root}")
        return self._items(keys)

    def _items(self, keys: Sequence[str]) -> Clips:
        return Clips(self.root, [(key, self.labels[key], self.usable[key]) for key in keys])


class Clips(LazyItems):
    """Items decoded when indexed, from prepared clips where there are such."""

    def __init__(self, root: Path, chosen: Sequence[tuple[str, str, Entry]]) -> None:
        self.root, self.chosen = root, chosen

    def make(self, choice: tuple[str, str, Entry]) -> Item:
        """Read one clip by its key, label and entry."""
        key, label, entry = choice
        return Item(key, Prompt(key, label, {"file": entry.file}), self._clip(entry))

    def _clip(self, entry: Entry) -> Clip:
        if not entry.clip:
            return conformed(self.root / entry.file, FORMAT)
        from mmbench.media import read_lossless

        return replace(read_lossless(self.root / PREPARED / entry.clip), notes=entry.notes)

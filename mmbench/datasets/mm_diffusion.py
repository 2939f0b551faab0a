"""Landscape and AIST++ as MM-Diffusion's authors have them, in clips of 1.6 s (`copies/cut_anywhere.py`).

A folder holds `train` and `test`, each with videos of several seconds at any depth. Statistics are made of `train`, as
the authors' are; clips held out for the controls come from `test`. Where `mmbench data prepare` has made a video ready
its clips are read from that, else from the video: also if the video has changed since.

Nothing here has a text: every prompt is empty.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmbench.datasets.copies.conformed import PREPARED, Entry, Preparation, reason_of
from mmbench.datasets.copies.cut_anywhere import FORMAT, cut, cut_ready, make_ready, num_starts, why_none
from mmbench.datasets.copies.lazy import LazyItems
from mmbench.datasets.copies.places import data_places
from mmbench.datasets.copies.video_copy import VideoCopy
from mmbench.errors import MediaError, MMBenchError
from mmbench.identity import digest_bytes
from mmbench.media.regular_files import is_utf8, printable, why_irregular
from mmbench.media.tar_members import find_member, is_called_tar, members
from mmbench.registry import register
from mmbench.types import Clip, Item, Prompt, Request, Spec

PAGE = "https://drive.google.com/drive/folders/14A1zaQI5EfShlv3QirgCGeNFzZBzQ3lq"
VERSION = 1


class Split:
    """The videos of `train` or `test`, and the number of clips in each; examined when first needed."""

    def __init__(self, root: Path, name: str, preparation: Preparation) -> None:
        self.root, self.folder, self.preparation = root, root / name, preparation

    @cached_property
    def names(self) -> list[str]:
        """Paths of the videos below the folder."""
        return [name for name in self.all_names if name not in self.unreadable]

    @cached_property
    def all_names(self) -> list[str]:
        """Paths of what is called like a video, also in tar archives, whether or not it can be read."""
        from mmbench.media.sources import VIDEO_SUFFIXES

        found = list(self.folder.rglob("*")) if self.folder.is_dir() else []
        videos = [path for path in found if path.suffix.lower() in VIDEO_SUFFIXES]
        for tar in (path for path in found if is_called_tar(path) and not path.is_dir()):
            try:
                videos += [tar / name for name in members(tar) if Path(name).suffix.lower() in VIDEO_SUFFIXES]
            except MediaError:
                videos.append(tar)
        return [path.relative_to(self.folder).as_posix() for path in sorted(videos)]

    @cached_property
    def unreadable(self) -> dict[str, str]:
        """Why what is called like a video is no file to read, by its path below the folder."""
        from mmbench.media.sources import NOT_UTF8

        reasons = {name: _why_unreadable(self.folder / name) for name in self.all_names}
        return {n: why or NOT_UTF8 for n, why in reasons.items() if why or not is_utf8(n)}

    @cached_property
    def known(self) -> dict[str, Entry]:
        """The index's entries of these videos, by path below the folder."""
        entries = {entry.file: entry for entry in self.preparation.entries(self.root) or ()}
        files = {name: f"{self.folder.name}/{name}" for name in self.names}
        return {name: entries[file] for name, file in files.items() if file in entries}

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256 by path below the folder; hashed once, then known by size and time of change."""
        from mmbench.media.sources import file_digest
        from mmbench.weights.file_digests import DigestCache
        from mmbench.weights.locations import home

        if all(name in self.known and self.known[name].is_of(self.folder / name) for name in self.names):
            return {name: self.known[name].sha256 for name in self.names}
        inside = {name: file_digest(path) for name in self.names if find_member(path := self.folder / name)}
        if len(inside) == len(self.names):
            return inside
        found = DigestCache(home() / "digests.json").hashes(self.folder) | inside
        return {name: found[name] for name in self.names}

    @cached_property
    def current(self) -> dict[str, Entry]:
        """The index's entries of videos whose contents are the same now, if what was made of them is still there."""
        from mmbench.console import log

        found = {name: entry for name, entry in self.known.items() if entry.sha256 == self.hashes[name]}
        found = {name: entry for name, entry in found.items() if not entry.clip or self._made(entry).is_file()}
        if lacking := len(self.names) - len(found):
            say = log.warning if self.known else log.info
            text = "%d of %d videos in %s are decoded for each clip; once and for all: %s"
            say(text, lacking, len(self.names), self.folder, self._prepare)
        return found

    def _made(self, entry: Entry) -> Path:
        return self.root / self.preparation.folder / entry.clip

    @property
    def _prepare(self) -> str:
        return f"mmbench data prepare {self.preparation.dataset} --root {self.root}"

    @cached_property
    def starts(self) -> dict[str, int]:
        """Number of clips by path below the folder, of videos that have any; the others are named in the log."""
        from mmbench.console import log
        from mmbench.media.sources import probe_file

        counts = {}
        for name, reason in self.unreadable.items():
            log.warning("%s is not used: %s", printable(self.folder / name), reason)
        for name in self.names:
            entry = self.current.get(name)
            try:
                # Damage within does not show here, so that the clips to choose from are the same before and after.
                if entry is None or entry.status == "corrupt":
                    report = probe_file(self.folder / name)
                    why = why_none(report) if report["video"] else "it has no video"
                else:
                    why = entry.reason
            except MediaError as error:
                why = reason_of(error, self.folder / name)
            if why:
                log.warning("%s is not used: %s", self.folder / name, why)
            elif entry is not None and entry.clip:
                counts[name] = entry.notes["starts"]
            else:
                counts[name] = num_starts(report["video"]["frames"], Fraction(report["video"]["fps"]))
        if not counts:
            found = f"{self.folder} holds {len(self.names)} videos, none with a clip of 1.6 s and sound."
            raise MMBenchError(found, "the authors' videos", f"ls {self.folder}; they are at {PAGE}")
        return counts

    def item(self, name: str, start: int) -> Item:
        """The clip of one video that begins at one tick."""
        where = {"file": f"{self.folder.name}/{name}", "tick": start}
        id = f"{Path(name).with_suffix('').as_posix()}-{start:04d}"
        return Item(id, Prompt(id, "", where), self._clip(name, start))

    def _clip(self, name: str, start: int) -> Clip:
        path, entry = self.folder / name, self.current.get(name)
        if entry is None or not entry.clip:
            return cut(path, start)
        made = self._made(entry)
        return cut_ready(path, start, entry, made, f"rm {made}; {self._prepare}")


def _why_unreadable(path: Path) -> str:
    """Why a video is no file to read, or an archive cannot be read; "" where it is one."""
    if why := why_irregular(path):
        return why
    try:
        if is_called_tar(path):
            members(path)
    except MediaError as error:
        return reason_of(error, path)
    return ""


class MMDiffusionData(VideoCopy):
    """A folder with `train` and `test`; see the module.

    Args:
        path: Where it is. Without it MMBENCH_DATA_<NAME>, $MMBENCH_HOME/data/<folder> and ./data/<folder> are tried.

    Attributes:
        folder: The authors' name of the folder.

    Raises:
        MMBenchError: It is nowhere, or has no videos in `train`.
    """

    folder: ClassVar[str]
    format = FORMAT
    missing = ()  # nobody published a list of the videos
    default_metrics = ("fvd", "fad", "ib_av", "av_align")

    def __init__(self, path: str = "") -> None:
        name, folder = self.name, self.folder
        variable, places = data_places(name, folder, path)
        root = next((place for place in places if (place / "train").is_dir()), None)
        if root is None:
            tried = " or ".join(str(place) for place in places)
            raise MMBenchError(
                f"{name}: {tried} is not here, or has no folder train.",
                f"{folder} as its authors distribute it, with the folders train and test",
                f"download {folder} from {PAGE}, then --dataset {name}:PATH or export {variable}=PATH",
            )
        self.root = root
        self.train, self.test = (Split(root, split, self.preparation) for split in ("train", "test"))
        if not self.train.names:
            raise MMBenchError(f"{self.train.folder} holds no videos.", f"those of {folder}", f"ls {self.train.folder}")

    @property
    def preparation(self) -> Preparation:
        """Whole videos are made ready, in a folder of the dataset's own: `landscape` may have the same root."""
        where = {"folder": f"{PREPARED}/{self.name}", "clip": "{key}.safetensors"}
        return Preparation(self.name, FORMAT, make_ready, version=1, why=why_none, **where)

    @property
    def videos(self) -> dict[str, str]:
        """Path below the root of every video, by itself."""
        names = [f"{part.folder.name}/{name}" for part in (self.train, self.test) for name in part.all_names]
        return dict(zip(names, names, strict=True))

    @cached_property
    def _digest(self) -> str:
        parts = (("train", self.train), ("test", self.test))
        return digest_bytes(*(f"{p}/{n}\0{h}".encode() for p, part in parts for n, h in sorted(part.hashes.items())))

    def spec(self) -> Spec:
        """Version, format, and a digest of the names and contents of all videos; no path."""
        count = {"num_train": len(self.train.hashes), "num_test": len(self.test.hashes)}
        return {"name": self.name, "version": VERSION, "format": asdict(FORMAT), **count, "digest": self._digest}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """`num` empty prompts; the samples differ by their ids."""
        return [Prompt(f"{i:05d}", "") for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        """A clip of `test`, all that could be cut out of it being equally likely.

        Raises:
            MMBenchError: There is no folder `test`, or no usable video in it.
        """
        if not self.test.names:
            found = f"{self.test.folder} holds no videos, so there are no held-out clips."
            raise MMBenchError(
                found, "the test half, for ground_truth and independent", f"ls {self.test.folder.parent}"
            )
        names, ends = list(self.test.starts), list(accumulate(self.test.starts.values()))
        pick = int(request.rng(stream).integers(ends[-1]))
        k = bisect_right(ends, pick)
        return self.test.item(names[k], pick - (ends[k - 1] if k else 0))

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """Clips of `train`, spread evenly over its videos; no clip twice, though clips of one video may overlap.

        Args:
            num: How many, at most as many as there are; None takes one clip of every video.
            seed: Of the order of the videos, and of where each one's clips begin.
        """
        starts = self.train.starts
        rng = np.random.Generator(np.random.PCG64([seed, 0x7261696E]))
        order = {name: rng.permutation(starts[name]) for name in rng.permutation(sorted(starts)).tolist()}
        wanted = len(order) if num is None else min(num, sum(starts.values()))
        chosen: list[tuple[str, int]] = []
        for turn in range(max(starts.values())):
            if len(chosen) >= wanted:
                break
            chosen += [(name, int(ticks[turn])) for name, ticks in order.items() if turn < len(ticks)]
        return Reference(self.train, chosen[:wanted])

    def every_clip(self, seed: int) -> tuple[Sequence[Item], int]:
        """All clips of `train`, one of each video before the next of any, and the number of its usable videos."""
        starts = self.train.starts
        return self.reference(sum(starts.values()), seed), len(starts)


class Reference(LazyItems):
    """Clips of one part, decoded when indexed."""

    def __init__(self, part: Split, chosen: Sequence[tuple[str, int]]) -> None:
        self.part, self.chosen = part, chosen

    def make(self, choice: tuple[str, int]) -> Item:
        """Decode one clip by its video's name and first tick."""
        return self.part.item(*choice)

    def text(self, choice: tuple[str, int]) -> str:
        """No clip has a text."""
        return ""


@register("dataset", "landscape_ind", "Landscape as MM-Diffusion has it: nature, 1.6 s, 64x64 at 10 fps, no texts.")
class LandscapeInDomain(MMDiffusionData):
    """Nine kinds of scenes, 928 videos in clips of 10 s (arXiv 2212.09478)."""

    name, folder = "landscape_ind", "landscape"


@register("dataset", "aistpp", "AIST++ as MM-Diffusion has it: dance to music, 1.6 s, 64x64 at 10 fps, no texts.")
class AISTPlusPlus(MMDiffusionData):
    """Street dance of the AIST database, cropped to the dancer (arXiv 2212.09478)."""

    name, folder = "aistpp", "AIST++_crop"

"""Datasets of the first clip of each of a user's videos: by default 2 s, 256x256 at 8 fps, as out-of-domain pairs are.

The user brings the videos; a subclass says which of them there are, what texts they have, and which are held out.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import cached_property, partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from mmbench.dataset_names import DatasetName
from mmbench.datasets.copies.conformed import PREPARED, Entry, Preparation, conformed, lossless
from mmbench.datasets.copies.lazy import LazyItems
from mmbench.datasets.copies.places import data_places
from mmbench.datasets.copies.texts import CAPTIONS
from mmbench.datasets.copies.usable_videos import current_entries, find_videos
from mmbench.datasets.copies.video_copy import VideoCopy
from mmbench.errors import MMBenchError
from mmbench.identity import digest_bytes
from mmbench.media.tar_members import is_called_tar
from mmbench.types import Clip, ClipFormat, Item, Prompt, Request, Spec

FORMAT = ClipFormat(num_frames=16, height=256, width=256, fps=8.0, num_samples=32000, sample_rate=16000)


def rank(*key: object) -> bytes:
    """The place of a key in an order that is drawn once: its sha256."""
    return hashlib.sha256("\0".join(map(str, key)).encode(errors="surrogatepass")).digest()


class FirstClips(VideoCopy):
    """The first clip of each of a user's videos, or what `mmbench data prepare` made of them.

    Args:
        path: Where the copy is. Without it MMBENCH_DATA_<NAME>, $MMBENCH_HOME/data/<name> and ./data/<name> are tried.
        shape: Another length, rate or size of the clips, as `ClipFormat.changed` takes them.

    Attributes:
        title: Name of the dataset in words.
        naming: How its videos are named, for errors.
        page: Where they come from.
        needed: Which videos the dataset cannot do without, for errors; {seconds} is the length of a clip.
        version: Raised by hand when what is drawn changes.
        stream: Of the prompts' generator.

    Raises:
        UsageError: Clips cannot have this shape.
        MMBenchError: The copy is nowhere.
    """

    title: ClassVar[str]
    naming: ClassVar[str]
    page: ClassVar[str]
    needed: ClassVar[str]
    version: ClassVar[int] = 1
    stream: ClassVar[int]
    reference_split = "train"
    format = FORMAT
    default_metrics = ("fvd", "fad", "ib_tv", "ib_ta", "ib_av", "av_align")

    def __init__(self, path: str = "", *, shape: Mapping[str, float] | None = None) -> None:
        self.format = FORMAT.changed(**shape or {})
        self.typed = str(DatasetName(self.name, options=dict(shape or {})))
        variable, places = data_places(self.name, self.name, path)
        root = next((place for place in places if place.is_dir()), None)
        if root is None:
            raise MMBenchError(
                f"{self.name}: {' or '.join(map(str, places))} is not a folder.",
                f"{self.title}'s videos, {self.naming}",
                f"get them as {self.page} says, then --dataset {self.name}:PATH or export {variable}=PATH",
            )
        self.root = root

    @abstractmethod
    def key(self, path: str) -> str:
        """Key of a video by its path below the root; "" if it is none of the dataset's."""

    @property
    @abstractmethod
    def labels(self) -> dict[str, str]:
        """Text by key of the videos that may be used, here or not."""

    @abstractmethod
    def held_out(self, key: str) -> bool:
        """Whether a usable video belongs to those that prompts and real clips come from."""

    @abstractmethod
    def referred_to(self, key: str) -> bool:
        """Whether a usable video belongs to the reference."""

    @property
    def preparation(self) -> Preparation:
        """A video has one clip, which is made ready; those of another shape lie in a folder of their own."""
        form = self.format
        folder = PREPARED if form == FORMAT else f"{PREPARED}/{form.size()}"
        return Preparation(self.name, form, partial(lossless, form=form), version=1, folder=folder, typed=self.typed)

    @cached_property
    def all_videos(self) -> dict[str, str]:
        """Path below the root by key of the videos that are here."""
        return find_videos(self.root, self.key)

    @cached_property
    def videos(self) -> dict[str, str]:
        """Path below the root by key of the videos that are here and may be used, and archives that cannot be read."""
        return {key: path for key, path in self.all_videos.items() if key in self.labels or is_called_tar(path)}

    @property
    def missing(self) -> list[str]:
        """Names of videos that the split has and the copy has not."""
        return [f"{key}.mp4" for key in self.labels if key not in self.videos]

    @cached_property
    def usable(self) -> dict[str, Entry]:
        """Videos with a clip, by key; the others are counted in the log, with -v named."""
        from mmbench.console import log

        entries = current_entries(self.root, list(self.videos.values()), self.preparation)
        bad = [entry for entry in entries if entry.reason]
        for entry in bad:
            log.info("%s is not used: %s", self.root / entry.file, entry.reason)
        if bad:
            log.warning("%d of %d videos cannot be used; %s lists them", len(bad), len(entries), self._check)
        found = {self.key(e.file): e for e in entries if e.status == "ok"}
        found = {key: entry for key, entry in sorted(found.items()) if key in self.labels}
        if not found:
            raise MMBenchError(
                f"{self.root} holds {len(self.all_videos)} videos named like {self.title}, none that can be used.",
                self.needed.format(seconds=f"{self.format.seconds:g} s"),
                self._check,
            )
        return found

    @cached_property
    def ready(self) -> dict[str, Entry]:
        """The usable videos, all of which have a text.

        Raises:
            MMBenchError: Some have none.
        """
        bare = [key for key in self.usable if not self.labels[key]]
        if bare:
            found = f"{len(bare)} of {len(self.usable)} videos in {self.root} have no caption, first {bare[0]}."
            remedy = f"mmbench data caption {self.name} --root {self.root}"
            raise MMBenchError(found, f"all of them in {self.root / CAPTIONS}, columns file,caption", remedy)
        return self.usable

    @property
    def _check(self) -> str:
        return self.preparation.command("check", self.root)

    @cached_property
    def _held_out(self) -> dict[str, list[str]]:
        """Keys of held-out videos by text."""
        keys: dict[str, list[str]] = {}
        for key in self.ready:
            if self.held_out(key):
                keys.setdefault(self.labels[key], []).append(key)
        if not keys:
            found = f"{self.root} holds no usable video of the held-out half, so there are no prompts."
            raise MMBenchError(found, f"test videos of {self.title}", self._check)
        return dict(sorted(keys.items()))

    @cached_property
    def _reference(self) -> list[str]:
        return [key for key in self.ready if self.referred_to(key)]

    @cached_property
    def _digest(self) -> str:
        lines = (f"{key}\0{entry.sha256}\0{self.labels[key]}" for key, entry in self.ready.items())
        return digest_bytes(*(line.encode(errors="surrogatepass") for line in lines))

    def spec(self) -> Spec:
        """Version, format, and a digest of keys, texts and contents of all usable videos; no path.

        Prepared clips are those that the videos give, so both ways of having them are one dataset.
        """
        count = {"num_held_out": sum(map(len, self._held_out.values())), "num_reference": len(self._reference)}
        kind = {"name": self.name, "version": self.version, "format": asdict(self.format)}
        return {**kind, "reference": self.reference_split, **count, "digest": self._digest}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """`num` texts drawn with the seed, every text that has held-out videos being equally likely."""
        texts = list(self._held_out)
        rng = np.random.Generator(np.random.PCG64([seed, self.stream]))
        return [Prompt(f"{i:05d}", texts[int(rng.integers(len(texts)))]) for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        """A held-out video's clip with the text that the prompt is, drawn uniformly.

        Raises:
            MMBenchError: No held-out video has this text.
        """
        keys = self._held_out.get(request.prompt.text)
        if keys is None:
            raise MMBenchError(f"No held-out video has the label {request.prompt.text!r}.", "a prompt of this dataset")
        return self.items([keys[int(request.rng(stream).integers(len(keys)))]])[0]

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """The first `num` clips of the reference (all if None or fewer), in an order drawn from `seed`.

        Raises:
            MMBenchError: There are none.
        """
        keys = sorted(self._reference, key=lambda key: rank(seed, key))[:num]
        if not keys:
            found = f"{self.root} holds no usable {self.reference_split} videos for the reference."
            raise MMBenchError(found, f"more of {self.title}", self._check)
        return self.items(keys)

    def items(self, keys: Sequence[str]) -> Clips:
        """Items of usable videos."""
        return Clips(self.root, self.preparation, [(key, self.labels[key], self.usable[key]) for key in keys])


class Clips(LazyItems):
    """Items decoded when indexed, from prepared clips where there are such."""

    def __init__(self, root: Path, how: Preparation, chosen: Sequence[tuple[str, str, Entry]]) -> None:
        self.root, self.how, self.chosen = root, how, chosen

    def make(self, choice: tuple[str, str, Entry]) -> Item:
        """Read one clip by its key, label and entry."""
        key, label, entry = choice
        return Item(key, Prompt(key, label, {"file": entry.file}), self._clip(entry))

    def text(self, choice: tuple[str, str, Entry]) -> str:
        """The label or caption."""
        return choice[1]

    def _clip(self, entry: Entry) -> Clip:
        if not entry.clip:
            return conformed(self.root / entry.file, self.how.format)
        from mmbench.media.clip_files import read_lossless

        return replace(read_lossless(self.root / self.how.folder / entry.clip), notes=entry.notes)

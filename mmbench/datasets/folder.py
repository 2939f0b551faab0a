"""Any directory of clips as a dataset, with prompts from an optional table `file,prompt`.

For generation and training, half of the clips are held out: their prompts are generated for and never trained on, and
the others are the reference. Another share is `folder:PATH?held_out=0.2`; 0 holds nothing out, and prompts and
reference are all clips. A clip's part follows from its file name alone, so adding or removing files moves no other
clip. Clips that somebody else made are compared with all of them, unless a share is given. Clips of another shape are
`folder:PATH?seconds=8&fps=25&size=256`.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench.datasets.copies.fit import clip_shape, why_unfit
from mmbench.datasets.copies.lazy import LazyItems
from mmbench.datasets.copies.texts import read_prompts
from mmbench.errors import MMBenchError, UsageError
from mmbench.identity import digest_bytes
from mmbench.registry import register
from mmbench.types import ClipFormat, Item, Prompt, Request, Spec

VERSION = 1
HELD_OUT = 0.5  # share of clips, by default
SILENT_RATE = 16000  # nominal sample rate [Hz] of a format without sound


def _is_held_out(name: str, share: float) -> bool:
    """Whether a file belongs to the held-out clips: by one bit of its name for halves, by its rank for other shares."""
    rank = _rank(name)
    return not rank[0] % 2 if share == HELD_OUT else int.from_bytes(rank[1:9]) < share * 2**64


def _rank(*key: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, key)).encode(errors="surrogatepass")).digest()


def majority_format(reports: Sequence[dict[str, Any]]) -> ClipFormat:
    """The format most clips have: their rates and size, then the most frequent number of frames among those."""
    shapes = Counter(map(clip_shape, reports))
    fps, height, width, rate = shape = max(shapes, key=lambda s: (shapes[s], s))
    lengths = Counter(r["video"]["frames"] for r in reports if clip_shape(r) == shape)
    frames = max(lengths, key=lambda n: (lengths[n], n))
    num_samples = round(frames / fps * rate)
    return ClipFormat(frames, height, width, float(fps), num_samples, rate or SILENT_RATE)


@register("dataset", "folder", "Your own clips: folder:PATH, with an optional CSV file,prompt.")
class Folder:
    """A directory of clips (or video/audio pairs of one stem).

    Args:
        path: The directory, of clips or of tar archives of them; or one archive.
        held_out: Share of the clips that is held out, from 0 to below 1; 0.5 by default.
        format: The format wanted; clips are then resampled to it. Without it the format of most clips, and clips that
            differ in rates or size are rejected. In both cases longer clips are cut, shorter ones rejected.
        shape: Another length, rate or size than the format's, as `ClipFormat.changed` takes them; clips are resampled.

    Attributes:
        rejected: Files that are not used, with the reason.

    Raises:
        UsageError: No path, an impossible share, shape or table of prompts.
        MMBenchError: Fewer than two usable clips.
    """

    name = "folder"

    def __init__(
        self,
        path: str = "",
        *,
        held_out: float | None = None,
        format: ClipFormat | None = None,
        shape: Mapping[str, float] | None = None,
    ) -> None:
        from mmbench.media.sources import FileSource, Rejected, holds_clips, probe_file, submission

        if not path:
            raise UsageError("The dataset folder needs a directory.", "folder:PATH", "--dataset folder:my_clips")
        if not holds_clips(Path(path)):
            raise UsageError(f"{path} is not a directory.", "folder:PATH with a directory of clips", f"ls {path}")
        if not (isinstance(held_out, int | float | None) and 0 <= (held_out or 0) < 1):
            found, remedy = (
                f"folder holds out the share {held_out!r} of its clips.",
                f"--dataset 'folder:{path}?held_out=0.5'",
            )
            raise UsageError(found, "a number from 0 to below 1", remedy)
        self.held_out_share, self._as_asked = HELD_OUT if held_out is None else held_out, held_out is not None
        texts = read_prompts(Path(path))
        sources, rejected = submission(path)
        reports = []
        for source in sources:
            report = probe_file(source.path)
            if isinstance(source, FileSource) and source.audio_path:
                report = {**report, "audio": probe_file(source.audio_path)["audio"]}
            reports.append(report)
        self.format = (format or majority_format(reports)).changed(**shape or {})
        exact = not (format or shape)
        reasons = [why_unfit(report, self.format, exact) for report in reports]
        self.rejected = rejected + [Rejected(s.path, r) for s, r in zip(sources, reasons, strict=True) if r]
        self._sources = {Path(s.path).name: s for s, r in zip(sources, reasons, strict=True) if not r}
        if len(self._sources) < 2:
            why = "".join(f"\n  {r.path}: {r.reason}" for r in self.rejected[:5])
            raise MMBenchError(f"{path} holds {len(self._sources)} usable clips.{why}", "at least two", f"ls {path}")
        self._texts = {name: texts.get(name, "") for name in self._sources}
        self._held_out = {name for name in self._sources if _is_held_out(name, self.held_out_share)}

    @cached_property
    def _digest(self) -> str:
        lines = (f"{n}\0{s.digest}\0{self._texts[n]}" for n, s in sorted(self._sources.items()))
        return digest_bytes(*(line.encode(errors="surrogatepass") for line in lines))

    @property
    def label(self) -> str:
        """Name of these clips, by their contents, under which discriminators trained on them are filed."""
        return f"{self.name}_{self._digest[:8]}"

    def spec(self) -> Spec:
        """Version, format, and a digest of the names, contents and prompts of all usable clips; no path."""
        count: Spec = {"num_clips": len(self._sources), "num_held_out": len(self._held_out)}
        return {"name": self.name, "version": VERSION, "format": asdict(self.format), **count, "digest": self._digest}

    def _ordered_names(self, held_out: bool, seed: int) -> list[str]:
        """File names of the held-out or the reference clips, in an order of the seed and each name alone."""
        names = [n for n in self._sources if (n in self._held_out) == held_out or not self.held_out_share]
        if not names:
            empty = "held-out" if held_out else "reference"
            raise MMBenchError(
                f"All {len(self._sources)} clips fall in the other half; the {empty} half is empty.",
                "clips in both halves, which follow from the file names",
                "add clips",
            )
        return sorted(names, key=lambda name: _rank(seed, name))

    def _item(self, name: str) -> Item:
        from mmbench.media.resample import conform

        source = self._sources[name]
        prompt = Prompt(source.id, self._texts[name], {"file": name})
        return Item(source.id, prompt, conform(source.load(), self.format))

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """One prompt per held-out clip in an order drawn from `seed`; after the last they repeat under new ids."""
        names = self._ordered_names(True, seed)
        prompts = []
        for i in range(num):
            turn, k = divmod(i, len(names))
            suffix = f"#{turn + 1}" if turn else ""
            prompts.append(Prompt(self._sources[names[k]].id + suffix, self._texts[names[k]], {"file": names[k]}))
        return prompts

    def real(self, request: Request, stream: str) -> Item:
        """A held-out clip with the text of the request's prompt, drawn uniformly from the given stream.

        Raises:
            MMBenchError: No held-out clip has this text.
        """
        names = [n for n in self._ordered_names(True, 0) if self._texts[n] == request.prompt.text]
        if not names:
            raise MMBenchError(f"No held-out clip has the prompt {request.prompt.text!r}.", "a prompt of this dataset")
        return self._item(names[request.rng(stream).integers(len(names))])

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """The first `num` clips of the reference half (all if None or fewer), in an order drawn from `seed`."""
        return Reference(self, self._ordered_names(False, seed)[:num])

    def whole(self) -> Folder:
        """All clips as reference, for clips that were not made for prompts of this folder; itself if a share was given.

        A share in the path was asked for, and is kept.
        """
        if self._as_asked:
            return self
        everything = copy(self)
        everything.held_out_share, everything._held_out = 0.0, set()
        return everything


class Reference(LazyItems):
    """Clips of the reference half, decoded when indexed."""

    def __init__(self, dataset: Folder, names: Sequence[str]) -> None:
        self.dataset, self.chosen = dataset, names

    def make(self, choice: str) -> Item:
        """Decode one clip by its name."""
        return self.dataset._item(choice)

    @property
    def ids(self) -> list[str]:
        """The names of all clips, without their endings."""
        return [self.dataset._sources[choice].id for choice in self.chosen]

    def text(self, choice: str) -> str:
        """The prompt in the folder's table; "" without one."""
        return self.dataset._texts[choice]

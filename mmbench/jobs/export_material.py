"""What `mmbench export` lays out: the clips of a run or of a folder, with what is known of them without decoding."""

from __future__ import annotations

import shlex
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.submissions import WHOLE, find_set, open_run, open_submission
from mmbench.media.layouts.folder import Content
from mmbench.media.layouts.layout import Piece
from mmbench.media.regular_files import is_there
from mmbench.media.sources import FileSource, probe_file
from mmbench.runs.find import name_out
from mmbench.runs.store import SampleStore
from mmbench.scores.accounting import length_of
from mmbench.types import ClipSource


@dataclass(frozen=True)
class Material:
    """What there is to export.

    Attributes:
        name: Of the run or folder.
        origin: The same, with the digest of a run, for the export's record.
        pieces: The clips.
        sources: Where each is had.
        contents: What tells each from another.
        left_out: How many clips that might be expected are not among them, by why.
    """

    name: str
    origin: str
    pieces: Sequence[Piece]
    sources: Sequence[ClipSource]
    contents: Sequence[Content]
    left_out: Mapping[str, int]

    def without(self, positions: Container[int]) -> Material:
        """The same without the clips at some positions."""
        kept = [k for k in range(len(self.pieces)) if k not in positions]
        parts: dict[str, Any] = {
            name: [getattr(self, name)[k] for k in kept] for name in ("pieces", "sources", "contents")
        }
        return replace(self, **parts)


def gather_material(name: str, runs: Path, num: int | None) -> Material:
    """The clips of a run or folder; warns of files that are no clip.

    Args:
        name: A run (folder, id, beginning of an id) or a folder of clips.
        runs: Folder of runs.
        num: Of a run, the first `num` samples; all that are on disk if None.

    Raises:
        UsageError: There is no such run or folder.
        MMBenchError: It holds no clip.
    """
    folder = find_set(name, runs)
    if folder is None and not is_there(name):
        listed = shlex.join(["mmbench", "list", "runs", *name_out(runs)])
        raise UsageError(f"{name!r} is no run in {runs}, and no folder.", "a run, or clips", listed)
    material = _of_folder(Path(name)) if folder is None else _of_run(open_run(folder), num)
    if not material.pieces:
        raise MMBenchError(f"{name} has no clip to export.", "samples", "mmbench generate ...")
    return material


def _of_run(store: SampleStore, num: int | None) -> Material:
    status = store.status(num)
    records = [store.record(index) for index in status.present]
    pieces, contents = [], []
    for r in records:
        seconds, has_sound = length_of(r.size)
        pieces.append(Piece(r.index, r.prompt_id, r.text, seconds, has_sound))
        contents.append(Content(r.digest, (r.video_digest, r.audio_digest if has_sound else "")))
    counts = {"failed": len(status.failed), "missing": len(status.missing)}
    left_out = {why: count for why, count in counts.items() if count}
    sources = [store.source(r.index) for r in records]
    origin = f"run {store.run.run_id} ({store.run.digest})"
    return Material(store.folder.name, origin, pieces, sources, contents, left_out)


def _of_folder(path: Path) -> Material:
    given = open_submission(path, path.resolve().stem, WHOLE)
    pieces, sources, contents = [], [], []
    for index, sample in enumerate(s for s in given.samples if s is not None):
        source = sample.source
        assert isinstance(source, FileSource), "a whole video is one file"
        seen = probe_file(source.path)
        sound = (probe_file(source.audio_path) if source.audio_path else seen)["audio"]
        seconds = float(seen["video"]["frames"] / Fraction(seen["video"]["fps"]))
        shorter = min(seconds, sound["duration"]) if sound else seconds
        pieces.append(Piece(index, source.id, sample.text, shorter, sound is not None))
        sources.append(source)
        contents.append(Content(source.digest))
    unusable = len(given.samples) - len(pieces)
    left_out = {"no clip": unusable} if unusable else {}
    return Material(given.name, f"clips of {path}", pieces, sources, contents, left_out)

"""Lays runs and folders of clips out as another benchmark reads them: `mmbench export`."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.submissions import WHOLE, find_set, open_run, open_submission
from mmbench.media.layouts.folder import Content, begin_export, write_clips
from mmbench.media.layouts.known import layout_named
from mmbench.media.layouts.layout import Piece
from mmbench.media.sources import FileSource, probe_file
from mmbench.progress import progress
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
        left_out: Why clips that might be expected are not among them, with how many.
    """

    name: str
    origin: str
    pieces: Sequence[Piece]
    sources: Sequence[ClipSource]
    contents: Sequence[Content]
    left_out: str


def export_all(
    names: Sequence[str],
    layout: str,
    folder: Path,
    runs: Path,
    num: int | None = None,
    lossy: bool = False,
    command: Sequence[str] = (),
    quiet: bool = True,
) -> tuple[list[dict[str, Any]], list[str]]:
    """Export runs and folders of clips; one goes to the folder itself, several to folders in it, named like them.

    Args:
        names: Each a run (folder, id, beginning of an id) or a folder of clips.
        layout: Of the benchmark that is to read them.
        folder: Where the export goes.
        runs: Folder of runs.
        num: Of runs, the first `num` samples; by default all that are on disk.
        lossy: Write small MP4s that everything plays, not exact ones.
        command: What was typed, for an interrupted export.
        quiet: Show no progress.

    Returns:
        A row per export, and notes: what the benchmark will not count, and what to type there.

    Raises:
        UsageError: No such layout, two of one name, clips that the benchmark cannot take, or a folder of other things.
        MMBenchError: Nothing to export, or the folder cannot be written.
    """
    chosen = layout_named(layout)
    found = [_gather(name, runs, num) for name in names]
    if len({m.name for m in found}) < len(found):
        raise UsageError("Two of them would go to one folder.", "runs or folders of different names", "--out for each")
    rows, notes = [], []
    for material in found:
        to = folder if len(found) == 1 else folder / material.name
        plan = chosen.plan(material.pieces)
        record = {"layout": layout, "source": chosen.source, "lossy": lossy, "origin": material.origin}
        begin_export(to, {**record, "command": shlex.join(command)}, plan, material.contents)
        with progress(f"export {material.name}", len(plan.places), quiet) as bar:
            written = write_clips(to, plan, material.sources, lossy, bar.advance)
        row = {"from": material.name, "layout": layout, "clips": len(plan.places), "written": written}
        rows.append({**row, "left out": material.left_out, "lossy": "yes" if lossy else "no", "folder": str(to)})
        notes += [note for note in plan.notes if note not in notes]
        notes.append(f"Next: {chosen.next_step(shlex.quote(str(to)), plan)}")
    if lossy:
        notes.insert(0, "Lossy: pictures and the sound of MP4s are not those of the run; numbers change a little.")
    return rows, notes


def _gather(name: str, runs: Path, num: int | None) -> Material:
    folder = find_set(name, runs)
    if folder is None and not Path(name).exists():
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
    left_out = ", ".join(f"{count} {why}" for why, count in counts.items() if count)
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
    left_out = f"{unusable} no clip" if unusable else ""
    return Material(given.name, f"clips of {path}", pieces, sources, contents, left_out)

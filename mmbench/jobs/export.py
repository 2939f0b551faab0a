"""Lays runs and folders of clips out as another benchmark reads them: `mmbench export`."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.jobs.export_material import Material, gather_material
from mmbench.media.layouts.folder import LEFT_OUT, begin_export, read_export, revise_export, write_clips
from mmbench.media.layouts.known import layout_named
from mmbench.media.layouts.layout import Layout, Plan
from mmbench.progress import progress
from mmbench.runs.stored import StoredSource
from mmbench.types import ClipSource


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

    A clip that cannot be read is named on stderr, counted in its row, and left out.

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
    found = [gather_material(name, runs, num) for name in names]
    if len({m.name for m in found}) < len(found):
        raise UsageError("Two of them would go to one folder.", "runs or folders of different names", "--out for each")
    rows, notes = [], []
    for material in found:
        to = folder if len(found) == 1 else folder / material.name
        record = {"layout": layout, "source": chosen.source, "lossy": lossy, "origin": material.origin}
        record["command"] = shlex.join(command)
        plan, unreadable, written = _export(material, chosen, to, record, lossy, quiet)
        left_out = {**material.left_out, **({"unreadable": len(unreadable)} if unreadable else {})}
        row = {"from": material.name, "layout": layout, "clips": len(plan.places), "written": written}
        told = ", ".join(f"{count} {why}" for why, count in left_out.items())
        rows.append({**row, "left out": told, "lossy": "yes" if lossy else "no", "folder": str(to)})
        notes += [note for note in plan.notes if note not in notes]
        notes.append(f"Next: {chosen.next_step(shlex.quote(str(to)), plan)}")
    if lossy:
        notes.insert(0, "Lossy: pictures and the sound of MP4s are not those of the run; numbers change a little.")
    return rows, notes


def _export(
    material: Material, layout: Layout, folder: Path, about: Mapping[str, Any], lossy: bool, quiet: bool
) -> tuple[Plan, dict[int, str], int]:
    """Export the clips that can be read: those that cannot are found when they are decoded, and planned without.

    Returns:
        What is in the folder, why some clips are not (by position), and how many were written now.
    """
    unreadable = _try_again(material, folder)
    begun, written = False, 0
    while True:
        kept = material.without(unreadable)
        if not kept.pieces:
            found = f"None of the {len(material.pieces)} clips of {material.name} can be read."
            raise MMBenchError(found, "clips that can be decoded", "mmbench generate ..., or other clips")
        plan = layout.plan(kept.pieces)
        left_out = [
            {"index": (piece := material.pieces[k]).index, "prompt_id": piece.id, "reason": reason}
            | {"digest": material.contents[k].digest}
            for k, reason in unreadable.items()
        ]
        (revise_export if begun else begin_export)(folder, {**about, LEFT_OUT: left_out}, plan, kept.contents)
        with progress(f"export {material.name}", len(plan.places), quiet) as bar:
            now, found_bad = write_clips(folder, plan, kept.sources, lossy, bar.advance)
        begun, written = True, written + now
        if not found_bad:
            return plan, unreadable, written
        positions = [k for k in range(len(material.pieces)) if k not in unreadable]
        for k, reason in found_bad.items():
            unreadable[positions[k]] = _warn(material.sources[positions[k]], reason)


def _try_again(material: Material, folder: Path) -> dict[int, str]:
    """The clips that an earlier export to the folder had to leave out, and that still cannot be read, with the reason.

    A clip is told by its content: a mended file is another clip.
    """
    before = read_export(folder) or {}
    known = {str(clip["digest"]) for clip in before.get(LEFT_OUT, [])}
    unreadable = {}
    for k, content in enumerate(material.contents):
        if content.digest in known:
            try:
                material.sources[k].load()
            except MediaError as error:
                unreadable[k] = _warn(material.sources[k], error.found)
    return unreadable


def _warn(source: ClipSource, reason: str) -> str:
    again = f" try: {source.remedy}" if isinstance(source, StoredSource) else ""
    log.warning("clip %s cannot be read: %s%s", source.id, reason, again)
    return reason

"""The layouts there are: by name, by what a folder shows, and their clips as sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.media.layouts.av_benchmark import AVBenchmark
from mmbench.media.layouts.folder import read_export
from mmbench.media.layouts.javisbench import JavisBench
from mmbench.media.layouts.layout import Found, Layout, count_of
from mmbench.media.layouts.t2av_compass import T2AVCompass
from mmbench.media.layouts.vbench import VBench
from mmbench.media.layouts.verse_bench import VerseBench
from mmbench.media.regular_files import is_utf8, printable
from mmbench.media.sources import NOT_UTF8, FileSource, Rejected, probe_file
from mmbench.types import Clip

LAYOUTS: dict[str, Layout] = {
    layout.name: layout for layout in (AVBenchmark(), JavisBench(), VerseBench(), T2AVCompass(), VBench())
}


@dataclass(frozen=True)
class ExportedSource(FileSource):
    """A clip that was exported without loss: the digests it had, and must have again ("" for no sound)."""

    video_digest: str = ""
    audio_digest: str = ""

    def load(self) -> Clip:
        """Decode the clip; MediaError if it is not what was exported. Its H.264 is then noted as exact."""
        clip = super().load()
        if (clip.video_digest(), clip.audio_digest() if len(clip.audio) else "") != (
            self.video_digest,
            self.audio_digest,
        ):
            raise MediaError(f"{self.path} is not what was exported.", "the file as it was written", "export it again")
        return replace(clip, notes={**clip.notes, "video": {**clip.notes["video"], "lossy": False}})


def layout_named(name: str) -> Layout:
    """A layout by its name; raises UsageError where there is none."""
    if name not in LAYOUTS:
        raise UsageError(f"No layout is called {name!r}.", ", ".join(LAYOUTS), f"--layout {next(iter(LAYOUTS))}")
    return LAYOUTS[name]


def recognise(folder: Path) -> str:
    """The layout that a folder can only be of: an export of ours, or unmistakable folders and prompts; "" if none."""
    if export := read_export(folder):
        return str(export["layout"])
    return next((name for name, layout in LAYOUTS.items() if layout.is_certain(folder)), "")


def read_layout(
    folder: Path, name: str, prompts: Path | None = None
) -> tuple[list[tuple[FileSource, str]], list[Rejected]]:
    """The clips of a folder in a layout, each with its prompt, and the files that are none.

    Those of an export of ours come in its order, which is that of the run.

    Args:
        folder: As the tool is given it, or an export of ours.
        name: Of the layout.
        prompts: The tool's prompt file, or Verse-Bench's folder of sets; by default that of an export.

    Raises:
        UsageError: No such layout, an export of another one, or prompts that do not fit.
        MMBenchError: An unfinished export, or no clip.
    """
    layout, export = layout_named(name), _open_export(folder, name)
    if not folder.is_dir():
        raise MMBenchError(f"{folder} is no folder.", f"clips as {name} has them", f"ls {folder.parent}")
    if prompts is not None and not prompts.exists():
        raise UsageError(f"{prompts} does not exist.", f"prompts as {name} has them", f"ls {prompts.parent}")
    reading = layout.read(folder, prompts)
    if broken := [f for f in reading.found if not is_utf8(f.text)]:
        words = f"The prompt of {printable(broken[0].video.name)} holds half of a surrogate pair, no character."
        raise UsageError(words, "text that UTF-8 can hold", "mend the file of prompts")
    samples = {folder / sample["video"]: sample for sample in export["samples"]} if export else {}
    rank = {path: k for k, path in enumerate(samples)}
    found = sorted(reading.found, key=lambda f: rank.get(f.video, len(rank)))
    if not found:
        raise MMBenchError(f"{folder} holds no clip as {name} names them.", "its folders and names", f"ls {folder}")
    mute = [f.video for f in found if f.sound is None and f.video not in samples]
    if 0 < len(mute) < len(found):
        log.warning("%s has no sound file of its name; what sound it has itself is scored.", mute[0])
    clips, rejected = [], list(reading.rejected)
    for clip in found:
        try:
            source = _source(clip, samples.get(clip.video, {}).get("content"))
        except MediaError as error:
            rejected.append(Rejected(printable(clip.video), error.found))
        else:
            clips.append((source, clip.text))
    return clips, rejected


def _open_export(folder: Path, name: str) -> dict[str, Any] | None:
    """The record of an export, if the folder is one; it must be whole, and for this benchmark."""
    if (export := read_export(folder)) is None:
        return None
    if export["layout"] != name:
        words = f"{folder} is an export for {export['layout']}."
        raise UsageError(words, "its own layout", f"mmbench evaluate {folder} --layout {export['layout']}")
    files = [file for s in export["samples"] for file in (s["video"], s["sound"]) if file]
    missing = [file for file in (*files, *export["tables"]) if not (folder / file).is_file()]
    if missing:
        words = f"{folder} is an unfinished export: {count_of(len(missing), 'file')} missing, {missing[0]} first."
        raise MMBenchError(words, f"{len(export['samples'])} clips and their prompts", export["command"])
    return export


def _source(found: Found, content: Sequence[str] | None) -> FileSource:
    """A clip to load, held to its digests where they are known; MediaError if a file of it is unreadable."""
    if not is_utf8(found.video.name):
        raise MediaError(NOT_UTF8)
    for file in filter(None, (found.video, found.sound)):
        probe_file(file)
    files = str(found.video), str(found.sound) if found.sound else None
    return ExportedSource(found.id, *files, *content) if content else FileSource(found.id, *files)

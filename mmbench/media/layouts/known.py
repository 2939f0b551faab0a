"""The layouts there are: by name, by what a folder shows, and their clips as sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.media.layouts.av_benchmark import AVBenchmark
from mmbench.media.layouts.folder import read_export
from mmbench.media.layouts.javisbench import JavisBench
from mmbench.media.layouts.layout import Found, Layout
from mmbench.media.layouts.t2av_compass import T2AVCompass
from mmbench.media.layouts.vbench import VBench
from mmbench.media.layouts.verse_bench import VerseBench
from mmbench.media.sources import FileSource, Rejected, probe_file
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
    layout = layout_named(name)
    if (export := read_export(folder)) and export["layout"] != name:
        words = f"{folder} is an export for {export['layout']}."
        raise UsageError(words, "its own layout", f"mmbench evaluate {folder} --layout {export['layout']}")
    if not folder.is_dir():
        raise MMBenchError(f"{folder} is no folder.", f"clips as {name} has them", f"ls {folder.parent}")
    if prompts is not None and not prompts.exists():
        raise UsageError(f"{prompts} does not exist.", f"prompts as {name} has them", f"ls {prompts.parent}")
    reading = layout.read(folder, prompts)
    found_files: Sequence[Found] = reading.found
    content: dict[Path, list[str]] = {}
    if export:
        order = [folder / sample["video"] for sample in export["samples"]]
        if missing := [path for path in order if not path.is_file()]:
            what = f"{folder} is an unfinished export: {missing[0].name} and {len(missing) - 1} more are not there."
            raise MMBenchError(what, f"{len(order)} clips", export["command"])
        rank = {path: k for k, path in enumerate(order)}
        found_files = sorted(found_files, key=lambda f: rank.get(f.video, len(rank)))
        content = {folder / s["video"]: s["content"] for s in export["samples"] if s["content"]}
    if not found_files:
        raise MMBenchError(f"{folder} holds no clip as {name} names them.", "its folders and names", f"ls {folder}")
    if 0 < sum(f.sound is None for f in found_files) < len(found_files):
        mute = next(f.video for f in found_files if f.sound is None)
        log.warning("%s has no sound file of its name; what sound it has itself is scored.", mute)
    clips, rejected = [], list(reading.rejected)
    for found in found_files:
        try:
            for file in filter(None, (found.video, found.sound)):
                probe_file(str(file))
        except MediaError as error:
            rejected.append(Rejected(str(found.video), error.found))
            continue
        sound = str(found.sound) if found.sound else None
        where = found.id, str(found.video), sound
        digests = content.get(found.video)
        clips.append((ExportedSource(*where, *digests) if digests else FileSource(*where), found.text))
    return clips, rejected

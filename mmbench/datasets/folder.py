"""Folder: any directory of clips as a dataset, with prompts from an optional table `file,prompt`.

Half of the clips are held out for `real`, the other half is the reference. A clip's half follows from its file name
alone, so adding or removing files moves no other clip.
"""

from __future__ import annotations

import csv
import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench.datasets.lazy import LazyItems
from mmbench.errors import MMBenchError, UsageError
from mmbench.registry import register
from mmbench.types import ClipFormat, Item, Prompt, Request, Spec, digest_bytes

VERSION = 1
SILENT_RATE = 16000  # nominal sample rate [Hz] of a format without sound


def _rank(*key: object) -> bytes:
    return hashlib.sha256("\0".join(map(str, key)).encode()).digest()


def _shape(report: dict[str, Any]) -> tuple[Fraction, int, int, int]:
    """Frame rate [1/s], height, width [px] and sample rate [Hz] (0 without sound) of a probed clip."""
    video, audio = report["video"], report["audio"]
    return Fraction(video["fps"]), video["height"], video["width"], audio["sample_rate"] if audio else 0


def majority_format(reports: Sequence[dict[str, Any]]) -> ClipFormat:
    """The format most clips have: their rates and size, then the most frequent number of frames among those."""
    shapes = Counter(map(_shape, reports))
    fps, height, width, rate = shape = max(shapes, key=lambda s: (shapes[s], s))
    lengths = Counter(r["video"]["frames"] for r in reports if _shape(r) == shape)
    frames = max(lengths, key=lambda n: (lengths[n], n))
    num_samples = round(frames / fps * rate)
    return ClipFormat(frames, height, width, float(fps), num_samples, rate or SILENT_RATE)


def why_unfit(report: dict[str, Any], form: ClipFormat, exact: bool) -> str | None:
    """Why a probed clip cannot be used in a format; None if it can.

    Args:
        report: What `probe` says of the clip's video and of its sound.
        form: The format.
        exact: Rates and size must be those of the format; otherwise clips are resampled.
    """
    fps, height, width, rate = _shape(report)
    if form.num_samples and not rate:
        return "it has no sound"
    wanted = Fraction(form.fps).limit_denominator(1_000_000)
    if exact and (fps, height, width) != (wanted, form.height, form.width):
        return f"{width}x{height} at {fps} 1/s, not {form.width}x{form.height} at {wanted} 1/s"
    if exact and form.num_samples and rate != form.sample_rate:
        return f"sound at {rate} Hz, not {form.sample_rate} Hz"
    if report["video"]["frames"] / fps * wanted <= form.num_frames - 1:
        return f"{float(report['video']['frames'] / fps):.3f} s of video, not {form.num_frames / form.fps:.3f} s"
    if form.num_samples and report["audio"]["duration"] <= form.num_samples / form.sample_rate - 1 / form.fps:
        return f"{report['audio']['duration']:.3f} s of sound, not {form.num_samples / form.sample_rate:.3f} s"
    return None


def read_prompts(folder: Path) -> dict[str, str]:
    """Prompts by file name from the folder's only CSV file, if it has one.

    Raises:
        UsageError: Several tables, wrong columns, a file named twice, or files that are not there.
    """
    tables = sorted(folder.glob("*.csv"))
    if len(tables) > 1:
        raise UsageError(f"{folder} holds {len(tables)} tables: {', '.join(t.name for t in tables)}.", "one CSV file")
    if not tables:
        return {}
    with tables[0].open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        if rows.fieldnames is None or not {"file", "prompt"} <= set(rows.fieldnames):
            raise UsageError(
                f"{tables[0]} has the columns {rows.fieldnames}.", "file,prompt", "add a first line: file,prompt"
            )
        pairs = [(row["file"], (row["prompt"] or "").strip()) for row in rows]
    names = Counter(name for name, _ in pairs)
    twice = [name for name in names if names[name] > 1]
    missing = [name for name in names if not (folder / name).is_file()]
    if twice:
        raise UsageError(f"{tables[0]} names {twice[0]} {names[twice[0]]} times.", "each file once")
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"{tables[0]} names {missing[0]}{more}, not in {folder}.", "files beside the table")
    return dict(pairs)


@register("dataset", "folder", "Your own clips: folder:PATH, with an optional CSV file,prompt.")
class Folder:
    """A directory of clips (or video/audio pairs of one stem).

    Args:
        path: The directory.
        format: The format wanted; clips are then resampled to it. Without it the format of most clips, and clips that
            differ in rates or size are rejected. In both cases longer clips are cut, shorter ones rejected.

    Attributes:
        rejected: Files that are not used, with the reason.

    Raises:
        UsageError: No path, or an impossible table of prompts.
        MMBenchError: Fewer than two usable clips.
    """

    name = "folder"

    def __init__(self, path: str = "", *, format: ClipFormat | None = None) -> None:
        from mmbench.sources import FileSource, Rejected, probe_file, submission

        if not path:
            raise UsageError("The dataset folder needs a directory.", "folder:PATH", "--dataset folder:my_clips")
        if not Path(path).is_dir():
            raise UsageError(f"{path} is not a directory.", "folder:PATH with a directory of clips", f"ls {path}")
        texts = read_prompts(Path(path))
        sources, rejected = submission(path)
        reports = []
        for source in sources:
            report = probe_file(source.path)
            if isinstance(source, FileSource) and source.audio_path:
                report = {**report, "audio": probe_file(source.audio_path)["audio"]}
            reports.append(report)
        self.format = format or majority_format(reports)
        reasons = [why_unfit(report, self.format, exact=format is None) for report in reports]
        self.rejected = rejected + [Rejected(s.path, r) for s, r in zip(sources, reasons, strict=True) if r]
        self._sources = {Path(s.path).name: s for s, r in zip(sources, reasons, strict=True) if not r}
        if len(self._sources) < 2:
            why = "".join(f"\n  {r.path}: {r.reason}" for r in self.rejected[:5])
            raise MMBenchError(f"{path} holds {len(self._sources)} usable clips.{why}", "at least two", f"ls {path}")
        self._texts = {name: texts.get(name, "") for name in self._sources}
        self._held_out = {name for name in self._sources if not _rank(name)[0] % 2}

    @cached_property
    def _digest(self) -> str:
        lines = (f"{n}\0{s.digest}\0{self._texts[n]}" for n, s in sorted(self._sources.items()))
        return digest_bytes(*(line.encode() for line in lines))

    @property
    def label(self) -> str:
        """What a discriminator trained on these clips is filed under."""
        return f"{self.name}_{self._digest[:8]}"

    def spec(self) -> Spec:
        """Version, format, and a digest of the names, contents and prompts of all usable clips; no path."""
        count = {"num_clips": len(self._sources), "num_held_out": len(self._held_out)}
        return {"name": self.name, "version": VERSION, "format": asdict(self.format), **count, "digest": self._digest}

    def _half(self, held_out: bool, seed: int) -> list[str]:
        """File names of one half in an order that depends on the seed and each name alone."""
        names = [n for n in self._sources if (n in self._held_out) == held_out]
        if not names:
            half = "held-out" if held_out else "reference"
            raise MMBenchError(
                f"All {len(self._sources)} clips fall in the other half; the {half} half is empty.",
                "clips in both halves, which follow from the file names",
                "add clips",
            )
        return sorted(names, key=lambda name: _rank(seed, name))

    def _item(self, name: str) -> Item:
        from mmbench.resample import conform

        source = self._sources[name]
        prompt = Prompt(source.id, self._texts[name], {"file": name})
        return Item(source.id, prompt, conform(source.load(), self.format))

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """One prompt per held-out clip in an order drawn from `seed`; after the last they repeat under new ids."""
        names = self._half(True, seed)
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
        names = [n for n in self._half(True, 0) if self._texts[n] == request.prompt.text]
        if not names:
            raise MMBenchError(f"No held-out clip has the prompt {request.prompt.text!r}.", "a prompt of this dataset")
        return self._item(names[request.rng(stream).integers(len(names))])

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """The first `num` clips of the reference half (all if None or fewer), in an order drawn from `seed`."""
        return Reference(self, self._half(False, seed)[:num])


class Reference(LazyItems):
    """Clips of the reference half, decoded when indexed."""

    def __init__(self, dataset: Folder, names: Sequence[str]) -> None:
        self.dataset, self.chosen = dataset, names

    def make(self, choice: str) -> Item:
        """Decode one clip by its name."""
        return self.dataset._item(choice)

"""The sample store of one run: a sample is whole or absent, and status is read from disk.

RUN/manifest.json            the run's spec (never rewritten)
RUN/invocations.jsonl        who worked on it, with what
RUN/resources.jsonl          what that took: samples made, seconds, peak memory
RUN/samples/000012.mkv       FFV1 + FLAC, exact
RUN/samples/000012.json      its record; the sample exists once this file does
RUN/samples/000012.failed.json   why there is none
RUN/samples/packs/           many of these in a few large files (`mmbench.runs.packs`)
RUN/work/                    what a system keeps in files of its own: logs of external programs that failed
RUN/leases/000012            who is making it (host, pid, start time)
"""

from __future__ import annotations

import io
import os
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import IntegrityError, MediaError, MMBenchError
from mmbench.files import append_line, read_json, remove_unfinished, write_json, write_whole, writing
from mmbench.leases import Lease, LeaseTable
from mmbench.media.clip_files import write_lossless
from mmbench.runs.pack_index import Packed
from mmbench.runs.packs import MOST_SAMPLES, PACKS, Packs
from mmbench.runs.spec import RunSpec
from mmbench.runs.stored import INVOCATIONS, StoredSource, find_stored, read_stored, read_stored_json, stored_size
from mmbench.types import Clip, Request

RESOURCES = "resources.jsonl"


@dataclass(frozen=True)
class SampleRecord:
    """The record of a stored sample: its prompt, the digests of its content, size, and what it took."""

    index: int
    prompt_id: str
    text: str
    digest: str
    video_digest: str
    audio_digest: str
    size: str
    bytes: int
    seconds: float
    notes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class FailureRecord:
    """Why a sample could not be made: `kind` is "non-finite", "media" or "error"; older ones may say "disk"."""

    index: int
    prompt_id: str
    text: str
    kind: str
    reason: str
    time: str


@dataclass(frozen=True)
class Status:
    """The indices of a run's samples that are present, failed and missing."""

    present: list[int]
    failed: list[int]
    missing: list[int]


def read_manifest(folder: Path) -> RunSpec:
    """The run that a folder's manifest describes.

    Raises:
        MMBenchError: The folder has no manifest.
        IntegrityError: The manifest is damaged, or contradicts its own digest.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise MMBenchError(f"{folder} is no run: it has no manifest.json.", "a run's folder", "mmbench list runs")
    return RunSpec.from_json(read_json(manifest), manifest)


def create_run_folder(out: Path, run: RunSpec, folders: Sequence[str] = ()) -> Path:
    """Make the folder of a run with its manifest, unless it is there.

    Args:
        out: The folder of runs.
        run: What the manifest describes.
        folders: Folders to make in it.

    Returns:
        The run's folder.

    Raises:
        MMBenchError: It cannot be written.
        IntegrityError: It holds another run's manifest.
    """
    folder = out / run.run_id
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name in folders:
            (folder / name).mkdir(exist_ok=True)
        remove_unfinished(folder, *(path for path in folder.iterdir() if path.is_dir()), folder / "samples" / PACKS)
        if not (folder / "manifest.json").exists():
            write_json(folder / "manifest.json", run.to_json(), indent=1)
    except OSError as error:
        found = f"Cannot write to {folder}: {error.strerror}."
        raise MMBenchError(found, "a folder you may write to", "--out FOLDER") from error
    if read_manifest(folder).digest != run.digest:
        raise IntegrityError(f"{folder} holds another run than its name says.", run.digest, "--out FOLDER")
    return folder


def note_invocation(folder: Path, record: Mapping[str, Any]) -> None:
    """Add one process's circumstances to a run's invocations."""
    append_line(folder / INVOCATIONS, record)


class SampleStore:
    """One run on disk: stores samples, says which there are, and lets one process at a time make each.

    Args:
        folder: The run's folder.
        run: What its manifest says.
    """

    def __init__(self, folder: Path, run: RunSpec) -> None:
        self.folder, self.run = folder, run
        self.samples, self.leases = folder / "samples", LeaseTable(folder / "leases")
        self.packs = Packs(self.samples)
        self.made = 0  # samples stored through this object

    @classmethod
    def create(cls, out: Path, run: RunSpec) -> SampleStore:
        """The store of `run` under `out`, made if absent; raises as `create_run_folder`."""
        return cls(create_run_folder(out, run, ("samples", "leases")), run)

    @classmethod
    def open(cls, folder: Path) -> SampleStore:
        """The store in `folder`; raises as `read_manifest`."""
        return cls(folder, read_manifest(folder))

    def _path(self, index: int, suffix: str) -> Path:
        return self.samples / f"{index:06d}{suffix}"

    def has(self, index: int) -> bool:
        """Whether sample `index` is stored."""
        record = self._path(index, ".json")
        return record.exists() or record.name in self.packs.members()

    def status(self, num: int | None = None) -> Status:
        """Which are on disk of samples 0 .. num - 1 (all that are on disk when num is None)."""
        packed = self.packs.members()
        names = {*packed, *os.listdir(self.samples), *self.packs.members()}  # none is missed that moves meanwhile
        present = {int(n[:6]) for n in names if n[6:] == ".json" and n[:6].isdigit()}
        failed = {int(n[:6]) for n in names if n[6:] == ".failed.json"} - present
        wanted = set(range(num)) if num is not None else present | failed
        return Status(sorted(present & wanted), sorted(failed & wanted), sorted(wanted - present - failed))

    def record(self, index: int) -> SampleRecord:
        """The record of a stored sample; IntegrityError if it is damaged."""
        path = self._path(index, ".json")
        try:
            return SampleRecord(**read_stored_json(path))
        except (IntegrityError, TypeError) as error:
            reason = error.found if isinstance(error, IntegrityError) else f"{path} is corrupt: {error}."
            raise IntegrityError(reason, "a sample's record", self.source(index).remedy) from error

    def failure(self, index: int) -> FailureRecord:
        """The record of a sample that failed."""
        path = self._path(index, ".failed.json")
        try:
            return FailureRecord(**read_stored_json(path))
        except (IntegrityError, TypeError) as error:
            found = error.found if isinstance(error, IntegrityError) else f"{path} is corrupt: {error}."
            packed = isinstance(find_stored(path), Packed)
            again = "mmbench generate ... --retry-failed" if packed else f"rm {shlex.quote(str(path))}"
            raise IntegrityError(found, "why a sample failed", again) from error

    def find_damaged(self, indices: Sequence[int], decode: bool = False) -> dict[int, str]:
        """What is wrong with stored samples, by index: a record that cannot be read, media gone or of another length.

        Args:
            indices: Samples to look at.
            decode: Also hold each to the digest of its content, which takes as long as reading it.
        """
        found: dict[int, str] = {}
        for index in indices:
            try:
                record, path = self.record(index), self._path(index, ".mkv")
                if (size := stored_size(path)) != record.bytes:
                    there = "is not there" if size is None else f"has {size} bytes"
                    raise IntegrityError(f"{path.name} {there}, where its record says {record.bytes}.")
                if decode:
                    self.verify(index)
            except IntegrityError as error:
                found[index] = error.found
        return found

    def discard(self, index: int) -> None:
        """Remove a damaged sample, so that it is missing: its record first, which made it exist."""
        self.packs.discard(index)
        for suffix in (".json", ".mkv"):
            with writing(self._path(index, suffix)):
                self._path(index, suffix).unlink(missing_ok=True)

    def source(self, index: int) -> StoredSource:
        """A stored sample as something to load."""
        return StoredSource(f"{index:06d}", self._path(index, ".mkv"))

    @contextmanager
    def claim(self, index: int) -> Iterator[Lease | None]:
        """Hold sample `index` while making it; None if it is there already or somebody else makes it."""
        if self.has(index):  # the cheap question first
            yield None
            return
        with self.leases.hold(f"{index:06d}") as lease:
            yield None if lease is None or self.has(index) else lease

    def commit(self, request: Request, clip: Clip, seconds: float) -> SampleRecord:
        """Store a clip: media first, then the record that makes it exist.

        One that is there already stays: a process that was asleep so long that another took its work over adds nothing.
        """
        if self.has(request.index):
            return self.record(request.index)
        encoded = io.BytesIO()
        write_lossless(clip, encoded)
        record = SampleRecord(
            request.index,
            request.prompt.id,
            request.prompt.text,
            clip.digest(),
            clip.video_digest(),
            clip.audio_digest(),
            clip.size(),
            len(encoded.getbuffer()),
            round(seconds, 3),
            dict(clip.notes),
        )
        write_whole(self._path(request.index, ".mkv"), encoded.getvalue())
        write_json(self._path(request.index, ".json"), asdict(record))
        self._path(request.index, ".failed.json").unlink(missing_ok=True)
        self.made += 1
        return record

    def fail(self, request: Request, kind: str, reason: str) -> None:
        """Record why a sample could not be made."""
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        record = FailureRecord(request.index, request.prompt.id, request.prompt.text, kind, reason, now)
        write_json(self._path(request.index, ".failed.json"), asdict(record))

    def verify(self, index: int) -> None:
        """Decode sample `index` and compare it with its digest; IntegrityError if it is damaged."""
        try:
            found = self.source(index).load().digest()
        except MediaError as error:
            raise IntegrityError(error.found, error.expected, self.source(index).remedy) from error
        if found != self.record(index).digest:
            raise IntegrityError(
                f"Sample {index} of {self.folder} decodes to digest {found}, but its record says "
                f"{self.record(index).digest}.",
                "the pixels and samples that were stored",
                self.source(index).remedy,
            )

    def merge(self, other: SampleStore) -> int:
        """Take over the samples of another store of the same run; returns how many were new.

        Raises:
            IntegrityError: The stores belong to different runs, or disagree on a sample.
        """
        if other.run.digest != self.run.digest:
            raise IntegrityError(
                f"{other.folder} is another run ({other.run.digest[:8]}).",
                f"a part of run {self.run.digest[:8]}",
                "mmbench show " + str(other.folder),
            )
        added, packed = 0, bool(other.packs.members())  # what was packed stays so
        status = other.status()
        for index, reason in other.find_damaged(status.present).items():
            raise IntegrityError(
                f"Sample {index} of {other.folder} is damaged: {reason}", "", other.source(index).remedy
            )
        for index in status.present:
            record = other.record(index)
            if self.has(index):
                if self.record(index).digest != record.digest:
                    raise IntegrityError(
                        f"Sample {index} differs: {self.record(index).digest} here, {record.digest} in {other.folder}.",
                        "equal samples of equal runs",
                        "find out which machine made the wrong one: mmbench show RUN --verify",
                    )
                continue
            for suffix in (".mkv", ".json"):  # the record last: it makes the sample exist
                self._copy(other, index, suffix)
            self._path(index, ".failed.json").unlink(missing_ok=True)
            added += 1
            if packed:
                self.pack(MOST_SAMPLES)
        for index in status.failed:
            if not self.has(index):
                self._copy(other, index, ".failed.json")
        if packed:
            self.pack()
        return added

    def _copy(self, other: SampleStore, index: int, suffix: str) -> None:
        data = read_stored(other._path(index, suffix), lambda place: place.read_bytes())
        write_whole(self._path(index, suffix), data)

    def pack(self, least: int = 1) -> int | None:
        """Put loose samples into packs, if there are `least`; damaged ones stay, with a warning.

        Returns:
            How many were packed; None if another process packs or unpacks this run, or took that over from this one.

        Raises:
            DiskError: A pack cannot be written.
        """
        if len(self.packs.loose()) < least:
            return 0
        with self.leases.hold(PACKS) as lease:
            if lease is None:
                return None
            loose = set(self.packs.loose())
            made = [int(stem) for stem in loose if self.has(int(stem))]
            for index, reason in self.find_damaged(made).items():
                log.warning("sample %d is damaged and not packed: %s", index, reason)
                loose.remove(f"{index:06d}")
            return self.packs.pack(loose, lease.is_held)

    def unpack(self) -> int | None:
        """Put packed samples into files of their own; returns and raises as `pack`."""
        with self.leases.hold(PACKS) as lease:
            return None if lease is None else self.packs.unpack(lease.is_held)

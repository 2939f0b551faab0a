"""Packs: samples of a run in a few large files. A pack is a plain tar, written whole and never again.

SAMPLES/packs/pack-000001-3f2a9c01.tar   index.json, then 000012.mkv, 000012.json, 000013.failed.json, ...
SAMPLES/packs/discarded.jsonl            samples of packs that count no more, because they were damaged

A pack is on the disk before the loose files that it holds go, so a sample may lie in both. What is loose is newer than
what is packed, and a later pack than an earlier one. A process that slept past its lease finds packs and loose files of
whoever took it over: it removes nothing without the lease, and nothing that is not elsewhere at that moment.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import tarfile
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.files import append_lines, make_folder, read_lines, write_whole, writing
from mmbench.media.regular_files import open_regular, why_irregular
from mmbench.runs.pack_index import INDEX, NAME, Packed, format_index, read_index

PACKS, DISCARDED = "packs", "discarded.jsonl"
MOST_SAMPLES, MOST_BYTES = 256, 1 << 30  # of a pack; one sample may have more bytes
PACK = re.compile(r"pack-(\d{6})-[0-9a-f]{8}\.tar")


class _MovedError(Exception):
    """A loose file, or the lease, went while it was packed."""


class Packs:
    """The packs of one run. Whoever packs or unpacks holds the run's lease for it; to read none is needed.

    Args:
        samples: The run's folder of samples.
    """

    def __init__(self, samples: Path) -> None:
        self.samples, self.folder = samples, samples / PACKS

    def files(self) -> list[Path]:
        """The packs, from the earliest to the latest."""
        with suppress(FileNotFoundError):
            return [self.folder / name for name in sorted(os.listdir(self.folder)) if PACK.fullmatch(name)]
        return []

    def members(self) -> Mapping[str, Packed]:
        """The files of samples in packs, by name; of one in several packs, that in the latest.

        Raises:
            IntegrityError: A line of discarded.jsonl is damaged, or a pack is a link to nothing.
            OSError: A pack cannot be read.
        """
        return self._look()[1]

    def _look(self) -> tuple[list[Path], Mapping[str, Packed]]:
        """The packs and the files in them, as of one moment; raises as `members`."""
        before: list[Path] | None = None
        while packs := self.files():
            try:
                return packs, _merge_indices(tuple(packs), *_version(self.folder / DISCARDED))
            except FileNotFoundError as error:  # unpacked since they were listed
                if packs == before:
                    raise _unfollowable(Path(error.filename)) from error
                before = packs
        return [], {}

    def loose(self) -> dict[str, list[str]]:
        """The loose files of each sample that is stored or has a recorded failure, by its digits; the record last.

        Media alone count where their record is packed: what an unpacking that was killed has left.
        """
        there = set(os.listdir(self.samples))
        found = {}
        for name in sorted(name for name in there if NAME.fullmatch(name)):
            stem, _, kind = name.partition(".")
            if kind == "json":
                found[stem] = [file for file in (f"{stem}.mkv", name) if file in there]
            elif f"{stem}.json" not in there and (kind == "failed.json" or f"{stem}.json" in self.members()):
                found.setdefault(stem, []).append(name)
        return found

    def discard(self, index: int) -> None:
        """Let a sample count in none of the packs there are; raises DiskError."""
        stem = f"{index:06d}"
        holding = [pack for pack in self.files() if any(name.startswith(f"{stem}.") for name in read_index(pack))]
        if holding:
            append_lines(self.folder / DISCARDED, [{"pack": pack.name, "sample": stem} for pack in holding])

    def pack(self, samples: Container[str], is_held: Callable[[], bool]) -> int | None:
        """Write loose samples to packs; once a pack is on the disk, the loose files that it holds go.

        Args:
            samples: Which, by their digits.
            is_held: Whether the run's lease for it is still ours.

        Returns:
            How many samples were written to packs; None if the lease was taken over.

        Raises:
            DiskError: A pack cannot be written, or a loose file not removed.
            IntegrityError, OSError: As `members`.
        """
        written, staying = set[str](), set[str]()
        while True:
            left = dict[str, list[str]]()
            for stem, names in self.loose().items():
                if stem not in samples or stem in staying:
                    continue
                broken = self._find_broken_link(names)
                packed = broken is None and all(map(self._is_packed, names))
                if not is_held():  # asked after the look at the packs: they may have gone with the lease
                    return None
                if packed:
                    self._remove_loose(names)
                elif broken is not None:
                    log.warning("%s stays loose: it %s.", broken, why_irregular(broken))
                    staying.add(stem)
                elif stem in written or names[-1].endswith(".mkv"):
                    # the disk gives other bytes back, or the sample was made anew meanwhile
                    log.warning("%s stays loose: its pack holds something else.", self.samples / names[-1])
                    staying.add(stem)
                else:
                    left[stem] = names
            if not (part := self._next_part(left)):
                return len(written)
            with suppress(_MovedError):  # the next look sees what there is now
                self._write_pack([name for stem in part for name in left[stem]], is_held)
                written |= set(part)

    def unpack(self, is_held: Callable[[], bool]) -> int | None:
        """Write every packed sample to files of its own, as it was, and remove each pack once all of it is loose.

        Args:
            is_held: Whether the run's lease for it is still ours.

        Returns:
            How many samples were written; None if the lease was taken over.

        Raises:
            DiskError: A file cannot be written.
            IntegrityError: As `members`.
            OSError: A pack cannot be read.
        """
        packs, members = self._look()
        inside: dict[Path, list[str]] = {pack: [] for pack in packs}
        for name in sorted(members, key=lambda name: (name[:6], not name.endswith(".mkv"), name)):
            inside[members[name].pack].append(name)  # sample by sample, the record last: it makes the sample exist
        written = set[str]()
        for pack, names in inside.items():
            while missing := [name for name in names if not self._is_loose(name) and not self._is_outdated(name)]:
                for name in missing:
                    if not is_held():
                        return None
                    write_whole(self.samples / name, members[name].read_bytes())
                    written.add(name[:6])
            if not is_held():
                return None
            with writing(pack):
                pack.unlink(missing_ok=True)
        if not self.files():  # a pack that came since may have lines there
            with writing(self.folder / DISCARDED):
                (self.folder / DISCARDED).unlink(missing_ok=True)
        with suppress(OSError):  # whatever else lies there
            self.folder.rmdir()
        return len(written)

    def _is_loose(self, name: str) -> bool:
        return (self.samples / name).exists()

    def _is_outdated(self, name: str) -> bool:
        """Whether it is the record of a failure of a sample that was made since."""
        record = f"{name[:6]}.json"
        return name.endswith(".failed.json") and (self._is_loose(record) or record in self.members())

    def _is_packed(self, name: str) -> bool:
        """Whether a loose file is in a pack, byte by byte, or gone."""
        packed, path = self.members().get(name), self.samples / name
        try:
            if packed is None or packed.place.size != path.stat().st_size:
                return False
            loose = path.read_bytes()
        except FileNotFoundError:
            return True
        try:
            return packed.read_bytes() == loose
        except FileNotFoundError:  # the pack went: what is loose is all there is
            return False

    def _find_broken_link(self, names: Iterable[str]) -> Path | None:
        paths = [self.samples / name for name in names]
        return next((path for path in paths if path.is_symlink() and not path.exists()), None)

    def _remove_loose(self, names: Iterable[str]) -> None:
        for name in names:
            with writing(self.samples / name):
                (self.samples / name).unlink(missing_ok=True)

    def _next_part(self, samples: Mapping[str, Sequence[str]]) -> list[str]:
        """The first samples that fit into one pack."""
        part, total = list[str](), 0
        for stem in sorted(samples)[:MOST_SAMPLES]:
            total += sum(_version(self.samples / name)[0] for name in samples[stem])
            if part and total > MOST_BYTES:
                break
            part.append(stem)
        return part

    def _write_pack(self, names: Sequence[str], is_held: Callable[[], bool]) -> None:
        make_folder(self.folder)
        number = 1 + max((int(file.name.split("-")[1]) for file in self.files()), default=0)
        write_whole(self.folder / f"pack-{number:06d}-{token_hex(4)}.tar", partial(self._write_tar, names, is_held))

    def _write_tar(self, names: Sequence[str], is_held: Callable[[], bool], path: Path) -> None:
        try:
            sizes = [(name, (self.samples / name).stat().st_size) for name in names]
            index = format_index(sizes)
            with tarfile.open(path, "x:", format=tarfile.USTAR_FORMAT) as tar:
                _add(tar, INDEX, len(index), io.BytesIO(index))
                for name, size in sizes:
                    with open_regular(self.samples / name) as file:
                        _add(tar, name, size, file)
        except FileNotFoundError as error:
            raise _MovedError from error
        if not is_held():  # whoever holds it may have packed newer ones since
            raise _MovedError


def _unfollowable(pack: Path) -> IntegrityError:
    quoted = shlex.quote(str(pack))
    return IntegrityError(
        f"{pack} {why_irregular(pack)}.",
        "a pack of samples, or a link to one",
        f"ls -l {quoted}; put back what it links to, or rm {quoted}: the command that made the run makes what it lacks",
    )


def _add(tar: tarfile.TarFile, name: str, size: int, file: BinaryIO) -> None:
    info = tarfile.TarInfo(name)
    info.size = size
    tar.addfile(info, file)


def _version(path: Path) -> tuple[int, int]:
    """Size [bytes] and time of change [ns] of a file; zeros where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_size, status.st_mtime_ns


@lru_cache(16)
def _merge_indices(packs: tuple[Path, ...], *journal: int) -> Mapping[str, Packed]:
    """What packs and this version of the journal make together; to ask for every pack's version takes a call each."""
    gone = {(line.get("pack"), line.get("sample")) for line in read_lines(packs[0].with_name(DISCARDED))}
    found: dict[str, Packed] = {}
    for pack in packs:
        found |= {n: file for n, file in read_index(pack).items() if (pack.name, n.partition(".")[0]) not in gone}
    return found

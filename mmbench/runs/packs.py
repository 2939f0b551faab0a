"""Packs: samples of a run in a few large files. A pack is a plain tar, written whole and never again.

SAMPLES/packs/pack-000001-3f2a9c01.tar   index.json, then 000012.mkv, 000012.json, 000013.failed.json, ...
SAMPLES/packs/discarded.jsonl            samples of packs that count no more, because they were damaged

A pack is on the disk before the loose files that it holds go, so a sample may lie in both. What is loose is newer than
what is packed, and a later pack than an earlier one.
"""

from __future__ import annotations

import io
import os
import re
import tarfile
from collections.abc import Container, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache, partial
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from mmbench.console import log
from mmbench.files import append_lines, make_folder, read_lines, write_whole, writing
from mmbench.media.regular_files import open_regular
from mmbench.runs.pack_index import INDEX, NAME, Packed, format_index, read_index

PACKS, DISCARDED = "packs", "discarded.jsonl"
MOST_SAMPLES, MOST_BYTES = 256, 1 << 30  # of a pack; one sample may have more bytes
PACK = re.compile(r"pack-(\d{6})-[0-9a-f]{8}\.tar")


class _MovedError(Exception):
    """A loose file went while it was packed."""


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
            IntegrityError: A line of discarded.jsonl is damaged.
            OSError: A pack cannot be read.
        """
        while packs := self.files():
            with suppress(FileNotFoundError):  # unpacked since they were listed
                return _merge_indices(tuple(packs), *_version(self.folder / DISCARDED))
        return {}

    def loose(self) -> dict[str, list[str]]:
        """The loose files of each sample that is stored or has a recorded failure, by its digits; the record last."""
        there = set(os.listdir(self.samples))
        found = {}
        for name in sorted(name for name in there if NAME.fullmatch(name)):
            stem, _, kind = name.partition(".")
            if kind == "json":
                found[stem] = [file for file in (f"{stem}.mkv", name) if file in there]
            elif kind == "failed.json" and f"{stem}.json" not in there:
                found[stem] = [name]
        return found

    def discard(self, index: int) -> None:
        """Let a sample count in none of the packs there are; raises DiskError."""
        stem = f"{index:06d}"
        holding = [pack for pack in self.files() if any(name.startswith(f"{stem}.") for name in read_index(pack))]
        if holding:
            append_lines(self.folder / DISCARDED, [{"pack": pack.name, "sample": stem} for pack in holding])

    def pack(self, samples: Container[str]) -> int:
        """Write loose samples to packs; once a pack is on the disk, the loose files that it holds go.

        Args:
            samples: Which, by their digits.

        Returns:
            How many samples were written to packs.

        Raises:
            DiskError: A pack cannot be written, or a loose file not removed.
        """
        written = set[str]()
        while True:
            left = {stem: names for stem, names in self.loose().items() if stem in samples}
            for stem in [stem for stem, names in left.items() if all(map(self._is_packed, names))]:
                self._remove_loose(left.pop(stem))
            for stem in left.keys() & written:  # the disk gives other bytes back, or the sample was made anew meanwhile
                log.warning("%s stays loose: its pack holds something else.", self.samples / left.pop(stem)[-1])
            if not (part := self._next_part(left)):
                return len(written)
            with suppress(_MovedError):  # the next look sees what there is now
                self._write_pack([name for stem in part for name in left[stem]])
                written |= set(part)

    def unpack(self) -> int:
        """Write every packed sample to files of its own, as it was, then remove the packs; returns how many.

        Raises:
            DiskError: A file cannot be written.
            OSError: A pack cannot be read.
        """
        members, written = self.members(), set[str]()
        for name in sorted(members, key=lambda name: (not name.endswith(".mkv"), name)):  # a record makes it exist
            stem = name.partition(".")[0]
            made_since = name.endswith(".failed.json") and (f"{stem}.json" in members or self._is_loose(f"{stem}.json"))
            if not made_since and not self._is_loose(name):
                write_whole(self.samples / name, members[name].read_bytes())
                written.add(stem)
        for file in [*self.files(), self.folder / DISCARDED]:
            with writing(file):
                file.unlink(missing_ok=True)
        with suppress(OSError):  # whatever else lies there
            self.folder.rmdir()
        return len(written)

    def _is_loose(self, name: str) -> bool:
        return (self.samples / name).exists()

    def _is_packed(self, name: str) -> bool:
        """Whether a loose file is in a pack, byte by byte, or gone."""
        packed, path = self.members().get(name), self.samples / name
        try:
            same = packed is not None and packed.place.size == path.stat().st_size
            return same and packed is not None and packed.read_bytes() == path.read_bytes()
        except FileNotFoundError:
            return True

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

    def _write_pack(self, names: Sequence[str]) -> None:
        make_folder(self.folder)
        number = 1 + max((int(file.name.split("-")[1]) for file in self.files()), default=0)
        write_whole(self.folder / f"pack-{number:06d}-{token_hex(4)}.tar", partial(self._write_tar, names))

    def _write_tar(self, names: Sequence[str], path: Path) -> None:
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

"""What is in a pack of samples: its index says so, and its headers where the index is damaged.

The index is the first member, index.json: the names and sizes of the others in order. One read finds all of them, a
damaged header hides none, and a pack that was cut off tells what it lost. Other people's archives, which have no index
and may be hostile in more ways, are read by `mmbench.media.tar_index`.
"""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from io import BufferedReader
from pathlib import Path
from typing import Any, BinaryIO

from mmbench.console import log
from mmbench.files import json_bytes, parse_json, seal, unseal
from mmbench.media.regular_files import open_regular
from mmbench.media.tar_index import Member
from mmbench.media.tar_members import open_member

INDEX = "index.json"
MOST_INDEX = 1 << 20  # [bytes] a hundred times that of a full pack
NAME = re.compile(r"(\d{6})\.(mkv|json|failed\.json)")
BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class Packed:
    """A file of a sample in a pack; of one that the pack was cut off in, what is left of it."""

    pack: Path
    name: str
    place: Member

    def __str__(self) -> str:
        return str(self.pack / self.name)

    def open(self) -> BufferedReader:
        """Open it, to be read in binary; raises OSError."""
        return open_member(str(self), self.pack, self.place)

    def read_bytes(self) -> bytes:
        """Its content; raises OSError."""
        with self.open() as file:
            return file.read()

    def read_json(self) -> Any:
        """Its content, where that is JSON of ours; raises IntegrityError."""
        return parse_json(self.read_bytes, str(self))


def format_index(sizes: Sequence[tuple[str, int]]) -> bytes:
    """The index of a pack whose other members have these names and sizes [bytes]."""
    return seal(json_bytes({"members": sizes}))


@lru_cache(1024)
def read_index(pack: Path) -> Mapping[str, Packed]:
    """The files of samples in a pack by name, read once, as a pack never changes; warns of a damaged index.

    Raises:
        OSError: It cannot be read.
    """
    with open_regular(pack) as file:
        length = os.fstat(file.fileno()).st_size
        try:
            listed = list(_list_members(file))
        except (ValueError, TypeError, KeyError, RecursionError, tarfile.TarError) as error:
            log.warning("%s has a damaged index: %s. What samples it holds is read from its headers.", pack, error)
            listed = list(_search_members(file, length))
    return {
        name: Packed(pack, name, Member(offset, max(0, min(size, length - offset)))) for name, offset, size in listed
    }


def _list_members(file: BinaryIO) -> Iterator[tuple[str, int, int]]:
    """Names, offsets and sizes as the index has them."""
    first = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
    if first.name != INDEX or not 0 < first.size <= MOST_INDEX:
        raise ValueError(f"{first.name!r} of {first.size:,} bytes")
    offset = BLOCK + _padded(first.size)
    for name, size in unseal(file.read(first.size))["members"]:
        if not NAME.fullmatch(name) or type(size) is not int or size < 0:
            raise ValueError(f"{name!r} of {size} bytes")
        yield name, offset + BLOCK, size
        offset += BLOCK + _padded(size)


def _search_members(file: BinaryIO, length: int) -> Iterator[tuple[str, int, int]]:
    """Names, offsets and sizes by those headers that are intact, wherever they stand."""
    offset = 0
    while offset < length:
        file.seek(offset)
        offset += BLOCK
        with suppress(tarfile.TarError):
            found = tarfile.TarInfo.frombuf(file.read(BLOCK), "utf-8", "surrogateescape")
            if found.isreg() and found.size >= 0 and NAME.fullmatch(found.name):
                yield found.name, offset, found.size
                offset += _padded(found.size)


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK

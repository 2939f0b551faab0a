"""How much a checkpoint may unpack to, judged by its headers before any of it is unpacked.

Networks hardly compress: what unpacks to many times its size on disk was made to fill a memory or a disk.
"""

from __future__ import annotations

import gzip
import tarfile
import zipfile
from pathlib import Path
from typing import IO, Any

from mmbench.errors import MMBenchError

LARGEST_RATIO = 20  # unpacked bytes per byte on disk
ALWAYS_FINE = 256 << 20  # [bytes] unpacked, whatever the ratio
LARGEST_READ = 8 << 20  # [bytes] of one header in an archive
LARGEST_DIRECTORY = 16 << 20  # [bytes] of a zip file; one entry takes some 60
GZIP = b"\x1f\x8b"
END, END_SIZE, LONGEST_COMMENT = b"PK\5\6", 22, 1 << 16  # of a zip file
SECTOR = 512  # [bytes] of one of stat's blocks


def require_modest(path: Path) -> None:
    """Refuse a file with holes, or a zip file, that would unpack to more than `LARGEST_RATIO` times its bytes on disk.

    Args:
        path: A checkpoint; what is neither is left alone.

    Raises:
        MMBenchError: It would.
    """
    stat = path.stat()
    stored = stat.st_blocks * SECTOR  # 0 where a file system does not tell
    if stored and is_bomb(stat.st_size, stored):
        raise refusal(path, stat.st_size, stored)
    if zipfile.is_zipfile(path):
        if (directory := _directory_size(path)) > LARGEST_DIRECTORY:
            found = f"{path} is a zip file whose directory has {directory:,} bytes."
            raise MMBenchError(found, f"at most {LARGEST_DIRECTORY:,}")
        try:
            with zipfile.ZipFile(path) as archive:
                unpacked = sum(member.file_size for member in archive.infolist())
        except (zipfile.BadZipFile, NotImplementedError, ValueError):
            return  # its reader says what is wrong with it
        if is_bomb(unpacked, stat.st_size):
            raise refusal(path, unpacked, stat.st_size)


def _directory_size(path: Path) -> int:
    """Bytes of the directory of a zip file, by what stands at its end."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - END_SIZE - LONGEST_COMMENT))
        tail = file.read()
        end = tail.rfind(END)
        stated = int.from_bytes(tail[end + 12 : end + 16], "little")
        if stated != 0xFFFFFFFF:
            return stated
        file.seek(int.from_bytes(tail[end - 12 : end - 4], "little"))  # zip64: its locator says where its record is
        return int.from_bytes(file.read(56)[40:48], "little")


def is_bomb(unpacked: int, stored: int) -> bool:
    """Whether so many bytes come of suspiciously few."""
    return unpacked > max(ALWAYS_FINE, LARGEST_RATIO * stored)


def refusal(path: Path, unpacked: int, stored: int) -> MMBenchError:
    """The error of a file that unpacks to too much."""
    found = f"{path} has {stored:,} bytes on disk and would become {unpacked:,}: no checkpoint compresses so well."
    return MMBenchError(found, f"at most {LARGEST_RATIO} times as much, or {ALWAYS_FINE:,} bytes")


class BoundedStream:
    """The bytes of a tar archive, plain or compressed by gzip, that refuses to go on where a bomb does.

    Args:
        path: The archive.

    Raises:
        MMBenchError: From `read` and `seek`, if the stream is longer than `is_bomb` allows, or one header of it too
            large for memory.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.stored = path, path.stat().st_size
        self.stream: Any = None

    def __enter__(self) -> BoundedStream:
        self.file = self.path.open("rb")
        self.stream = gzip.GzipFile(fileobj=self.file) if self.file.read(len(GZIP)) == GZIP else self.file
        self.file.seek(0)
        return self

    def __exit__(self, *_: object) -> None:
        self.stream.close()
        self.file.close()

    def tell(self) -> int:
        """Position in the unpacked stream."""
        return int(self.stream.tell())

    def seek(self, position: int, whence: int = 0) -> int:
        """Go to a position of the unpacked stream."""
        self._require_within(position)
        return int(self.stream.seek(position, whence))

    def read(self, size: int) -> bytes:
        """The next bytes of the unpacked stream."""
        if size > LARGEST_READ:
            raise MMBenchError(f"{self.path} has a header of {size:,} bytes.", f"at most {LARGEST_READ:,}")
        self._require_within(self.tell() + size)
        data: bytes = self.stream.read(size)
        return data

    def _require_within(self, position: int) -> None:
        if is_bomb(position, self.stored):
            raise refusal(self.path, position, self.stored)


def is_tar(path: Path) -> bool:
    """Whether a file is a tar archive, plain or compressed by gzip, by its name or its first bytes."""
    with path.open("rb") as file:
        start = file.read(tarfile.BLOCKSIZE)
    return ".tar" in path.suffixes or start.startswith(GZIP) or start[257:262] == b"ustar"


def copy_member(archive: BoundedStream, tar: tarfile.TarFile, member: tarfile.TarInfo, target: IO[bytes]) -> None:
    """Unpack a regular file of an archive, without holes, to `target`, which is emptied first."""
    if member.issparse():
        raise MMBenchError(f"{member.name} of {archive.path} is a file with holes.", "a whole file")
    if is_bomb(member.size, archive.stored):
        raise refusal(archive.path, member.size, archive.stored)
    target.seek(0)
    target.truncate()
    source = tar.extractfile(member)
    while source is not None and (block := source.read(1 << 20)):
        target.write(block)

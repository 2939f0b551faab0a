"""Where the members of a tar archive lie, from its headers alone, within bounds: no archive can fill memory or hang.

What is odd in one member is its `reason`; what is odd in the archive, so that members may be missing, is an error.
"""

from __future__ import annotations

import os
import shlex
import tarfile
from collections.abc import Iterator
from io import FileIO
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from mmbench.errors import MediaError

MOST_MEMBERS = 1 << 18  # of one archive; VGGSound has 199,467 videos
MOST_HEADERS = 1 << 18  # bytes of headers of one member
MOST_COMMON = 1000  # attributes that an archive gives to all members
MOST_PADDING = 1 << 22  # bytes of zeros behind the end
LONGEST_NAME = 4096  # characters, as many as a path may have
COMPRESSED = {b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"}
KINDS = {
    tarfile.LNKTYPE: "is a hard link, which is not followed in an archive",
    tarfile.SYMTYPE: "is a link, which is not followed in an archive",
    tarfile.FIFOTYPE: "is a FIFO",
    tarfile.CHRTYPE: "is a device",
    tarfile.BLKTYPE: "is a device",
}


class Member(NamedTuple):
    """Where a member lies in its archive.

    Attributes:
        offset: Of its first byte.
        size: In bytes.
        reason: Why it cannot be read, such as "is a hard link"; "" if it can.
    """

    offset: int
    size: int
    reason: str = ""


class _Headers:
    """A file for `tarfile`, which may read so many bytes of it for one member."""

    def __init__(self, file: FileIO) -> None:
        self.seek, self.tell, self._file, self.left = file.seek, file.tell, file, MOST_HEADERS

    def read(self, size: int) -> bytes:
        self.left -= size
        if self.left < 0:
            raise tarfile.ReadError(f"the headers of one member have more than {MOST_HEADERS:,} bytes")
        return self._file.read(size) or b""


def read_index(tar: Path, file: FileIO) -> dict[str, Member]:
    """The members of an archive but its folders, by their paths in it.

    Args:
        tar: Its path, for errors.
        file: The archive, open.

    Raises:
        MediaError: It is damaged, cut off, compressed, or larger in some way than archives of clips are.
    """
    size, found = os.fstat(file.fileno()).st_size, dict[str, Member]()
    try:
        for count, info in enumerate(_headers(file)):
            name = PurePosixPath(info.name.lstrip("/")).as_posix()
            if count == MOST_MEMBERS:
                raise tarfile.ReadError(f"it has more than {MOST_MEMBERS:,} members")
            if len(name) > LONGEST_NAME:
                raise tarfile.ReadError(f"a name has {len(name):,} characters")
            if info.isdir():
                continue
            reason = "is in its archive more than once" if name in found else _reason(info)
            if not reason and info.offset_data + info.size > size:
                raise tarfile.ReadError(f"{name} ends at byte {info.offset_data + info.size:,} of {size:,}")
            found[name] = Member(info.offset_data, info.size, reason)
    except (tarfile.TarError, ValueError, RecursionError, OverflowError) as error:
        raise _damaged(tar, file, str(error).split("\n")[0]) from error
    return found


def _headers(file: FileIO) -> Iterator[tarfile.TarInfo]:
    """The header of every member; ReadError where one is damaged, or where the archive goes on behind its end."""
    headers = _Headers(file)
    archive: Any = tarfile.TarFile(fileobj=headers, mode="r", encoding="utf-8", errors="surrogateescape")  # type: ignore[arg-type]
    end = 0
    while (info := archive.next()) is not None:
        if info.size < 0 or archive.offset <= info.offset or len(archive.pax_headers) > MOST_COMMON:
            raise tarfile.ReadError(f"the header at byte {info.offset:,} is impossible")
        yield info
        archive.members.clear()  # else every header stays in memory
        headers.left, end = MOST_HEADERS, archive.offset
    file.seek(end)
    rest = file.read(MOST_PADDING + 1)
    if not rest:
        raise tarfile.ReadError(f"it ends at byte {end:,} without the mark of an end, or is still being written")
    if rest.strip(b"\0"):
        raise tarfile.ReadError(f"what follows at byte {end:,} is neither a member nor the end")
    if len(rest) > MOST_PADDING:
        raise tarfile.ReadError(f"its end at byte {end:,} is followed by more than {MOST_PADDING:,} bytes")


def _reason(info: tarfile.TarInfo) -> str:
    """Why a member is not to be read; "" if it may be."""
    if info.name.startswith("/"):
        return "has an absolute path in its archive"
    if ".." in PurePosixPath(info.name).parts:
        return "has a path that leads out of its archive"
    if info.issparse():
        return "is stored with holes"
    return "" if info.isreg() else KINDS.get(info.type, "is no regular file")


def _damaged(tar: Path, file: FileIO, why: str) -> MediaError:
    file.seek(0)
    start, quoted = file.read(8), shlex.quote(str(tar))
    for mark, program in COMPRESSED.items():
        if start.startswith(mark):
            found = f"{tar} is compressed, so that no clip in it can be found at once."
            return MediaError(found, "a tar archive that is not compressed", f"{program} < {quoted} > NEW.tar")
    found = f"{tar} is damaged, or no whole tar archive: {why}."
    return MediaError(found, "a whole tar archive of clips", f"tar -tvf {quoted}, then copy or make it again")

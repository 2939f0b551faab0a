"""Members of tar archives as paths: shards/000.tar/abc.mp4 is the member abc.mp4 of the file shards/000.tar.

Of an archive the headers alone are read, once per version of the file (`mmbench.media.tar_index`); a member is read
where it lies, and nothing is unpacked. Compressed archives are not looked into: they are an error.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections import OrderedDict
from collections.abc import Mapping
from io import BufferedReader, FileIO, RawIOBase
from pathlib import Path
from threading import Lock
from typing import Any

from mmbench.errors import MediaError
from mmbench.media.tar_index import Member, read_index

SUFFIX = ".tar"
COMPRESSED = (
    *(f"{SUFFIX}{end}" for end in (".gz", ".bz2", ".xz", ".zst", ".lz4", ".lzma", ".lz", ".br", ".z")),
    *(".tgz", ".taz", ".tbz", ".tbz2", ".tb2", ".txz", ".tzst", ".tlz", ".tlz4"),
)
MOST_KEPT = 1 << 19  # members of all archives that are remembered, some 350 bytes each

_indexes: OrderedDict[tuple[str, int, int], Mapping[str, Member] | MediaError] = OrderedDict()
_lock = Lock()


def is_tar(path: str | Path) -> bool:
    """Whether a path is a regular file, or a link to one, that is called like a tar archive."""
    try:
        return str(path).lower().endswith(SUFFIX) and stat.S_ISREG(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False


def is_called_tar(path: str | Path) -> bool:
    """Whether a path is called like a tar archive, or a compressed one; `members` says what is wrong with it."""
    return str(path).lower().endswith((SUFFIX, *COMPRESSED))


def members(tar: str | Path) -> Mapping[str, Member]:
    """The members of an archive but its folders, by their paths in it.

    Raises:
        MediaError: It cannot be read, is damaged, cut off, compressed, or larger than archives of clips are.
    """
    quoted = shlex.quote(str(tar))
    if str(tar).lower().endswith(COMPRESSED):
        found = f"{tar} is compressed, so that no clip in it can be found at once."
        raise MediaError(found, "a tar archive that is not compressed", f"tar -xf {quoted} -C FOLDER")
    try:
        status = os.stat(tar)
        key = str(tar), status.st_size, status.st_mtime_ns
        with _lock:
            if (index := _indexes.get(key)) is not None:
                _indexes.move_to_end(key)
        if index is None:
            index = _index(Path(tar))
            _keep(key, index)
    except OSError as error:
        found = f"{tar} cannot be read: {error.strerror}."
        raise MediaError(found, "an archive that you may read", f"ls -l {quoted}") from error
    if isinstance(index, MediaError):
        raise MediaError(index.found, index.expected, index.next)
    return index


def _index(tar: Path) -> Mapping[str, Member] | MediaError:
    """What is read off an archive's headers; of a damaged one the error, which is kept as an index is."""
    with _open_file(tar) as file:
        try:
            return read_index(tar, file)
        except MediaError as error:
            return MediaError(error.found, error.expected, error.next)  # without what its traceback holds


def _keep(key: tuple[str, int, int], index: Mapping[str, Member] | MediaError) -> None:
    """Remember an index, and forget those that were not used for longest where all are too many."""
    with _lock:
        _indexes[key] = index
        while len(_indexes) > 1 and sum(len(i) for i in _indexes.values() if isinstance(i, Mapping)) > MOST_KEPT:
            _indexes.popitem(last=False)


def tar_of(path: str | Path) -> Path | None:
    """The archive that a path leads into, whether or not there is such a member; None if it leads into none."""
    if f"{SUFFIX}/" not in str(path).lower():
        return None
    parts = Path(path).parts  # the outermost is the archive: those in an archive are not opened
    return next((tar for end in range(1, len(parts)) if is_tar(tar := Path(*parts[:end]))), None)


def find_member(path: str | Path) -> tuple[Path, Member] | None:
    """The archive and the member that a path names; None if no part of it but the last is an archive.

    Raises:
        FileNotFoundError: The archive has no such member.
        MediaError: The archive cannot be read.
    """
    if (tar := tar_of(path)) is None:
        return None
    name = Path(path).relative_to(tar).as_posix()
    if (member := members(tar).get(name)) is None:
        raise FileNotFoundError(2, f"{tar} has no member {name}", str(path))
    return tar, member


def open_member(path: str | Path, tar: Path, member: Member) -> BufferedReader:
    """Open what `find_member` found, to be read in binary and sought in; its `name` is the path.

    Raises:
        OSError: It cannot be read; `strerror` says why.
    """
    if member.reason:
        raise OSError(0, f"it {member.reason}")
    return BufferedReader(_MemberFile(str(path), _open_file(tar), member), 1 << 16)


class _MemberFile(RawIOBase):
    """The bytes of one member, and no others of its archive."""

    def __init__(self, name: str, file: FileIO, member: Member) -> None:
        self.name, self._file, self._member, self._position = name, file, member, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        position = (0, self._position, self._member.size)[whence] + offset
        if position < 0:
            raise OSError(22, "a position before the beginning")
        self._position = position
        return position

    def readinto(self, buffer: Any) -> int:
        rest = max(0, self._member.size - self._position)
        count = os.preadv(self._file.fileno(), [memoryview(buffer)[:rest]], self._member.offset + self._position)
        self._position += count
        return count

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def _open_file(tar: str | Path) -> FileIO:
    """Open an archive without ever waiting for a FIFO in its place."""
    file = FileIO(os.open(tar, os.O_RDONLY | os.O_NONBLOCK))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(0, "it is no regular file")
    return file

"""Whether a path is a regular file that can be read at once; a FIFO or device would be waited on for ever.

A member of a tar archive is a regular file, too, called as if the archive were a folder (`mmbench.media.tar_members`).
"""

from __future__ import annotations

import os
import stat
from io import BufferedReader
from pathlib import Path

from mmbench.errors import MediaError
from mmbench.media.tar_members import find_member, open_member

MOST_TEXT = 1 << 28  # bytes of a file that is read whole
KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def why_irregular(path: str | Path) -> str:
    """Why a path is no regular file, such as "is a FIFO"; "" for one, a link to one, or an archive's member."""
    path = Path(path)
    try:
        if found := find_member(path):
            return found[1].reason
        mode = stat.S_IFMT(path.stat().st_mode)
    except OSError as error:
        if path.is_symlink():
            return f"is a link to {printable(os.readlink(path))}, which cannot be followed: {error.strerror}"
        return "does not exist" if isinstance(error, FileNotFoundError) else f"cannot be read: {error.strerror}"
    except ValueError as error:  # a null byte
        return f"is no path: {error}"
    except MediaError as error:
        return f"is in an archive that cannot be read: {error.found.rstrip('.')}"
    return "" if mode == stat.S_IFREG else f"is {KINDS.get(mode, 'no regular file')}"


def open_regular(path: str | Path) -> BufferedReader:
    """Open a regular file, or a member of an archive, to be read in binary, without ever waiting for a FIFO.

    Raises:
        OSError: It cannot be opened, or is something else; `strerror` says what.
        MediaError: It is in an archive that is damaged.
    """
    if found := find_member(path):
        return open_member(path, *found)
    _require_regular(os.stat(path))  # before it is opened, which alone may do something to a device
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        _require_regular(os.fstat(descriptor))  # it may have been replaced since
    except OSError:
        os.close(descriptor)
        raise
    return open(descriptor, "rb")


def _require_regular(status: os.stat_result) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise OSError(0, f"it is {KINDS.get(kind, 'no regular file')}")


def file_version(path: str | Path) -> tuple[int, int]:
    """What tells one version of a file from the next: size [bytes] and time of change [ns], of a member its archive's.

    Raises:
        OSError, MediaError: There is no such file.
    """
    if found := find_member(path):
        tar, member = found
        return member.size, os.stat(tar).st_mtime_ns
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


def is_there(path: str | Path) -> bool:
    """Whether there is a file of any kind, or such a member of an archive that can be read."""
    try:
        file_version(path)
    except (OSError, MediaError, ValueError):  # a null byte
        return False
    return True


def read_regular(path: str | Path) -> bytes:
    """The content of a regular file of text, of at most 256 MiB; raises OSError as `open_regular` does."""
    with open_regular(path) as file:
        data = file.read(MOST_TEXT + 1)
    if len(data) > MOST_TEXT:
        raise OSError(0, f"it holds more than {MOST_TEXT >> 20} MiB")
    return data


def printable(text: str | Path) -> str:
    """A name with what is no UTF-8 in it as escapes: "caf\\udce9.mp4"."""
    return str(text).encode("utf-8", "backslashreplace").decode()


def is_utf8(text: str | Path) -> bool:
    """Whether a name can be written as UTF-8, which names of files need not be."""
    return printable(text) == str(text)

"""Tar archives that tests make."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable
from pathlib import Path


def write_tar(path: Path, members: Iterable[tuple[str, bytes]], form: int = tarfile.GNU_FORMAT) -> Path:
    """Write an archive of files, in this order."""
    with tarfile.open(path, "w", format=form) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size, info.mtime = len(data), 1_600_000_000
            archive.addfile(info, io.BytesIO(data))
    return path


def pack_folder(path: Path, files: Iterable[Path]) -> Path:
    """Write an archive of files by their names alone."""
    return write_tar(path, ((file.name, file.read_bytes()) for file in files))

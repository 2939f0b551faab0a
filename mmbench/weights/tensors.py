"""Reads tensors from checkpoint files without running what they hold, and within bounds."""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.tensor_files import TensorFile
from mmbench.weights.bounds import BoundedStream, copy_member, is_tar
from mmbench.weights.headers import require_whole
from mmbench.weights.pickles import load_pickle


def read_tensors(path: Path, member: str = "", map_location: str = "cpu") -> dict[str, Any]:
    """Read a .safetensors file, or what `torch.load(weights_only=True)` accepts.

    Args:
        path: A file, or a folder or .tar or .tar.gz archive that holds it.
        member: Which file of the folder, or a pattern of files in the archive, of which the last by name is read; a
            single file is read whatever it is called.
        map_location: Device the tensors come to.

    Returns:
        What was saved: a state dict, or a dict with one inside (Lightning: "state_dict"); `pickles.Skipped` in place of
        arrays of numpy.

    Raises:
        IntegrityError: The file is cut off or otherwise damaged.
        MMBenchError: The file holds more than tensors and plain containers, would fill the memory or the disk, or
            there is no such member.
    """
    if path.is_file() and is_tar(path):
        with tempfile.NamedTemporaryFile() as scratch:  # seekable: seeking in a compressed stream starts over
            name = _extract(path, member, scratch)
            scratch.flush()
            try:
                return _read_file(Path(scratch.name), f"{name} of {path}", map_location)
            except MMBenchError as error:
                found = error.found.replace(scratch.name, f"{name} of {path}")
                raise type(error)(found, error.expected, error.next) from error
    file = path / member if member and path.is_dir() else path
    if not file.is_file():
        raise MMBenchError(f"{file} is not a file.", "one of the files of the folder, by its path in it")
    return _read_file(file, str(file), map_location)


def _read_file(file: Path, label: str, map_location: str) -> dict[str, Any]:
    require_whole(file)
    if file.suffix != ".safetensors":
        return load_pickle(file, label, map_location)
    with TensorFile(file, "pt") as opened:
        return {name: opened[name].to(map_location) for name in opened.names}


def _extract(archive: Path, pattern: str, scratch: IO[bytes]) -> str:
    """Copy the last of the files that match to `scratch`, in one pass, and return its name."""
    found = ""
    try:
        with BoundedStream(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:  # type: ignore[call-overload]
            for member in tar:
                if member.isfile() and fnmatch(member.name, pattern) and member.name > found:
                    found = member.name
                    copy_member(stream, tar, member, scratch)
            while stream.read(1 << 20):  # to the sum at its end, which tells whether all before was right
                pass
    except (tarfile.TarError, EOFError, zlib.error, RecursionError, ValueError) as error:
        wrong = str(error).split("\n")[0] or "it ends too early"
        raise IntegrityError(f"{archive} is damaged: {wrong}.", "a whole archive") from error
    except OSError as error:
        if error.errno is not None:  # of the disk, not of the stream's content
            raise
        raise IntegrityError(f"{archive} is damaged: {error}.", "a whole archive") from error
    if not found:
        raise MMBenchError(f"{archive} has no file like {pattern!r}.", "the archive as it was published")
    return found

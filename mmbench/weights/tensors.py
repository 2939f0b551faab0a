"""Reads tensors from checkpoint files without running what they hold."""

from __future__ import annotations

import errno
import gzip
import pickle
import shutil
import tarfile
import tempfile
import zlib
from collections import OrderedDict
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

import numpy as np

from mmbench.errors import IntegrityError, MMBenchError

LIGHTNING = (  # classes that checkpoints of Lightning name, read as plain dictionaries: nothing of them is needed
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
SCALAR = np.float64(0).__reduce__()[0]  # makes the numbers of a saved optimizer, and nothing else
NUMBERS = [
    SCALAR,
    (SCALAR, "numpy.core.multiarray.scalar"),
    np.dtype,
    *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd"),
]
ARRAYS = ("numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")


class Skipped:
    """Stands for an array of numpy in a checkpoint, as of a sampler's state: nothing of it is made or kept."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def read_tensors(path: Path, member: str = "", map_location: str = "cpu") -> dict[str, Any]:
    """Read a .safetensors file, or what `torch.load(weights_only=True)` accepts.

    Args:
        path: A file, or a folder or .tar archive that holds it.
        member: Which file of the folder, or a pattern of files in the archive, of which the last by name is read; a
            single file is read whatever it is called.
        map_location: Device the tensors come to.

    Returns:
        What was saved: a state dict, or a dict with one inside (Lightning: "state_dict"); `Skipped` in place of arrays
        of numpy.

    Raises:
        IntegrityError: The file is cut off or otherwise damaged.
        MMBenchError: The file holds more than tensors and plain containers, or there is no such member.
    """
    import torch

    if path.is_file() and _is_archive(path):
        with tempfile.TemporaryFile() as scratch:  # seekable: seeking in a compressed stream starts over
            name = _extract(path, member, scratch)
            return _load(torch, scratch, f"{name} of {path}", map_location)
    file = path / member if member and path.is_dir() else path
    if not file.is_file():
        raise MMBenchError(f"{file} is not a file.", "one of the files of the folder, by its path in it")
    if file.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(file, device=map_location)
        except SafetensorError as error:
            raise _damaged(str(file), error) from error
    return _load(torch, file, str(file), map_location)


def _load(torch: Any, source: Path | IO[bytes], label: str, map_location: str) -> dict[str, Any]:
    try:
        stand_ins = [*((OrderedDict, name) for name in LIGHTNING), *((Skipped, name) for name in ARRAYS)]
        with torch.serialization.safe_globals([*stand_ins, *NUMBERS]):
            state: dict[str, Any] = torch.load(source, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError, OSError) as error:  # no end of an archive, or of a pickle
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a seek to before the start
            raise
        raise _damaged(label, error) from error
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        remedy = "save its tensors as safetensors, and set MMBENCH_WEIGHTS_<NAME> to that file"
        raise MMBenchError(f"{label} holds more than tensors: {reason}", "tensors only", remedy) from error
    return state


def _damaged(label: str, error: Exception) -> IntegrityError:
    reason = (str(error) or "it ends too early").splitlines()[0].split(". ")[0]
    return IntegrityError(f"{label} is damaged: {reason}.", "a whole checkpoint")


def _is_archive(path: Path) -> bool:
    try:
        return ".tar" in path.suffixes or tarfile.is_tarfile(path)
    except EOFError:  # a compressed file of a few bytes
        return False


def _extract(archive: Path, pattern: str, scratch: IO[bytes]) -> str:
    """Copy the last of the files that match to `scratch`, in one pass, and return its name."""
    found = ""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.isfile() and fnmatch(member.name, pattern) and member.name > found:
                    found = member.name
                    scratch.seek(0)
                    scratch.truncate()
                    shutil.copyfileobj(tar.extractfile(member), scratch)  # type: ignore[arg-type]  # a regular file
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _damaged(str(archive), error) from error
    if not found:
        raise MMBenchError(f"{archive} has no file like {pattern!r}.", "the archive as it was published")
    scratch.seek(0)
    return found

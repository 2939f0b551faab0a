"""Reads tensors from checkpoint files without running what they hold."""

from __future__ import annotations

import pickle
import shutil
import tarfile
import tempfile
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any

from mmbench.errors import IntegrityError, MMBenchError

LIGHTNING = (  # classes that checkpoints of Lightning name, read as plain dictionaries: nothing of them is needed
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)


def read_tensors(path: Path, member: str = "", map_location: str = "cpu") -> dict[str, Any]:
    """Read a .safetensors file, or what `torch.load(weights_only=True)` accepts.

    Args:
        path: A file, or a folder or .tar archive that holds it.
        member: Which file of the folder, or pattern that one file of the archive matches.
        map_location: Device the tensors come to.

    Returns:
        What was saved: a state dict, or a dict with one inside (Lightning: "state_dict").

    Raises:
        IntegrityError: The file is cut off or otherwise damaged.
        MMBenchError: The file holds more than tensors and plain containers, or there is no such member.
    """
    import torch

    if tarfile.is_tarfile(path) if path.is_file() else False:
        with _extracted(path, member) as stream:
            return _load(torch, stream, f"{member} of {path}", map_location)
    file = path / member if member else path
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
        with torch.serialization.safe_globals([(OrderedDict, name) for name in LIGHTNING]):
            state: dict[str, Any] = torch.load(source, map_location=map_location, weights_only=True)
    except (RuntimeError, EOFError) as error:  # no end of an archive, or of a pickle
        raise _damaged(label, error) from error
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        remedy = "save its tensors as safetensors, and set MMBENCH_WEIGHTS_<NAME> to that file"
        raise MMBenchError(f"{label} holds more than tensors: {reason}", "tensors only", remedy) from error
    return state


def _damaged(label: str, error: Exception) -> IntegrityError:
    reason = (str(error) or "it ends too early").splitlines()[0].split(". ")[0]
    return IntegrityError(f"{label} is damaged: {reason}.", "a whole checkpoint")


@contextmanager
def _extracted(archive: Path, pattern: str) -> Iterator[IO[bytes]]:
    """The one member that matches, as a seekable temporary file: seeking in a compressed stream starts over."""
    with tarfile.open(archive) as tar, tempfile.TemporaryFile() as scratch:
        matches = [m for m in tar.getmembers() if m.isfile() and fnmatch(m.name, pattern)]
        if len(matches) != 1:
            names = ", ".join(m.name for m in matches) or "none"
            raise MMBenchError(f"{archive} has {len(matches)} files like {pattern!r}: {names}.", "exactly one")
        shutil.copyfileobj(tar.extractfile(matches[0]), scratch)  # type: ignore[arg-type]  # a regular file
        scratch.seek(0)
        yield scratch

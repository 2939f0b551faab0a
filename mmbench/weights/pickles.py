"""Reads checkpoints of `torch.save`: tensors and plain containers of them, and never code."""

from __future__ import annotations

import errno
import pickle
import re
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np

from mmbench.errors import IntegrityError, MMBenchError

LIGHTNING = (  # classes that checkpoints of Lightning name, read as plain dictionaries: nothing of them is needed
    "pytorch_lightning.callbacks.model_checkpoint.ModelCheckpoint",
    "pytorch_lightning.utilities.parsing.AttributeDict",
)
ARRAYS = ("numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")
SCALARS = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
LARGEST_SCALAR = 32  # [bytes]
KINDS: list[Any] = [np.dtype, *(type(np.dtype(kind)) for kind in "?bBhHiIlLqQefd")]
REMEDY = "save its tensors as safetensors, and name that file (MMBENCH_WEIGHTS_<NAME> for published weights)"


class Skipped:
    """Stands for an array of numpy in a checkpoint, as of a sampler's state: nothing of it is made or kept."""

    def __init__(self, *_: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...


def load_pickle(source: Path | IO[bytes], label: str, map_location: str = "cpu", mmap: bool = False) -> dict[str, Any]:
    """Read what `torch.load(weights_only=True)` accepts, if it is a dictionary.

    Args:
        source: A file that is known to be modest (`headers.require_whole`), or the unpacked member of an archive.
        label: What errors call it.
        map_location: Device the tensors come to; "meta" for names and shapes alone.
        mmap: Map tensors instead of reading them; for a zip file only.

    Raises:
        IntegrityError: It is cut off or otherwise damaged.
        MMBenchError: It holds more than named tensors and plain containers, or takes more memory than there is.
    """
    import torch

    names: list[Any] = [(OrderedDict, name) for name in LIGHTNING] + [(Skipped, name) for name in ARRAYS]
    names += [(_make_scalar, name) for name in SCALARS]
    try:
        with torch.serialization.safe_globals(names + KINDS), warnings.catch_warnings(action="ignore"):
            state = torch.load(source, map_location=map_location, weights_only=True, mmap=mmap or None)
    except MemoryError as error:
        raise MMBenchError(f"{label} takes more memory than there is.", "a checkpoint that fits") from error
    except OSError as error:
        if error.errno != errno.EINVAL:  # that is a seek to before the start
            raise
        raise _damaged(label, error) from error
    except Exception as error:  # a broken pickle raises anything
        raise _refusal(label, error) from error
    if not isinstance(state, dict):
        raise MMBenchError(f"{label} holds a {type(state).__name__}.", "a dictionary of named tensors", REMEDY)
    return state


def _make_scalar(kind: np.dtype[Any], data: bytes) -> Any:
    """A number of a saved optimizer; numpy's own function would make one of gigabytes."""
    if not isinstance(data, bytes) or not kind.itemsize == len(data) <= LARGEST_SCALAR:
        raise pickle.UnpicklingError("Unsupported number of numpy")
    return np.frombuffer(data, kind)[0]


def _refusal(label: str, error: Exception) -> MMBenchError:
    """What torch said at length and in colour, as one line: code, or damage."""
    said = str(error)
    if named := re.search(r"GLOBAL ([\w.<>]+)|(TorchScript)", said):
        found = f"{label} holds more than tensors: {named[1] or 'a TorchScript program'}, which is not run."
        return MMBenchError(found, "tensors only", REMEDY)
    if isinstance(error, pickle.UnpicklingError) and re.search("nsupported|only|Trying to|not allowed", said):
        return MMBenchError(f"{label} holds more than tensors, and is not run.", "tensors only", REMEDY)
    return _damaged(label, error)


def _damaged(label: str, error: Exception) -> IntegrityError:
    said = "".join(c if c.isprintable() else "?" for c in str(error).split("\n")[0].split(". ")[0])
    return IntegrityError(f"{label} is damaged: {said.strip() or 'it ends too early'}.", "a whole checkpoint")

"""Folders of models that diffusers and transformers load: judged first, and one message whatever those raise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmbench.errors import IntegrityError, MMBenchError, one_line
from mmbench.weights.file_digests import files
from mmbench.weights.headers import TENSORS, require_whole


@contextmanager
def loading(source: Path | str, expected: str, remedy: str = "") -> Iterator[None]:
    """Load a model in the block: its files are judged by their headers first, and a library's error becomes ours.

    Args:
        source: The model's folder or file, or what a model that is not here is called.
        expected: What would have been right.
        remedy: The command to try next.

    Raises:
        IntegrityError: A file is damaged, or the library cannot load the model.
        MMBenchError: A file would fill the memory.
    """
    if isinstance(source, Path):
        for file in files(source).values():
            if file.suffix in (*TENSORS, ".json"):
                require_whole(file)
    try:
        yield
    except MMBenchError:
        raise
    except Exception as error:  # their exceptions are of many kinds, and change between versions
        raise IntegrityError(f"{source} cannot be loaded: {one_line(error)}", expected, remedy) from error

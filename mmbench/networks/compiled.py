"""librosa, whose parts numba compiles and keeps on disk, in a way that many processes may be the first at once."""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache, wraps
from importlib import import_module
from typing import Any

PATCHING = threading.Lock()


@cache
def import_librosa() -> Any:
    """The module librosa.

    numba keeps what it compiles by reading an index, adding to it and writing it back. Of two processes that do so at
    once one takes the other's entry away, and machine code of one function then stands under another's name: programs
    crash until somebody deletes it. So each entry is written under a lock here.
    """
    from numba.core.caching import IndexDataCacheFile

    with PATCHING:
        save = IndexDataCacheFile.save
        if not hasattr(save, "__wrapped__"):  # twice would wait for itself

            @wraps(save)
            def save_alone(self: Any, key: Any, data: Any) -> None:
                with _locked(f"{self._index_path}.lock"):
                    save(self, key, data)

            IndexDataCacheFile.save = save_alone  # type: ignore[method-assign]
        return import_module("librosa")


@contextmanager
def _locked(path: str) -> Iterator[None]:
    """Hold a file's lock for the block, where the disk has locks; the kernel drops it with the process."""
    with ExitStack() as stack:
        with suppress(OSError):
            file = stack.enter_context(open(path, "ab"))
            fcntl.flock(file, fcntl.LOCK_EX)
        yield

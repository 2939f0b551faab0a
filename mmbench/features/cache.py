"""Features on disk, addressed by content: a clip seen once under an extractor is never computed again.

    CACHE/<extractor>-<digest>/<time>-<pid>.safetensors    tensors called <content digest>/<feature>

A file is whole or absent (written beside, renamed) and never changed, so processes may share the folder.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.console import log
from mmbench.features.extractor_identity import identify_extractor
from mmbench.files import write_whole
from mmbench.identity import digest_of
from mmbench.types import Extractor, Features, Spec

MAX_FILES = 64  # more than this are merged into one when the table is opened


class FeatureCache:
    """Feature tables on disk, one folder per extractor; with no folder, nothing is kept.

    As a context manager it writes what is pending and closes its files at the end.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._shelves: dict[str, Shelf] = {}
        self._known: dict[int, tuple[Extractor, Shelf]] = {}  # by identity: a spec may hash megabytes of weights

    def shelf(self, extractor: Extractor) -> Shelf:
        """The table of one extractor."""
        if id(extractor) not in self._known:
            self._known[id(extractor)] = extractor, self._named_shelf(extractor.name, identify_extractor(extractor))
        return self._known[id(extractor)][1]

    @cached_property
    def contents(self) -> Shelf:
        """The table of what clips hold, by digests of their sources, so that a second look need not decode them."""
        return self._named_shelf(
            "content", {"version": 3}
        )  # 2: lossy sound ends with the picture; 3: H.264 may be exact

    def _named_shelf(self, name: str, spec: Spec) -> Shelf:
        """The table of what `name` with this `spec` finds in clips."""
        key = f"{name}-{digest_of({'name': name, **spec})[:12]}"
        if key not in self._shelves:
            self._shelves[key] = Shelf(self.folder / key if self.folder else None)
        return self._shelves[key]

    def flush(self) -> None:
        """Write what is not yet on disk."""
        for shelf in self._shelves.values():
            shelf.flush()

    def __enter__(self) -> FeatureCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        for shelf in self._shelves.values():
            shelf.close()
        self._shelves.clear()
        self._known.clear()
        self.__dict__.pop("contents", None)


class Shelf:
    """Features of one extractor by content digest, as a mapping that is read from disk and added to in memory."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        self._files: list[Any] = []
        self._index: dict[str, tuple[int, list[str]]] = {}
        self._pending: dict[str, Features] = {}
        if folder is not None and folder.is_dir():
            paths = sorted(folder.glob("*.safetensors"))
            if len(paths) > MAX_FILES:
                paths = self._compact(folder)
            for path in paths:
                self._open(path)

    def _open(self, path: Path) -> None:
        from safetensors import SafetensorError, safe_open

        try:
            file = safe_open(path, framework="numpy").__enter__()
            keys = list(file.keys())
        except (SafetensorError, OSError) as error:
            log.warning("feature file %s is unreadable (%s); its features are computed again", path, error)
            return
        for key in keys:
            digest, _, name = key.partition("/")
            self._index.setdefault(digest, (len(self._files), []))[1].append(name)
        self._files.append(file)

    def _compact(self, folder: Path) -> list[Path]:
        with open(folder / ".lock", "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            paths = sorted(folder.glob("*.safetensors"))
            for path in paths:
                self._open(path)
            merged = {digest: self[digest] for digest in self._index}
            whole = _write_features(folder, merged)
            for path in paths:
                path.unlink(missing_ok=True)
        self.close()
        return [whole]

    def close(self) -> None:
        """Close the files; the table is not to be used any more."""
        for file in self._files:
            file.__exit__(None, None, None)
        self._files, self._index = [], {}

    def __contains__(self, digest: str) -> bool:
        return digest in self._pending or digest in self._index

    def __getitem__(self, digest: str) -> Features:
        if digest in self._pending:
            return self._pending[digest]
        number, names = self._index[digest]
        return {name: self._files[number].get_tensor(f"{digest}/{name}") for name in dict.fromkeys(names)}

    def recall(self, digests: Sequence[str | None]) -> list[Features | None]:
        """Features by digest; None where a digest is None or the table lacks it."""
        return [self[d] if d is not None and d in self else None for d in digests]

    def __setitem__(self, digest: str, features: Features) -> None:
        self._pending[digest] = features

    def flush(self) -> None:
        """Write what is pending as one file."""
        if self.folder is None or not self._pending:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        self._open(_write_features(self.folder, self._pending))
        self._pending = {}


def _write_features(folder: Path, table: Mapping[str, Features]) -> Path:
    from safetensors.numpy import save_file

    tensors = {f"{digest}/{name}": np.array(v, order="C") for digest, fs in table.items() for name, v in fs.items()}
    path = folder / f"{time.time_ns()}-{os.getpid()}.safetensors"
    write_whole(path, partial(save_file, tensors))
    return path

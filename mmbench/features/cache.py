"""Features on disk, addressed by content: a clip seen once under an extractor is never computed again.

    CACHE/<extractor>-<digest>/<time>-<pid>.safetensors    tensors called <content digest>/<feature>

A file is whole or absent (written beside, renamed) and never changed, so processes may share the folder. What is read
is checked (see `mmbench.tensor_files`); a damaged file goes, and what it held is computed again.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path

import numpy as np

from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.features.extractor_identity import identify_extractor
from mmbench.files import make_folder, remove_unfinished, writing
from mmbench.identity import digest_of
from mmbench.tensor_files import TensorFile, write_tensors
from mmbench.types import Extractor, Features, Spec

MAX_FILES = 64  # more than this are merged into one when the table is opened


class FeatureCache:
    """Feature tables on disk, one folder per extractor; with no folder, nothing is kept.

    As a context manager it writes what is pending and closes its files at the end.

    Args:
        folder: Where they are; None keeps nothing.
        processes: How many of a launcher add to the folder at once and share what there is to compute.
    """

    def __init__(self, folder: Path | None, processes: int = 1) -> None:
        self.folder, self.processes = folder, processes if folder is not None else 1
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
        self.reopen()

    def reopen(self) -> None:
        """Write what is pending and look again what there is, for what other processes wrote."""
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
        self._files: list[TensorFile] = []
        self._index: dict[str, tuple[TensorFile, list[str]]] = {}
        self._pending: dict[str, Features] = {}
        if folder is not None and folder.is_dir():
            remove_unfinished(folder)
            paths = sorted(folder.glob("*.safetensors"))
            if len(paths) > MAX_FILES:
                paths = self._compact(folder)
            for path in paths:
                self._open(path)

    def _open(self, path: Path) -> None:
        try:
            file = TensorFile(path)
        except IntegrityError as error:
            if path.exists():  # else another process has just merged it into another file
                self._drop(path, error)
            return
        for key in file.names:
            digest, _, name = key.partition("/")
            holder, names = self._index.setdefault(digest, (file, []))
            if holder is file:
                names.append(name)
        self._files.append(file)

    def _drop(self, path: Path, error: IntegrityError) -> None:
        """Forget a damaged file and all that it held, on the disk too."""
        log.warning("%s Its features are computed again.", error.found)
        self._index = {digest: held for digest, held in self._index.items() if held[0].path != path}
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def _compact(self, folder: Path) -> list[Path]:
        with writing(folder), open(folder / ".lock", "a") as lock:
            with suppress(OSError):  # not every network disk has locks; two that do this at once lose nothing
                fcntl.flock(lock, fcntl.LOCK_EX)
            paths = sorted(folder.glob("*.safetensors"))
            for path in paths:
                self._open(path)
            found = {digest: features for digest in list(self._index) if (features := self._read(digest)) is not None}
            whole = _write_features(folder, found)
            for path in paths:
                path.unlink(missing_ok=True)
        self.close()
        return [whole]

    def close(self) -> None:
        """Close the files; the table is not to be used any more."""
        for file in self._files:
            file.close()
        self._files, self._index = [], {}

    def __contains__(self, digest: str) -> bool:
        return digest in self._pending or digest in self._index

    def _read(self, digest: str) -> Features | None:
        """The features of a content, checked; None if there are none, or they are damaged."""
        if digest in self._pending:
            return self._pending[digest]
        if digest not in self._index:
            return None
        file, names = self._index[digest]
        try:
            return {name: file[f"{digest}/{name}"] for name in names}
        except IntegrityError as error:
            others = {d: held for d, (holder, held) in self._index.items() if holder is file and d != digest}
            self._drop(file.path, error)
            for other, held in others.items():
                with suppress(IntegrityError):  # what is whole comes into the next file
                    self._pending[other] = {name: file[f"{other}/{name}"] for name in held}
            return None

    def recall(self, digests: Sequence[str | None]) -> list[Features | None]:
        """Features by digest; None where a digest is None, or the table lacks it or has it damaged."""
        return [None if d is None else self._read(d) for d in digests]

    def __setitem__(self, digest: str, features: Features) -> None:
        self._pending[digest] = features

    def flush(self) -> None:
        """Write what is pending as one file."""
        if self.folder is None or not self._pending:
            return
        make_folder(self.folder)
        self._open(_write_features(self.folder, self._pending))
        self._pending = {}


def _write_features(folder: Path, table: Mapping[str, Features]) -> Path:
    tensors = {f"{digest}/{name}": np.array(v, order="C") for digest, fs in table.items() for name, v in fs.items()}
    path = folder / f"{time.time_ns()}-{os.getpid()}.safetensors"
    write_tensors(path, tensors)
    return path

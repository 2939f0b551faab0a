"""Encoded pairs on disk: what a discriminator is trained on, made once, read when indexed.

POOL/000003.safetensors      `CHUNK` pairs from 3 CHUNK on: video and audio stacked, which texts are theirs, and which
                             of them are lost because their clips cannot be read, and why
POOL/texts/0a1b….safetensors     the texts of pairs, once each, named by their content
POOL/leases/000004               the process that is making that chunk

A chunk is whole or absent, so a pool that was stopped goes on with those that are missing. Processes that fill one pool
share its chunks; a longer pool keeps the full chunks of a shorter one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.errors import IntegrityError
from mmbench.files import make_folder, remove_unfinished
from mmbench.identity import digest_bytes
from mmbench.leases import LeaseTable
from mmbench.progress import progress
from mmbench.tensor_files import TensorFile, read_tensors, write_tensors

CHUNK = 32  # pairs per file: a kill loses as many at most, and a hundred thousand pairs are a few thousand files
TEXTS_KEPT = 512  # read ones that stay in memory

Example = tuple[Any, ...]  # (video, audio, video_text, audio_text) on the CPU; texts are None where there are none
Make = Callable[[list[int]], Sequence[Example | str]]  # the examples of some indices, or why there is none


class Pool:
    """The first `num` pairs of a folder, without those whose clips cannot be read.

    Args:
        folder: Where they are or come to.
        num: How many are wanted.

    Attributes:
        lost: Why there is no pair of an index, as it was when the pool was filled or looked at; its length is less by
            as many, and later pairs move up.
    """

    def __init__(self, folder: Path, num: int) -> None:
        self.folder, self.num = folder, num
        self.lost: dict[int, str] = {}
        self._kept: Sequence[int] = range(num)
        self._checked: set[int] = set()  # chunks whose content was held to its checksums

    @property
    def name(self) -> str:
        """What tells its pairs from others."""
        return self.folder.name

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Example:
        chunk, row = divmod(place := self._kept[index], CHUNK)
        row -= sum(place - row <= lost < place for lost in self.lost)
        path, texts = self._path(chunk), None
        try:
            with TensorFile(path, "pt") as file:
                if chunk not in self._checked:
                    file.check()
                    self._checked.add(chunk)
                video, audio = (file.slice(name)[row] for name in ("video", "audio"))
                name = json.loads(file.metadata["texts"])[row]
            texts = self._texts_path(name) if name else None
            return video, audio, *(_texts(texts) if texts else (None, None))
        except (IntegrityError, LookupError, ValueError) as error:
            for damaged in [path, *([texts] if texts else [])]:
                damaged.unlink(missing_ok=True)
            reason = error.found if isinstance(error, IntegrityError) else f"{path}: {error}"
            next = "the same command again, which encodes them anew"
            raise IntegrityError(f"Encoded pairs were damaged and are removed: {reason}", "", next) from error

    def _path(self, chunk: int) -> Path:
        return self.folder / f"{chunk:06d}.safetensors"

    def _texts_path(self, name: str) -> Path:
        return self.folder / "texts" / f"{name}.safetensors"

    def _wanted(self, chunk: int) -> int:
        return min(CHUNK, self.num - chunk * CHUNK)

    def missing(self) -> list[int]:
        """Indices of the chunks that are not there, or shorter than wanted; sees, too, which pairs are lost."""
        missing: list[int] = []
        self.lost = {}
        for chunk in range(-(-self.num // CHUNK)):
            length, lost = _read_head(self._path(chunk))
            missing += [chunk] if length < self._wanted(chunk) else []
            self.lost |= {chunk * CHUNK + row: why for row, why in lost.items() if row < self._wanted(chunk)}
        self._kept = [i for i in range(self.num) if i not in self.lost] if self.lost else range(self.num)
        return missing

    def _has(self, chunk: int) -> bool:
        return _read_head(self._path(chunk))[0] >= self._wanted(chunk)

    def fill(self, make: Make, batch: int, label: str, quiet: bool) -> None:
        """Makes the missing chunks that no other process is making, then waits for those of other processes.

        Pairs that were lost are tried once more: their files may be mended, or a limit raised.

        Args:
            make: Makes the examples of these indices, or says why there is none.
            batch: Most indices of one call.
            label: Title of the progress.
            quiet: No progress.
        """
        make_folder(self.folder / "texts")
        remove_unfinished(self.folder, self.folder / "texts", self.folder / "leases")
        leases = LeaseTable(self.folder / "leases")
        leases.remove_dead(path.name for path in leases.folder.glob("[0-9]*"))  # killed after they wrote their chunk
        chunks = self.missing()
        chunks += sorted({place // CHUNK for place in self.lost} - set(chunks))
        while chunks:
            made = 0
            with progress(label, sum(map(self._wanted, chunks)), quiet) as bar:
                for chunk in chunks:
                    with leases.hold(f"{chunk:06d}") as lease:
                        if lease is not None and (not self._has(chunk) or self._is_mended(chunk, make)):
                            self._write(chunk, self._make(chunk, make, batch, bar.advance))
                            made += 1
            chunks = self.missing()
            if not made and chunks:
                log.info("%s: waiting for other processes", label)
                time.sleep(1.0)

    def _is_mended(self, chunk: int, make: Make) -> bool:
        """Whether any of the lost pairs of a chunk can be made now."""
        lost = [chunk * CHUNK + row for row in _read_head(self._path(chunk))[1] if row < self._wanted(chunk)]
        return bool(lost) and any(not isinstance(made, str) for made in make(lost))

    def _make(self, chunk: int, make: Make, batch: int, advance: Callable[[], object]) -> list[Example | str]:
        first = chunk * CHUNK
        examples: list[Example | str] = []
        for start in range(first, first + self._wanted(chunk), batch):
            indices = list(range(start, min(start + batch, first + self._wanted(chunk))))
            examples += make(indices)
            for _ in indices:
                advance()
        return examples

    def _write(self, chunk: int, made: Sequence[Example | str]) -> None:
        import torch

        examples = [example for example in made if not isinstance(example, str)]
        lost = {row: reason for row, reason in enumerate(made) if isinstance(reason, str)}
        halves = {"video": [e[0] for e in examples], "audio": [e[1] for e in examples]}
        tensors = {name: torch.stack(rows) if rows else torch.zeros(0) for name, rows in halves.items()}
        about = {"texts": json.dumps([self._keep_texts(texts) for _, _, *texts in examples])}
        write_tensors(self._path(chunk), tensors, about | ({"lost": json.dumps(lost)} if lost else {}))

    def _keep_texts(self, texts: Sequence[Any]) -> str:
        """Name of a pair's texts, which are written unless they are there; "" without texts."""
        if texts[0] is None:
            return ""
        tensors = {name: text.contiguous() for name, text in zip(("video", "audio"), texts, strict=True)}
        name = digest_bytes(*(text.numpy().data for text in tensors.values()))
        if not self._texts_path(name).exists():
            write_tensors(self._texts_path(name), tensors)
        return name


@lru_cache(TEXTS_KEPT)
def _texts(path: Path) -> tuple[Any, Any]:
    tensors = read_tensors(path, "pt")
    return tensors["video"], tensors["audio"]


def _read_head(path: Path) -> tuple[int, dict[int, str]]:
    """How many pairs a chunk was made of, and which rows of them are lost, and why.

    (0, {}) if it is not there, or damaged, and then it goes.
    """
    if not path.exists():
        return 0, {}
    try:
        with TensorFile(path, "pt") as file:
            if "texts" not in file.metadata or not {"video", "audio"} <= set(file.names):
                raise IntegrityError(f"{path} is damaged: it lacks a part.")
            lost = {int(row): str(why) for row, why in json.loads(file.metadata.get("lost", "{}")).items()}
            return int(file.slice("video").get_shape()[0]) + len(lost), lost
    except IntegrityError as error:
        log.warning("%s Its pairs are encoded again.", error.found)
        path.unlink(missing_ok=True)
        return 0, {}

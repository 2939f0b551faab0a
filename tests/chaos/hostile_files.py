"""Hostile checkpoints and archives, made by code and small on disk, each with what must be said of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tests.chaos.hostile_archives import make_gzip_bomb, make_overlapping_zip, make_zip_bomb, pickles, tars
from tests.chaos.hostile_headers import configs, framed, headers

Reader = Literal["discriminator", "tensors"]
GIGABYTES = 6 << 30


@dataclass(frozen=True)
class HostileFile:
    """A file that must be refused.

    Attributes:
        name: What is wrong with it.
        file: Its name.
        reader: What reads it: `load_discriminator`, which reads shapes first, or `read_tensors`, archives too.
        make: Makes it at a path.
        says: What the message must contain.
    """

    name: str
    file: str
    reader: Reader
    make: Callable[[Path], object]
    says: str


def hostile_files(mark: str) -> list[HostileFile]:
    """All of them; what is code would make the folder `mark`."""
    return [*_written(mark), *_made()]


def _written(mark: str) -> Iterator[HostileFile]:
    groups = (
        ("header", ".safetensors", ("discriminator", "tensors"), headers()),
        ("config", ".safetensors", ("discriminator",), configs()),
        ("pickle", ".pt", ("discriminator", "tensors"), pickles(mark)),
        ("tar", ".tar.gz", ("tensors",), tars(mark)),
    )
    readers: tuple[Reader, ...]
    for group, suffix, readers, contents in groups:  # type: ignore[assignment]
        for index, (name, content, says) in enumerate(contents):
            for reader in readers:
                # what reads shapes first says that it "cannot be read", and then why
                said = "" if says == "cannot be read" and reader == "tensors" else says
                yield HostileFile(
                    f"{name} ({reader})", f"{group}{index}{suffix}", reader, partial(_write, content), said
                )


def _made() -> Iterator[HostileFile]:
    one = b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (GIGABYTES, GIGABYTES)
    bombs: tuple[tuple[str, str, Callable[[Path], object], str], ...] = (
        ("a tensor of holes", "holes.safetensors", partial(_write_sparse, framed(one, b"")), "would become"),
        ("a header of holes", "long.safetensors", partial(_write_sparse, (5 << 30).to_bytes(8, "little")), "would"),
        ("a checkpoint of holes", "holes.pt", partial(_write_sparse, b"PK\3\4"), "would become"),
        ("a zip bomb", "bomb.pt", make_zip_bomb, "would become"),
        ("a zip whose entries overlap", "overlap.pt", make_overlapping_zip, "would become"),
        ("a folder", "folder.safetensors", os.mkdir, "is not a file"),
        ("a FIFO", "fifo.safetensors", os.mkfifo, "is not a file"),
        ("a FIFO for a pickle", "fifo.pt", os.mkfifo, "is not a file"),
        ("an endless device", "zero.pt", partial(_link, "/dev/zero"), "is not a file"),
        ("a dangling link", "dangling.pt", partial(_link, "nowhere"), "is not a file"),
        ("a link to itself", "loop.pt", partial(_link, "loop.pt"), "is not a file"),
    )
    for name, file, make, says in bombs:
        yield HostileFile(f"{name} (tensors)", file, "tensors", make, says)
        yield HostileFile(f"{name} (discriminator)", file, "discriminator", make, says)
    yield HostileFile("a gzip bomb", "bomb.tar.gz", "tensors", make_gzip_bomb, "would become")


def _write(content: bytes, path: Path) -> None:
    path.write_bytes(content)


def _write_sparse(start: bytes, path: Path) -> None:
    """A file that begins so and is a hole of gigabytes after that."""
    with path.open("wb") as file:
        file.write(start)
        file.truncate(len(start) + GIGABYTES)


def _link(target: str, path: Path) -> None:
    path.symlink_to(target)

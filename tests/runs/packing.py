"""Runs to pack, and what of them must stay the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmbench.runs import pack_index, packs
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.types import Clip, Request
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

N = 4
FAILING = 3
REQUESTS = make_requests(FixtureDataset(), N, 0)
RUN = RunSpec("s", "d", 0, "none", {})


class Flawed(FixtureSystem):
    """A system that cannot make one of the samples."""

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            if request.index == FAILING:
                raise ValueError("too long a prompt")
            yield from super().generate([request])


def make(out: Path, **options: Any) -> SampleStore:
    """A run of three samples and a failure, or one that goes on."""
    store = SampleStore.create(out, RUN)
    generate(store, Flawed(), REQUESTS, **options)
    return store


def packed(out: Path) -> SampleStore:
    store = make(out)
    assert store.pack() == N
    return store


def content(store: SampleStore) -> dict[str, Any]:
    """All that a run's samples say, after decoding each."""
    status = store.status(N)
    for index in status.present:
        store.verify(index)
    told = {i: (asdict(store.record(i)), store.source(i).file_digest) for i in status.present}
    return {"status": status, "samples": told, "failures": {i: store.failure(i) for i in status.failed}}


def loose_bytes(store: SampleStore) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.samples.iterdir() if file.is_file()}


def only_pack(store: SampleStore) -> Path:
    (file,) = store.packs.files()
    return file


def edit(file: Path, change: Callable[[bytes], bytes]) -> None:
    """Write another version of a pack, which nobody but damage does."""
    file.write_bytes(change(file.read_bytes()))
    look_again()


def look_again() -> None:
    """As another process would."""
    pack_index.read_index.cache_clear()
    packs._merge_indices.cache_clear()


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :]

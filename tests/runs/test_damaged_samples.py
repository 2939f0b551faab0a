"""A damaged sample is made again, and what is the machine's fault is recorded against no sample."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.runs.generate import generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore, note_invocation
from mmbench.types import Clip, Request
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem

N = 4


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    """A run of four samples."""
    made = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    fill(made)
    return made


def fill(store: SampleStore, system: FixtureSystem | None = None, retry: bool = False) -> None:
    generate(store, system or FixtureSystem(), make_requests(FixtureDataset(), N, 0), retry_failed=retry)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


@pytest.mark.parametrize("what", ["cut", "gone", "empty record", "flipped record", "a list for a record"])
def test_a_sample_whose_file_or_record_is_damaged_is_made_again(
    store: SampleStore, what: str, caplog: pytest.LogCaptureFixture
) -> None:
    before = {i: store.record(i).digest for i in range(N)}
    media, record = store.samples / "000002.mkv", store.samples / "000002.json"
    if what == "cut":
        media.write_bytes(media.read_bytes()[:-7])
    elif what == "gone":
        media.unlink()
    elif what == "flipped record":
        flip(record)
    else:
        record.write_text("" if what == "empty record" else "[]")
    fill(store)
    assert "sample 2 is damaged and made again" in caplog.text
    assert {i: store.record(i).digest for i in range(N)} == before
    assert store.find_damaged(range(N), decode=True) == {}


@pytest.mark.parametrize("typed", [False, True])
def test_a_flipped_bit_in_media_is_mended_by_retry_failed_and_by_the_command_that_is_named(
    store: SampleStore, typed: bool
) -> None:
    flip(store.samples / "000001.mkv")
    with pytest.raises(IntegrityError, match=r"(?s)000001.mkv is damaged.*try: rm -f .*000001.json .*000001.mkv && "):
        store.verify(1)
    fill(store)
    assert store.made == N, "only --retry-failed decodes what is stored"
    note_invocation(store.folder, {"command": ["touch", str(store.folder / "it's typed again")]})
    if typed:
        subprocess.run(["sh", "-c", store.source(1).remedy], check=True)
        assert (store.folder / "it's typed again").exists()
    fill(store, retry=not typed)
    assert store.find_damaged(range(N), decode=True) == {}
    assert store.made == N + 1


def test_merge_takes_over_no_damaged_sample(store: SampleStore, tmp_path: Path) -> None:
    (store.samples / "000003.mkv").write_bytes(b"cut")
    whole = SampleStore.create(tmp_path / "whole", store.run)
    with pytest.raises(IntegrityError, match=r"Sample 3 .* is damaged: 000003.mkv has 3 bytes"):
        whole.merge(store)
    assert whole.status(N).present == []


class Faulty(FixtureSystem):
    """Raises `error`, after `clips` clips."""

    def __init__(self, error: Exception, clips: int = 0) -> None:
        super().__init__()
        self.error, self.clips = error, clips

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        for request in requests:
            if request.index >= self.clips:
                raise self.error
            yield from super().generate([request])


@pytest.mark.parametrize(
    ("error", "clips"),
    [
        (ImportError("libcudart.so: cannot open shared object file"), 0),
        (ModuleNotFoundError("No module named 'decord'"), 2),
        (OSError(12, "Cannot allocate memory"), 0),
        (MemoryError(), 0),
        (MemoryError(), 2),
    ],
)
def test_a_fault_of_the_machine_is_recorded_against_no_sample(tmp_path: Path, error: Exception, clips: int) -> None:
    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    with pytest.raises(MMBenchError, match=r"cannot work here|needs more memory") as caught:
        fill(store, Faulty(error, clips))
    assert "no sample was marked as failed" in str(caught.value)
    assert (store.status(N).failed, len(store.status(N).present)) == ([], clips)
    fill(store)
    assert store.status(N).present == list(range(N))


def test_a_fault_of_one_sample_is_recorded_even_if_it_is_the_first(tmp_path: Path) -> None:
    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    fill(store, Faulty(ValueError("too long a prompt")))
    assert (store.status(N).failed, store.failure(0).kind) == (list(range(N)), "error")


def test_leases_of_a_killed_process_go_once_its_samples_are_there(store: SampleStore) -> None:
    for index in range(N):
        dead = {"host": "gone", "pid": 1, "start": "1", "time": 0}
        lease = store.folder / "leases" / f"{index:06d}"
        lease.write_text(json.dumps(dead))
        subprocess.run(shlex.split(f"touch -d 2020-01-01 {shlex.quote(str(lease))}"), check=True)
    fill(store)
    assert [p.name for p in (store.folder / "leases").glob("0*")] == []

"""A process that slept while another took its packing or unpacking over wakes, and no sample is lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import DiskError
from mmbench.runs import packs
from mmbench.runs.generate import generate
from mmbench.runs.store import SampleStore
from tests.fixture_distribution.mmbench_fixture import FixtureSystem
from tests.runs.packing import FAILING, REQUESTS, N, content, flipped, loose_bytes, make, only_pack, packed

pytestmark = pytest.mark.usefixtures("fast_disk")
FILES = 2 * FAILING + 1  # of three samples and a failure


def take_over(store: SampleStore) -> SampleStore:
    """The run as another process finds it that takes the lease."""
    (store.folder / "leases" / packs.PACKS).unlink()
    return SampleStore.open(store.folder)


def sleep_after(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, calls: int, meanwhile: Callable[[], object]
) -> list[object]:
    """Let `meanwhile` happen right after so many calls that gave something; what it gave comes into the list."""
    real, count, happened = getattr(place, name), 0, list[object]()

    def call(*arguments: Any) -> Any:
        nonlocal count
        result = real(*arguments)
        count += result is not False
        if count == calls and not happened:
            happened.append(None)
            happened[0] = meanwhile()
        return result

    monkeypatch.setattr(place, name, call)
    return happened


@pytest.mark.parametrize("files", [1, 4, FILES])
def test_what_unpacks_and_wakes_after_another_packed_removes_no_pack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    store = packed(tmp_path)
    before = content(store)
    happened = sleep_after(monkeypatch, packs, "write_whole", files, lambda: take_over(store).pack())
    assert (store.unpack(), len(happened)) == (None, 1)
    assert content(store) == before
    assert (store.pack(), content(store), loose_bytes(store)) == (0, before, {})


@pytest.mark.parametrize("files", [1, 4, FILES])
def test_what_packs_and_wakes_after_another_unpacked_removes_no_loose_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int
) -> None:
    store = make(tmp_path)
    before = content(store)
    happened = sleep_after(monkeypatch, packs.Packs, "_is_packed", files, lambda: take_over(store).unpack())
    assert (store.pack(), len(happened)) == (None, 1)
    assert (content(store), store.packs.files()) == (before, [])


def test_a_pack_whose_writing_outlasted_the_lease_does_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = make(tmp_path)
    before = content(store)
    happened = sleep_after(monkeypatch, packs, "_add", 1 + FILES, lambda: take_over(store).pack())
    assert (store.pack(), happened) == (0, [N])
    assert only_pack(store).name.startswith("pack-000001-")
    assert (content(store), loose_bytes(store)) == (before, {})


@pytest.mark.parametrize("files", [1, 3, 5])
@pytest.mark.parametrize("unpack", [False, True])
def test_even_where_the_lease_tells_nothing_what_another_moved_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unpack: bool, files: int
) -> None:
    store = packed(tmp_path) if unpack else make(tmp_path)
    before, other = content(store), packs.Packs(store.samples)
    if unpack:
        happened = sleep_after(
            monkeypatch, packs, "write_whole", files, lambda: other.pack(other.loose(), lambda: True)
        )
        assert store.packs.unpack(lambda: True) == N
    else:
        happened = sleep_after(monkeypatch, packs.Packs, "_is_packed", files, lambda: other.unpack(lambda: True))
        assert store.packs.pack(store.packs.loose(), lambda: True) == N
    assert len(happened) == 1
    assert content(store) == before


def test_packs_that_came_since_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = packed(tmp_path)
    (first,) = store.packs.files()

    def make_more() -> None:
        other = SampleStore.open(store.folder)
        generate(other, FixtureSystem(), REQUESTS, retry_failed=True)
        other.discard(0)
        other.packs.pack({f"{FAILING:06d}"}, lambda: True)

    sleep_after(monkeypatch, packs, "write_whole", FILES, make_more)
    store.packs.unpack(lambda: True)
    assert first not in store.packs.files()
    assert only_pack(store).name.startswith("pack-000002-")
    assert FAILING in store.status(N).present
    assert store.find_damaged(store.status(N).present, decode=True) == {}


def test_an_unpacking_that_was_cut_off_leaves_nothing_behind_once_it_is_packed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, write_whole = packed(tmp_path), packs.write_whole
    before = content(store)
    for cut in range(FILES):
        left = cut

        def write(path: Path, data: Any) -> None:
            nonlocal left
            if left == 0:
                raise DiskError(f"Cannot write to {path}: No space left on device.")
            left -= 1
            write_whole(path, data)

        monkeypatch.setattr(packs, "write_whole", write)
        with pytest.raises(DiskError):
            store.unpack()
        monkeypatch.setattr(packs, "write_whole", write_whole)
        loose = loose_bytes(store)
        alone = [name for name in loose if name.endswith(".mkv") and f"{name[:6]}.json" not in loose]
        assert (len(loose), len(alone)) == (cut, cut % 2 if cut < FILES - 1 else 0)
        assert list(store.packs.loose()) == sorted({name[:6] for name in loose}), "they are counted"
        assert (content(store), store.pack(), content(store)) == (before, 0, before)
        assert loose_bytes(store) == {}


def test_media_that_differ_from_those_packed_with_their_record_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = packed(tmp_path)
    data = store.packs.members()["000001.mkv"].read_bytes()
    for other in (flipped(data, len(data) // 2), data[:-1]):
        (store.samples / "000001.mkv").write_bytes(other)
        assert store.pack() == 0
        assert loose_bytes(store) == {"000001.mkv": other}
    assert "000001.mkv stays loose: its pack holds something else" in caplog.text
    assert "sample 1 is damaged and not packed" in caplog.text

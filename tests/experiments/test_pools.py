"""Pools of encoded pairs: chunks that are whole or absent, texts kept once, several processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench import code_identity
from mmbench.errors import IntegrityError
from mmbench.experiments.training import pools
from mmbench.experiments.training.bases import digest_of_pool
from mmbench.experiments.training.pools import Pool
from mmbench.registry import make_dataset


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "CHUNK", 4)


def example(index: int, text: bool = True) -> tuple[Any, ...]:
    """Pair `index`; two texts take turns."""
    video, audio = torch.full((2, 3), float(index)), torch.full((1,), -float(index))
    return video, audio, *((torch.full((5,), index % 2.0), torch.full((2,), 10 + index % 2.0)) if text else (None,) * 2)


def same(pair: Sequence[Tensor | None], index: int, text: bool = True) -> bool:
    return all((a is None and b is None) or torch.equal(a, b) for a, b in zip(pair, example(index, text), strict=True))


def test_pairs_come_back_and_texts_are_kept_once(tmp_path: Path) -> None:
    pool = Pool(tmp_path, 10)
    asked: list[list[int]] = []
    pool.fill(lambda indices: asked.append(indices) or [example(i) for i in indices], 3, "make", quiet=True)
    assert asked == [[0, 1, 2], [3], [4, 5, 6], [7], [8, 9]]
    assert all(same(pool[i], i) for i in range(10))
    assert len(list((tmp_path / "texts").iterdir())) == 2
    assert len(list(tmp_path.glob("*.safetensors"))) == 3
    with pytest.raises(IndexError):
        pool[10]


def test_pairs_without_texts_have_none(tmp_path: Path) -> None:
    pool = Pool(tmp_path, 2)
    pool.fill(lambda indices: [example(i, text=False) for i in indices], 2, "make", quiet=True)
    assert same(pool[1], 1, text=False)


def test_what_was_stopped_goes_on_with_the_missing_chunks(tmp_path: Path) -> None:
    made: list[int] = []

    def make(indices: list[int]) -> list[tuple[Any, ...]]:
        if len(made) + len(indices) > limit:
            raise KeyboardInterrupt
        made.extend(indices)
        return [example(i) for i in indices]

    limit = 6
    with pytest.raises(KeyboardInterrupt):
        Pool(tmp_path, 10).fill(make, 1, "make", quiet=True)
    (tmp_path / ".000001.safetensors.99").write_bytes(b"what a kill leaves")
    assert Pool(tmp_path, 10).missing() == [1, 2]
    limit = 99
    Pool(tmp_path, 10).fill(make, 1, "make", quiet=True)
    assert made == [0, 1, 2, 3, 4, 5, *range(4, 10)]
    longer = Pool(tmp_path, 11)
    assert longer.missing() == [2]
    longer.fill(make, 1, "make", quiet=True)
    assert made[12:] == [8, 9, 10]
    assert all(same(longer[i], i) for i in range(11))


def test_pairs_that_cannot_be_made_leave_no_gap_and_are_tried_again(tmp_path: Path) -> None:
    bad = {1, 4, 5, 6, 7, 9}
    asked: list[list[int]] = []

    def make(indices: list[int]) -> list[tuple[Any, ...] | str]:
        asked.append(indices)
        return [f"{i} is cut" if i in bad else example(i) for i in indices]

    for again in (False, True):
        pool = Pool(tmp_path, 11)
        pool.fill(make, 4, "make", quiet=True)
        assert pool.lost == {i: f"{i} is cut" for i in sorted(bad)}
        assert len(pool) == 5
        assert all(same(pair, i) for pair, i in zip(pool, (0, 2, 3, 8, 10), strict=True)), again
        assert pool.missing() == []
    assert asked[3:] == [[1], [4, 5, 6, 7], [9]], "what is whole is made once"
    bad = {4, 5, 6, 7, 9}
    pool = Pool(tmp_path, 11)
    pool.fill(make, 4, "make", quiet=True)
    assert sorted(pool.lost) == sorted(bad)
    assert all(same(pair, i) for pair, i in zip(pool, (0, 1, 2, 3, 8, 10), strict=True))
    shorter = Pool(tmp_path, 9)
    assert shorter.missing() == []
    assert (len(shorter), sorted(shorter.lost)) == (5, [4, 5, 6, 7])


def test_processes_share_chunks_and_wait_for_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: threading.Event().wait(0.005))
    both = threading.Barrier(2)
    made: list[list[int]] = [[], []]

    def fill(worker: int) -> None:
        def make(indices: list[int]) -> list[tuple[Any, ...]]:
            if not made[worker]:
                both.wait(10)  # both are at a chunk, which must be two
            made[worker] += indices
            return [example(i) for i in indices]

        Pool(tmp_path, 10).fill(make, 4, "make", quiet=True)
        assert not Pool(tmp_path, 10).missing()

    other = threading.Thread(target=fill, args=(1,))
    other.start()
    fill(0)
    other.join()
    assert sorted(made[0] + made[1]) == list(range(10))
    assert not list((tmp_path / "leases").glob("0*"))


def test_a_chunk_whose_maker_died_is_made_by_another(tmp_path: Path) -> None:
    code = "import sys, pathlib, mmbench.leases as m; m.LeaseTable(pathlib.Path(sys.argv[1])).acquire('000000')"
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "leases")], check=True)
    Pool(tmp_path, 2).fill(lambda indices: [example(i) for i in indices], 2, "make", quiet=True)
    assert same(Pool(tmp_path, 2)[1], 1)
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "leases")], check=True)  # it died after its work
    Pool(tmp_path, 2).fill(lambda indices: [], 2, "make", quiet=True)
    assert not list((tmp_path / "leases").glob("0*"))


def test_a_pool_is_another_one_for_other_code_of_its_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    bounce: Any = make_dataset("bounce")
    models: Any = SimpleNamespace(identity={"system": "a"})
    before = digest_of_pool(models, bounce, kind="real", seed=0)
    assert digest_of_pool(models, bounce, kind="real", seed=0) == before
    assert digest_of_pool(models, make_dataset("bounce_heavy"), kind="real", seed=0) != before
    real = code_identity.read_source
    render = "mmbench.datasets.bounce_world.render"
    edited = f"{real(render)}\nchanged()"
    monkeypatch.setattr(code_identity, "read_source", lambda name: edited if name == render else real(name))
    assert digest_of_pool(models, bounce, kind="real", seed=0) != before, "its clips may be others"


@pytest.mark.parametrize("where", ["chunk", "header", "texts", "no texts"])
def test_damaged_pairs_are_named_removed_and_made_anew(tmp_path: Path, where: str) -> None:
    def make(indices: list[int]) -> list[tuple[Any, ...]]:
        return [example(i) for i in indices]

    Pool(tmp_path, 6).fill(make, 4, "make", quiet=True)
    pools._texts.cache_clear()
    path = next((tmp_path / "texts").iterdir()) if "texts" in where else tmp_path / "000000.safetensors"
    data = bytearray(path.read_bytes())
    data[20 if where == "header" else -2] ^= 1
    path.write_bytes(data)
    if where == "no texts":
        path.unlink()
    pool = Pool(tmp_path, 6)
    if where != "header":
        with pytest.raises(IntegrityError, match="Encoded pairs were damaged and are removed"):
            [pool[i] for i in range(6)]
    assert pool.missing(), "what was damaged is not there any more"
    pool.fill(make, 4, "make", quiet=True)
    assert all(same(pool[i], i) for i in range(6))

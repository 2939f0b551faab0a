"""What a killed process had begun to write goes with the next job; nothing of anybody else's does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mmbench.datasets.copies.conformed import PREPARED
from mmbench.datasets.copies.prepare import prepare_videos
from mmbench.datasets.vggsound import VGGSound
from mmbench.experiments.training.pools import Pool
from mmbench.features.cache import FeatureCache
from mmbench.files import UNFINISHED, remove_unfinished, write_whole
from mmbench.process_identity import is_gone, name_of_process
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import create_run_folder

KILLED = (
    "import os, sys; from pathlib import Path; from mmbench.files import write_whole; "
    "os.fsync = lambda descriptor: os.kill(os.getpid(), 9); write_whole(Path(sys.argv[1]), b'new')"
)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_file_that_a_kill_left_half_written_goes_with_the_next_write(tmp_path: Path) -> None:
    for file in ("a", "b"):
        (tmp_path / file).write_bytes(b"old")
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / file)], check=False)
        assert killed.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 3, "the second process removes what the first one left"
    write_whole(tmp_path / "b", b"new")
    assert names(tmp_path) == {"a", "b"}
    assert [(tmp_path / file).read_bytes() for file in ("a", "b")] == [b"old", b"new"]


def test_what_others_write_or_nobody_knows_stays(tmp_path: Path) -> None:
    place, pid, start = name_of_process().split("-")
    theirs = (f"{place}-{pid}-{start}", f"{'0' * 8}-{pid}-1", f"{place}-x-1", place, "", "my-own-notes")
    assert not any(map(is_gone, theirs))
    for name in theirs:
        (tmp_path / f".{name}-0{UNFINISHED}").touch()
    (tmp_path / f"notes{UNFINISHED}").touch()
    before = names(tmp_path)
    remove_unfinished(tmp_path, tmp_path / "none")
    assert names(tmp_path) == before


def leave(*folders: Path) -> list[Path]:
    """What a process left that had this one's pid before it."""
    earlier = f"{name_of_process().rpartition('-')[0]}-0"
    left = [folder / f".{earlier}-{k}{UNFINISHED}" for folder in folders for k in range(2)]
    for file in left:
        file.touch()
    return left


def begin_run(folder: Path) -> list[Path]:
    run = create_run_folder(folder, RunSpec("a", "none", 0, "real", {}), ("samples", "leases", "scores"))
    return [run, run / "samples", run / "leases", run / "scores"]


def open_cache(folder: Path) -> list[Path]:
    with FeatureCache(folder) as cache:
        cache.contents["a"] = {}
        cache.flush()
        assert cache.contents.folder
        return [cache.contents.folder]


def fill_pool(folder: Path) -> list[Path]:
    pair = torch.zeros(2), torch.zeros(1), torch.zeros(3), torch.zeros(3)
    Pool(folder, 1).fill(lambda indices: [pair for _ in indices], 1, "", quiet=True)
    return [folder, folder / "texts", folder / "leases"]


def prepare_copy(folder: Path) -> list[Path]:
    clips = folder / PREPARED / "clips"
    clips.mkdir(parents=True, exist_ok=True)
    prepare_videos(folder, {}, VGGSound(str(folder)).preparation, workers=1, quiet=True)
    return [folder / PREPARED, clips]


@pytest.mark.parametrize("job", [begin_run, open_cache, fill_pool, prepare_copy])
def test_a_job_removes_it_even_where_nothing_is_left_to_write(
    job: Callable[[Path], list[Path]], tmp_path: Path
) -> None:
    left = leave(*job(tmp_path))
    assert all(file.exists() for file in left)
    job(tmp_path)
    assert not any(file.exists() for file in left)

"""Killed, stopped, sharded, raced, out of disk: the samples are the same, and nothing finished is lost."""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import strip_checksums
from tests.commands import FIXTURE, digests, environment, mmbench, only_store, start

pytestmark = pytest.mark.e2e

N = 12


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, str]:
    """Digests of a run that nothing happened to."""
    out = tmp_path_factory.mktemp("undisturbed")
    result = mmbench("generate", *FIXTURE, "-n", str(N), "--out", out)
    assert result.returncode == 0, result.stderr
    found = digests(out)
    assert len(set(found.values())) == N
    return found


def wait_for(condition: object, seconds: float = 60) -> None:
    """Poll until `condition()` holds."""
    end = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def stored(out: Path) -> int:
    return len(list(out.glob("*/samples/??????.json")))


@pytest.mark.parametrize("delay", [0.0, *(pytest.param(d, marks=pytest.mark.thorough) for d in (0.013, 0.031))])
def test_sigkill_at_any_moment_then_resume(tmp_path: Path, undisturbed: dict[int, str], delay: float) -> None:
    for kills in range(3):
        process = start("generate", *FIXTURE, "-n", str(N), "--out", tmp_path, FIXTURE_SECONDS="0.02")
        goal = 2 + 3 * kills
        wait_for(lambda goal=goal: stored(tmp_path) >= goal)  # type: ignore[misc]
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    before = digests(tmp_path)  # decodes every sample: none is torn
    assert len(before) > 0
    result = mmbench("generate", *FIXTURE, "-n", str(N), "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    assert digests(tmp_path) == undisturbed


def test_batch_size_does_not_change_samples(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    assert mmbench("generate", *FIXTURE, "-n", str(N), "--batch-size", "8", "--out", tmp_path).returncode == 0
    assert digests(tmp_path) == undisturbed


def test_shards_in_separate_folders_merge(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    a, b, whole = tmp_path / "a", tmp_path / "b", tmp_path / "whole"
    assert mmbench("generate", *FIXTURE, "-n", str(N), "--shard", "0/2", "--out", a).returncode == 0
    slurm = {"SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2"}
    assert mmbench("generate", *FIXTURE, "-n", str(N), "--out", b, **slurm).returncode == 0
    assert sorted(digests(a)) == list(range(0, N, 2))
    assert sorted(digests(b)) == list(range(1, N, 2))
    assert mmbench("merge", a, b, "--out", whole).returncode == 0
    assert digests(whole) == undisturbed


def test_the_first_process_of_a_launcher_scores_what_all_of_them_made(
    tmp_path: Path, undisturbed: dict[int, str]
) -> None:
    command = ("run", *FIXTURE, "-n", str(N), "--out", tmp_path, "--format", "json")
    both = [start(*command, RANK=str(rank), WORLD_SIZE="2", FIXTURE_SECONDS=f"0.{rank}") for rank in (0, 1)]
    (first, _), (second, _) = (process.communicate(timeout=300) for process in both)
    assert [process.returncode for process in both] == [0, 0]
    assert (json.loads(first)[0]["n"], second) == (N, "")
    assert digests(tmp_path) == undisturbed
    used = [json.loads(line) for line in (only_store(tmp_path).folder / "resources.jsonl").read_text().splitlines()]
    assert [line["samples"] for line in used] == [6, 6]
    assert all(10e6 < line["peak_memory_bytes"] < 4e9 and line["seconds"] > 0 for line in used)


def test_merge_refuses_samples_that_differ(tmp_path: Path) -> None:
    a, b = tmp_path / "a", tmp_path / "b"
    for out in (a, b):
        assert mmbench("generate", *FIXTURE, "-n", "2", "--out", out).returncode == 0
    record = strip_checksums(only_store(b).samples / "000001.json")
    record.write_text(record.read_text().replace(only_store(b).record(1).digest, "0" * 32))
    result = mmbench("merge", b, "--out", a)
    assert result.returncode == 4
    assert "Sample 1 differs" in result.stderr


def test_a_longer_run_extends_a_shorter_one(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    assert mmbench("generate", *FIXTURE, "-n", "4", "--out", tmp_path).returncode == 0
    first = only_store(tmp_path).samples / "000000.mkv"
    written = first.stat().st_mtime_ns
    assert mmbench("generate", *FIXTURE, "-n", str(N), "--out", tmp_path).returncode == 0
    assert digests(tmp_path) == undisturbed
    assert first.stat().st_mtime_ns == written


def test_sigterm_finishes_the_sample_in_hand_and_exits_3(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    process = start("generate", *FIXTURE, "-n", str(N), "--out", tmp_path, FIXTURE_SECONDS="0.2")
    wait_for(lambda: list(tmp_path.glob("*/leases/00????")) and stored(tmp_path) >= 1)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3
    assert "SIGTERM" in err
    done = digests(tmp_path)
    assert 1 <= len(done) < N
    assert not list(tmp_path.glob("*/leases/00????"))
    assert all(undisturbed[i] == d for i, d in done.items())


def test_two_processes_share_a_run_without_doing_a_sample_twice(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    log = tmp_path / "made"
    args = ("generate", *FIXTURE, "-n", str(N), "--out", tmp_path / "runs")
    both = [start(*args, FIXTURE_SECONDS="0.3", FIXTURE_LOG=str(log)) for _ in range(2)]
    for process in both:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    made = [line.split() for line in log.read_text().splitlines()]
    assert sorted(int(index) for index, _ in made) == list(range(N))
    assert len({pid for _, pid in made}) == 2, "one process made everything; the other should have taken a share"
    assert digests(tmp_path / "runs") == undisturbed


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limit on this system")
def test_a_full_disk_loses_nothing(tmp_path: Path, undisturbed: dict[int, str]) -> None:
    assert mmbench("generate", *FIXTURE, "-n", "4", "--out", tmp_path).returncode == 0
    command = [sys.executable, "-m", "mmbench", "generate", *FIXTURE, "-n", str(N), "--out", str(tmp_path)]
    limit = (only_store(tmp_path).samples / "000000.mkv").stat().st_size - 1

    def small_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    result = subprocess.run(command, env=environment(), preexec_fn=small_disk, capture_output=True, text=True)
    assert result.returncode == 3, result.stderr
    assert "000004.mkv: File too large" in result.stderr
    assert "the same command again" in result.stderr
    store = only_store(tmp_path)
    assert store.status(N).present == [0, 1, 2, 3]
    assert store.status(N).failed == [], "it is the disk that failed"
    again = mmbench("generate", *FIXTURE, "-n", str(N), "--out", tmp_path)
    assert again.returncode == 0, again.stderr
    assert digests(tmp_path) == undisturbed


@pytest.mark.parametrize("batch", [pytest.param("1", marks=pytest.mark.thorough), "4"])
def test_faults_become_records_and_can_be_retried(tmp_path: Path, undisturbed: dict[int, str], batch: str) -> None:
    args = ("generate", *FIXTURE, "-n", str(N), "--out", tmp_path, "--batch-size", batch)
    result = mmbench(*args, FIXTURE_FAULTS="3:nan,5:crash")
    assert result.returncode == 3
    store = only_store(tmp_path)
    assert store.status(N).failed == [3, 5]
    assert store.failure(3).kind == "non-finite"
    assert "the decoder exploded" in store.failure(5).reason
    assert {i: undisturbed[i] for i in range(N) if i not in (3, 5)} == digests(tmp_path)
    table = mmbench("run", *FIXTURE, "-n", str(N), "--out", tmp_path)
    assert table.returncode == 3
    assert "10/12 (2 failed)" in table.stdout
    assert mmbench(*args, "--retry-failed").returncode == 0
    assert digests(tmp_path) == undisturbed

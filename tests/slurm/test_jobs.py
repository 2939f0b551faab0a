"""Jobs of a real Slurm: what is requeued, drained, preempted or cut off ends as one plain process does, bit for bit."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmbench.jobs.slurm import GRACE
from mmbench.runs.store import SampleStore
from mmbench.scores.records import read_records
from tests.commands import mmbench, start
from tests.slurm.cluster import cluster, why_not

pytestmark = [pytest.mark.e2e, pytest.mark.thorough, pytest.mark.skipif(bool(why_not()), reason=why_not())]
N = 64
JOB = ["run", "-s", "tiny", "-d", "bounce", "-n", str(N), "--seed", "3", "--workers", "1", "--batch-size", "4"]
ENDS = 900.0  # [s]


@pytest.fixture(scope="module")
def slurm() -> Iterator[dict[str, str]]:
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        with cluster(Path(place) / "slurm") as names:
            yield names | {"OMP_NUM_THREADS": "1"}


def results(root: Path) -> dict[str, Any]:
    """Digests of all samples, and the latest record of each metric without its time."""
    (folder,) = [path for path in root.iterdir() if (path / "manifest.json").exists()]
    store = SampleStore.open(folder)
    found: dict[str, Any] = {"samples": [store.record(i).digest for i in store.status(N).present]}
    assert len(found["samples"]) == N
    return found | {r.metric: {k: v for k, v in vars(r).items() if k != "time"} for r in read_records(folder)}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root = tmp_path_factory.mktemp("plain")
    done = mmbench(*JOB, "--format", "csv", "--out", root, OMP_NUM_THREADS="1")
    assert done.returncode == 0, done.stderr
    return results(root) | {"printed": done.stdout}


def control(slurm: dict[str, str], *words: str) -> str:
    return subprocess.run(words, env=os.environ | slurm, capture_output=True, text=True, check=True).stdout


def states(slurm: dict[str, str]) -> dict[str, str]:
    """State of each task that is not over, by its name."""
    return dict(line.split() for line in control(slurm, "squeue", "-h", "-r", "-o", "%i %T").splitlines())


def await_samples(root: Path, count: int) -> None:
    end = time.monotonic() + ENDS
    while len(list(root.glob("*/samples/*.mkv"))) < count:
        assert time.monotonic() < end, f"there are no {count} samples"
        time.sleep(0.05)


def submit(slurm: dict[str, str], root: Path, *options: str) -> subprocess.Popen[str]:
    job = [*JOB, "--format", "csv", "--out", str(root)]
    return start("submit", "--hours", "1", "--logs", root / "slurm", *options, *job, **slurm)


def ends_well(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=ENDS)
    assert process.returncode == 0, err
    return out, err


def test_an_array_with_a_task_requeued_and_a_node_drained(
    slurm: dict[str, str], plain: dict[str, Any], tmp_path: Path
) -> None:
    process = submit(slurm, tmp_path, "--array", "4")
    await_samples(tmp_path, 6)
    running = [name for name, state in states(slurm).items() if state == "RUNNING"]
    assert len(running) >= 2
    control(slurm, "scontrol", "requeue", running[1])
    control(slurm, "scontrol", "update", "nodename=n2", "state=drain", "reason=a test")
    await_samples(tmp_path, 20)
    told = control(slurm, "scontrol", "show", "job", running[1], "-o")
    assert "Restarts=1" in told, told
    out, err = ends_well(process)
    assert results(tmp_path) == {k: v for k, v in plain.items() if k != "printed"}
    assert out == plain["printed"]
    assert "running" in err
    control(slurm, "scontrol", "update", "nodename=n2", "state=resume")


def test_a_job_of_several_processes_on_two_nodes(slurm: dict[str, str], plain: dict[str, Any], tmp_path: Path) -> None:
    out, _ = ends_well(submit(slurm, tmp_path, "--nodes", "2", "--tasks-per-node", "2"))
    assert results(tmp_path) == {k: v for k, v in plain.items() if k != "printed"}
    assert out == plain["printed"]


def test_slurms_notice_of_the_end_requeues_and_the_job_goes_on(
    slurm: dict[str, str], plain: dict[str, Any], tmp_path: Path
) -> None:
    process = submit(slurm, tmp_path)
    await_samples(tmp_path, 6)
    (number,) = states(slurm)
    control(slurm, "scancel", "--signal=USR2", number)
    begun = time.monotonic()
    while states(slurm).get(number) == "RUNNING":
        time.sleep(0.2)
    assert time.monotonic() - begun < GRACE, "it does not wait for a process that has ended"
    ends_well(process)  # Slurm lets what is requeued wait for two minutes
    assert "Restarts=1" in control(slurm, "scontrol", "show", "job", number, "-o")
    assert results(tmp_path) == {k: v for k, v in plain.items() if k != "printed"}


def test_the_same_command_follows_the_job_that_goes_on(slurm: dict[str, str], tmp_path: Path) -> None:
    first = submit(slurm, tmp_path)
    await_samples(tmp_path, 2)
    first.send_signal(signal.SIGINT)
    _, err = first.communicate(timeout=60)
    assert first.returncode == 3
    assert "The job goes on" in err
    ends_well(submit(slurm, tmp_path))
    assert len((tmp_path / "slurm" / "submitted.jsonl").read_text().splitlines()) == 1


def test_a_command_that_fails_and_a_job_that_is_refused(slurm: dict[str, str], tmp_path: Path) -> None:
    logs = ["--logs", str(tmp_path / "logs"), "--hours", "1"]
    failed = mmbench("submit", *logs, "evaluate", tmp_path / "nothing", **slurm)
    assert failed.returncode == 2 or failed.returncode == 1
    assert re.search(r"The job ended with status \d", failed.stderr)
    assert "nothing" in failed.stderr
    refused = mmbench("submit", *logs, "-p", "nowhere", "list", "systems", **slurm)
    assert refused.returncode == 1
    assert "partition" in refused.stderr

"""Under torchrun, a job whose processes are killed ends as one plain process does, bit for bit; so under accelerate.

MMBENCH_LAUNCHES=20 kills as many launches at random moments; by default, one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from mmbench.runs.store import SampleStore
from tests.commands import environment, mmbench

pytestmark = [pytest.mark.e2e, pytest.mark.thorough]
JOB = "run -s ground_truth -s independent -s tiny -d bounce -n 12 --seed 3 --workers 1 --format quiet"
PROCESSES = 4
ACCELERATE = "--multi_gpu --num_machines 1 --mixed_precision no --dynamo_backend no --num_processes"


def results(root: Path) -> dict[str, Any]:
    """Digests of all samples and the values of all records of a folder of runs."""
    found: dict[str, Any] = {}
    for folder in sorted(path for path in root.iterdir() if (path / "manifest.json").exists()):
        store = SampleStore.open(folder)
        found[folder.name] = [store.record(i).digest for i in store.status(12).present]
        for line in (folder / "records.jsonl").read_text().splitlines():
            record = json.loads(line)
            kept = {k: v for k, v in record.items() if k not in ("time", "checksum")}
            found[f"{folder.name} {record['metric']}"] = kept
    return found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], float]:
    root, begun = tmp_path_factory.mktemp("plain"), time.monotonic()
    done = mmbench(*JOB.split(), "--out", root)
    assert done.returncode == 0, done.stderr
    return results(root), time.monotonic() - begun


def workers_of(launcher: int) -> list[int]:
    """Pids of the processes that a launcher started."""
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    return [int(pid) for pid in children if b"mmbench" in Path(f"/proc/{pid}/cmdline").read_bytes()]


@pytest.mark.parametrize("trial", range(int(os.environ.get("MMBENCH_LAUNCHES", "1"))))
def test_a_killed_process_changes_nothing(trial: int, plain: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    draw = random.Random(trial)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--max-restarts", "3"]
    command = [*torchrun, "--nproc-per-node", str(PROCESSES), "-m", "mmbench", *JOB.split(), "--out", str(tmp_path)]
    env = environment(OMP_NUM_THREADS="1")
    said = tmp_path.parent / f"{tmp_path.name}.log"
    with said.open("w") as log:
        launcher = subprocess.Popen(command, env=env, stdout=log, stderr=log)
        time.sleep(draw.uniform(0.1, 0.7) * PROCESSES / 2 * plain[1])
        os.kill(draw.choice(workers_of(launcher.pid)), signal.SIGKILL)
        assert launcher.wait(timeout=900) == 0, said.read_text()[-4000:]
    assert results(tmp_path) == plain[0]


def test_accelerate_launch_starts_them_too(plain: tuple[dict[str, Any], float], tmp_path: Path) -> None:
    launch = [sys.executable, "-m", "accelerate.commands.launch", *ACCELERATE.split(), str(PROCESSES)]
    command = [*launch, "-m", "mmbench", *JOB.split(), "--out", str(tmp_path)]
    env = environment(OMP_NUM_THREADS="1")
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert results(tmp_path) == plain[0]

"""Nothing that a process starts outlives it, not even when it is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from multiprocessing import active_children
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from mmbench.errors import MMBenchError, UsageError
from mmbench.process_identity import process_start
from mmbench.processes import count_beside, leave_launcher, usable_cores, worker_pool
from tests.commands import environment

POOL = """
import os, time
from mmbench.processes import worker_pool

def busy(_):
    return time.sleep(0.5), os.getpid()

if __name__ == "__main__":
    with worker_pool(2) as pool:
        print(*{pid for _, pid in pool.map(busy, range(4))}, flush=True)
        pool.submit(time.sleep, 600)
        time.sleep(600)
"""
GROUP = """
import subprocess, time
from mmbench.processes import ending_with_us

program = subprocess.Popen(["sh", "-c", "sleep 600 & echo $! && sleep 600"], start_new_session=True)
with ending_with_us(program.pid):
    time.sleep(0.5)
    print(program.pid, flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("script", [POOL, GROUP])
def test_a_killed_process_takes_its_pools_and_programs_with_it(script: str, tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(script)
    command = [sys.executable, str(tmp_path / "script.py")]
    process = subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(1 + (script is GROUP))]
    pids = [int(word) for line in lines for word in line.split()]
    assert len(pids) == 2
    assert all(map(process_start, pids))
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 60
    while left := [pid for pid in pids if process_start(pid)]:
        assert time.monotonic() < end, f"{left} go on"
        time.sleep(0.05)


def test_a_killed_worker_is_one_message() -> None:
    with pytest.raises(MMBenchError, match="A worker process was killed") as caught, worker_pool(1) as pool:
        pool.submit(os.kill, pool.submit(os.getpid).result(), signal.SIGKILL).result()
    assert "--workers" in caught.value.next


@pytest.mark.parametrize(
    ("gpus", "visible", "place", "chosen"),
    [(0, "", "3", None), (4, "", "3", "3"), (2, "", "3", "1"), (2, "4,5", "1", "5"), (1, "7", "2", "7")],
)
def test_who_leaves_a_launcher_keeps_its_gpu(
    gpus: int, visible: str, place: str, chosen: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    environ = {"RANK": place, "LOCAL_RANK": place, "WORLD_SIZE": "4", "HOME": "/"}
    environ |= {"CUDA_VISIBLE_DEVICES": visible} if visible else {}
    leave_launcher(environ)
    assert environ == {"HOME": "/"} | ({"CUDA_VISIBLE_DEVICES": chosen} if chosen else {})


def test_a_worker_does_not_hear_ctrl_c_even_while_it_imports() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with worker_pool(1) as pool:
        blocked = pool.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
    assert signal.SIGINT in blocked
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
    assert signal.SIGINT not in before


def test_ctrl_c_while_a_worker_is_started_waits_until_the_pool_knows_it(monkeypatch: pytest.MonkeyPatch) -> None:
    start = SpawnProcess.start

    def interrupted(process: SpawnProcess) -> None:
        start(process)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(SpawnProcess, "start", interrupted)
    with pytest.raises(KeyboardInterrupt), worker_pool(1) as pool:
        pool.submit(os.getpid)
    assert active_children() == [], "workers that nobody tells to end"


def test_cores_are_those_that_slurm_and_the_launcher_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert usable_cores({}) == 16
    assert usable_cores({"LOCAL_WORLD_SIZE": "8"}) == 2
    assert usable_cores({"SLURM_CPUS_ON_NODE": "6", "SLURM_STEP_TASKS_PER_NODE": "1"}) == 6
    assert usable_cores({"SLURM_CPUS_ON_NODE": "12", "SLURM_STEP_TASKS_PER_NODE": "4(x2),3"}) == 3
    assert usable_cores({"SLURM_STEP_TASKS_PER_NODE": "32(x4)"}) == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)))  # of 48, where Slurm binds tasks to cores
    assert usable_cores({"SLURM_CPUS_ON_NODE": "48", "SLURM_STEP_TASKS_PER_NODE": "8"}) == 6


def test_how_many_processes_are_beside_each_other_is_a_number() -> None:
    assert count_beside({}) == 1
    assert count_beside({"MMBENCH_PROCESSES": "8"}) == 8
    for text in ("0", "-1", "many", ""):
        with pytest.raises(UsageError, match="MMBENCH_PROCESSES"):
            count_beside({"MMBENCH_PROCESSES": text})

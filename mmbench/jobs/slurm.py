"""Commands as jobs of Slurm, through submitit: one job of several processes, or an array whose tasks share the work.

A task of an array takes what no other is at, and each can be cancelled, requeued or come late by itself. The processes
of one job have ranks, as under srun, and end together.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.console import log
from mmbench.errors import IncompleteError, MMBenchError, UsageError
from mmbench.files import append_line, read_lines
from mmbench.leases import LeaseTable
from mmbench.processes import BESIDE
from mmbench.runs.generate import StopSignal

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

SUBMITTED = "submitted.jsonl"  # in the folder of logs: what was submitted, as which job
SUBMITTING = "submitting"  # lease of the process that submits
SHARED = ("run", "generate", "evaluate", "stats", "sweep")  # commands whose processes need not know of each other
LOST = ("PREEMPTED", "NODE_FAIL", "BOOT_FAIL", "TIMEOUT", "REVOKED")  # ends that are not the command's own
ENDED = (*LOST, "COMPLETED", "FAILED", "CANCELLED", "OUT_OF_MEMORY", "DEADLINE")
PRINTED = ".txt"  # ending of the file of what a command prints, beside Slurm's own logs
FORGOTTEN = 60  # looks in a row at which Slurm does not answer, or knows no such job: five minutes
POLL = 5.0  # [s] between looks at a job
GRACE = 60.0  # [s] for the samples in hand, where Slurm has announced the end of a job


@dataclass(frozen=True)
class Resources:
    """What a job asks of Slurm.

    Attributes:
        nodes: Machines of a job of several processes.
        tasks_per_node: Its processes on each; 0 for one for each GPU, at least one.
        array: Tasks of an array, instead; 0 for none.
        gpus: On each node.
        cpus: Cores of each process; 0 leaves it to Slurm.
        memory: Of each node [GB]; 0 leaves it to Slurm.
        hours: After which Slurm ends the job; what is not finished is then queued again.
        partition: Where it goes; "" for the cluster's default.
        others: Further options of sbatch, such as account or qos.
        retries: How often it is queued again when its time is up, or submitted again when it was lost.
    """

    nodes: int = 1
    tasks_per_node: int = 0
    array: int = 0
    gpus: int = 0
    cpus: int = 0
    memory: float = 0
    hours: float = 24.0
    partition: str = ""
    others: Mapping[str, str] = field(default_factory=dict)
    retries: int = 3

    @property
    def tasks(self) -> int:
        """Processes on each node."""
        return 1 if self.array else self.tasks_per_node or max(self.gpus, 1)

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of submitit."""
        asked: dict[str, Any] = {"job_name": "mmbench", "time": ceil(60 * self.hours), "nodes": self.nodes}
        asked |= {
            "ntasks_per_node": self.tasks,
            "gpus_per_node": self.gpus or None,
            "partition": self.partition or None,
        }
        asked |= {"cpus_per_task": self.cpus or None, "mem": f"{round(1024 * self.memory)}MB" if self.memory else None}
        own = [f"--cpus-per-task={self.cpus}"] if self.cpus else []  # srun does not take it over since Slurm 22.05
        asked["srun_args"] = ["--kill-on-bad-exit=1", *own]  # else the others would wait for one that failed
        asked["array_parallelism"] = max(self.array, 1)  # submitit lets 256 begin at once by itself
        asked["additional_parameters"] = {"requeue": True, **{k.replace("-", "_"): v for k, v in self.others.items()}}
        return {key: value for key, value in asked.items() if value is not None}


class Task:
    """What each process of a job does: the command, in a process of its own.

    Args:
        words: The command's words after `mmbench`.
        beside: Tasks of the array; 0 for the processes of one job.
    """

    def __init__(self, words: Sequence[str], beside: int) -> None:
        self.words, self.beside = list(words), beside
        self._child: subprocess.Popen[bytes] | None = None

    def __call__(self) -> int:
        """Run the command; what is not 0 becomes the status of the task."""
        from submitit import JobEnvironment
        from submitit.helpers import TorchDistributedEnvironment

        if JobEnvironment().num_tasks > 1:
            TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
        env = {**os.environ, **({BESIDE: str(self.beside)} if self.beside else {})}
        command = [sys.executable, "-m", "mmbench", *self.words]
        with JobEnvironment().paths.stdout.with_suffix(PRINTED).open("wb") as printed:
            self._child = subprocess.Popen(command, env=env, stdout=printed, preexec_fn=_ignore_notice)
            signal.signal(signal.SIGTERM, self._pass_on)  # submitit ignores it
            if status := self._child.wait():
                raise SystemExit(status if status > 0 else 128 - status)
        return 0

    @staticmethod
    def _has_ended(pid: int) -> bool:
        """Whether a child has ended; in a signal's handler Popen, which may be waiting for it, does not say."""
        try:
            return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
        except ChildProcessError:
            return True

    def _pass_on(self, number: int, _: object) -> None:
        if self._child is not None:
            self._child.send_signal(number)

    def __getstate__(self) -> dict[str, Any]:
        return {"words": self.words, "beside": self.beside, "_child": None}

    def checkpoint(self) -> DelayedSubmission:
        """Have the samples in hand stored before the job is queued again; submitit calls it at Slurm's signal."""
        from submitit.helpers import DelayedSubmission

        if self._child is not None:
            self._pass_on(signal.SIGTERM, None)
            end = time.monotonic() + GRACE
            while not self._has_ended(self._child.pid) and time.monotonic() < end:
                time.sleep(0.1)
            self._child.kill()  # what it had finished is stored
        return DelayedSubmission(self)


def _ignore_notice() -> None:
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # that the end is near: Slurm tells all processes, for us to act on


@dataclass(frozen=True)
class TaskState:
    """How a task of a job is: Slurm's word for its state and the reason, where it runs, and its exit status."""

    name: str
    state: str
    reason: str = ""
    node: str = ""
    status: int = 0


@dataclass(frozen=True)
class Submitted:
    """A job that was submitted: its number, and the folder of its logs."""

    number: str
    folder: Path

    def is_done(self, task: TaskState) -> bool:
        """Whether a task has done all that can be done: it ended well, or printed its results and said what failed."""
        if task.state == "COMPLETED" and not task.status:
            return True
        printed = self.printed(task)
        return task.status == IncompleteError.exit_code and printed.is_file() and printed.stat().st_size > 0

    def printed(self, task: TaskState) -> Path:
        """What the command of a task, or of the first process of a job, prints; beside it lie its errors, `.err`."""
        return self.folder / f"{task.name}_0_log{PRINTED}"


def script_of(resources: Resources, folder: Path) -> str:
    """The batch script that would be submitted."""
    from submitit.slurm.slurm import _make_sbatch_string

    command = shlex.join([sys.executable, "-u", "-m", "submitit.core._submit", str(folder.resolve())])
    asked = resources.parameters() | ({"map_count": resources.array} if resources.array > 1 else {})
    return _make_sbatch_string(command, folder.resolve(), **asked)


def submit(words: Sequence[str], resources: Resources, folder: Path) -> Submitted:
    """Submit a command, unless the very job is queued or running already.

    Args:
        words: Its words after `mmbench`.
        resources: What it asks for.
        folder: Where its logs go; on the disk that all nodes share.

    Raises:
        MMBenchError: There is no Slurm here, it refuses the job, or does not say whether it has it already.
    """
    what = {"command": list(words), **asdict(resources), "others": dict(resources.others)}
    what |= {"where": str(Path.cwd()), "plugins": os.environ.get("MMBENCH_PLUGINS", "")}
    stop = StopSignal("the job is noted first, so that the same command follows it")
    with _alone_in(folder), stop.listening():
        job = _find_submitted(what, folder) or _submit_new(what, words, resources, folder)
    if stop.name:
        raise KeyboardInterrupt
    return job


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Wait until no other process submits with this folder of logs."""
    table, told = LeaseTable(folder), False
    while (lease := table.acquire(SUBMITTING)) is None:
        if not told:
            told = True
            log.warning("another process submits with the logs in %s; waiting for it", folder)
        time.sleep(POLL / 10)
    try:
        yield
    finally:
        lease.release()


def _find_submitted(what: Mapping[str, Any], folder: Path) -> Submitted | None:
    """The job that does this already; None if there is none that goes on.

    Raises:
        MMBenchError: Slurm does not say.
    """
    for line in reversed(read_lines(folder / SUBMITTED)):
        if {key: line.get(key) for key in what} == what:
            known = Submitted(line["job"], folder)
            tasks = look(known)
            if tasks is None:
                found = f"Slurm does not say whether job {known.number}, which is this command, still goes on."
                raise MMBenchError(found, "a controller that answers", "squeue; then the same command again")
            if any(task.state not in ENDED for task in tasks):
                return known
    return None


def _submit_new(what: Mapping[str, Any], words: Sequence[str], resources: Resources, folder: Path) -> Submitted:
    """A new job, which is noted in the folder.

    Raises:
        MMBenchError: Slurm refuses it.
    """
    from submitit import SlurmExecutor
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    executor = SlurmExecutor(folder.resolve(), max_num_timeout=resources.retries)
    executor.update_parameters(**resources.parameters())
    try:
        if resources.array > 1:
            with executor.batch():
                jobs = [executor.submit(Task(words, resources.array)) for _ in range(resources.array)]
        else:
            jobs = [executor.submit(Task(words, resources.array))]
    except (FailedJobError, FailedSubmissionError) as error:
        found = f"Slurm refuses the job: {str(error).strip()}"
        raise MMBenchError(found, "resources that the cluster has", "sinfo; mmbench submit --dry-run ...") from error
    number = jobs[0].job_id.partition("_")[0]
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    append_line(folder / SUBMITTED, {**what, "job": number, "time": now})
    return Submitted(number, folder)


def require_slurm(dry: bool = False) -> None:
    """Refuse where there is no Slurm, or no submitit.

    Args:
        dry: Nothing will be submitted; submitit alone is enough.

    Raises:
        MMBenchError: What is missing, and where to go on.
    """
    try:
        import submitit  # noqa: F401
    except ImportError as error:
        raise UsageError("Jobs of Slurm need submitit.", "", "pip install 'mmbench[slurm]'") from error
    if missing := [] if dry else [name for name in ("sbatch", "srun", "scontrol") if shutil.which(name) is None]:
        raise MMBenchError(
            f"There is no {missing[0]} here.", "a machine from which Slurm takes jobs", "mmbench submit --dry-run ..."
        )


def look(job: Submitted) -> list[TaskState] | None:
    """How the tasks of a job are; [] if Slurm knows no such job (any more), None if it does not answer."""
    shown = subprocess.run(["scontrol", "show", "job", job.number, "-o"], capture_output=True, text=True)
    if shown.returncode == 0:
        return [_state_of(dict(_members(line))) for line in shown.stdout.splitlines() if "JobState=" in line]
    columns = ["sacct", "-X", "-n", "-P", "-j", job.number, "-o", "JobID,State,ExitCode,NodeList"]
    told = subprocess.run(columns, capture_output=True, text=True) if shutil.which("sacct") else None
    rows = [line.split("|") for line in (told.stdout.splitlines() if told and told.returncode == 0 else ())]
    tasks = [TaskState(row[0], row[1].split()[0], node=row[3], status=_status(row[2])) for row in rows if len(row) == 4]
    return tasks if tasks or "Invalid job id" in shown.stderr else None


def _members(line: str) -> list[tuple[str, str]]:
    return re.findall(r"(?:^|\s)([A-Za-z/:]+)=(\S*)", line)


def _state_of(told: Mapping[str, str]) -> TaskState:
    number = told.get("ArrayJobId", told["JobId"])
    name = f"{number}_{told['ArrayTaskId']}" if "ArrayTaskId" in told else number
    reason, node = ("" if told.get(key) in ("None", "(null)") else told.get(key, "") for key in ("Reason", "NodeList"))
    return TaskState(name, told["JobState"], reason, node, _status(told.get("ExitCode", "0:0")))


def _status(text: str) -> int:
    """Of Slurm's "3:0", exit status and signal."""
    code, _, number = text.partition(":")
    return int(code) or (128 + int(number) if number.isdecimal() and int(number) else 0)


def follow(job: Submitted, say: Callable[[str], None]) -> list[TaskState]:
    """Wait for the end of a job, and say how it is whenever that changes.

    Once a task of an array is done there is nothing left to do: those that have not begun are cancelled.

    Raises:
        MMBenchError: Slurm has not known the job for minutes.
    """
    said, unknown = "", 0
    while True:
        tasks = look(job) or []
        unknown = 0 if tasks else unknown + 1
        if unknown > FORGOTTEN:
            found = f"Slurm has not said anything of job {job.number} for {FORGOTTEN * POLL:.0f} s."
            raise MMBenchError(
                found, "a controller that answers, and knows the job", f"squeue; ls {shlex.quote(str(job.folder))}"
            )
        if (words := describe(job, tasks)) != said:
            said = words
            say(words)
        if tasks and all(task.state in ENDED for task in tasks):
            return tasks
        if any(map(job.is_done, tasks)) and any(task.state == "PENDING" for task in tasks):
            subprocess.run(["scancel", "--state=PENDING", job.number], capture_output=True)
        time.sleep(POLL)


def describe(job: Submitted, tasks: Sequence[TaskState]) -> str:
    """A job in one line: how many of its tasks are in which state, and why or where."""
    counts: dict[str, list[str]] = {}
    for task in tasks:
        waits = task.state == "PENDING"
        counts.setdefault(f"{task.state.lower()}", []).append(task.reason if waits else task.node)
    parts = [f"{len(about)} {state} ({', '.join(sorted(set(filter(None, about))))})" for state, about in counts.items()]
    return f"job {job.number}: " + ", ".join(parts).replace(" ()", "")


def carry_out(words: Sequence[str], resources: Resources, folder: Path, say: Callable[[str], None]) -> tuple[Path, int]:
    """Submit a command, follow it, and submit it again where Slurm lost it.

    Returns:
        What its first process, or the first task of an array that is done, printed; and its exit status.
    """
    for attempt in range(resources.retries + 1):
        job = submit(words, resources, folder)
        tasks = follow(job, say)
        if done := sorted(filter(job.is_done, tasks), key=lambda task: task.status):
            return job.printed(done[0]), done[0].status
        lost = [task for task in tasks if task.state in LOST]
        if not lost or attempt == resources.retries:
            break
        say(f"job {job.number} was lost ({lost[0].state.lower()}); it is submitted again and continues")
    worst = next((task for task in tasks if task.status), tasks[0])
    return job.printed(worst), worst.status or 1

"""Jobs of Slurm where there is none: scripts, states, and what is refused; tests/slurm has a real one."""

from __future__ import annotations

import json
import signal
import sys
import threading
from pathlib import Path

import pytest

from mmbench.errors import MMBenchError
from mmbench.jobs import slurm
from mmbench.jobs.slurm import Resources, Submitted, TaskState, carry_out, describe, look, script_of, submit
from tests.commands import mmbench_here

SHOWN = (
    "JobId=7 ArrayJobId=7 ArrayTaskId=1 JobState=RUNNING Reason=None NodeList=n2 ExitCode=0:0 Restarts=1\n"
    "JobId=8 ArrayJobId=7 ArrayTaskId=0 JobState=FAILED Reason=NonZeroExitCode NodeList=n1 ExitCode=3:0\n"
)


@pytest.fixture
def controller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on PATH whose scontrol prints the file `shown` there, and whose sbatch counts its jobs in `jobs`."""
    folder = tmp_path / "bin"
    folder.mkdir()
    scripts = {
        "scontrol": f'[ -e {folder}/shown ] && exec sed "s/JOB/$3/g" {folder}/shown\n'
        f"cat {folder}/silent >&2 && exit 1\n"
        'echo "slurm_load_jobs error: Invalid job id specified" >&2; exit 1',
        "sbatch": f'echo >> {folder}/jobs; echo "Submitted batch job $(wc -l < {folder}/jobs)"',
        "srun": "exit 1",
        "sacct": "exit 1",
    }
    for name, text in scripts.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setattr(slurm, "POLL", 0.01)
    return folder


def test_a_script_asks_for_what_was_asked_for(tmp_path: Path) -> None:
    whole = script_of(Resources(2, gpus=8, cpus=4, memory=1.5, hours=0.5, others={"account": "lab"}), tmp_path)
    for option in (
        "nodes=2",
        "ntasks-per-node=8",
        "gpus-per-node=8",
        "mem=1536MB",
        "time=30",
        "account=lab",
        "requeue",
    ):
        assert f"#SBATCH --{option}\n" in whole
    assert "--kill-on-bad-exit=1 --cpus-per-task=4" in whole
    assert "array" not in whole
    assert "#SBATCH --array=0-3%4\n" in script_of(Resources(array=4, gpus=1), tmp_path)
    assert "#SBATCH --array=0-511%512\n" in script_of(Resources(array=512), tmp_path), "all of them may begin"
    assert "ntasks-per-node=1\n" in script_of(Resources(array=4, gpus=2), tmp_path)


def test_states_are_read_as_the_controller_prints_them(controller: Path, tmp_path: Path) -> None:
    job = Submitted("7", tmp_path)
    assert look(job) == []
    (controller / "shown").write_text(SHOWN)
    failed = TaskState("7_0", "FAILED", "NonZeroExitCode", "n1", 3)
    assert look(job) == [TaskState("7_1", "RUNNING", "", "n2"), failed]
    assert describe(job, look(job)) == "job 7: 1 running (n2), 1 failed (n1)"
    assert job.printed(failed) == tmp_path / "7_0_0_log.txt"
    waits = TaskState("7", "PENDING", "Resources")
    assert describe(job, [waits]) == "job 7: 1 pending (Resources)"


def test_what_is_lost_is_submitted_again_as_often_as_allowed(controller: Path, tmp_path: Path) -> None:
    (controller / "shown").write_text("JobId=JOB JobState=NODE_FAIL Reason=None NodeList=n1 ExitCode=1:0\n")
    said: list[str] = []
    printed, status = carry_out(["list", "systems"], Resources(retries=2), tmp_path, said.append)
    assert (printed.name, status) == ("3_0_log.txt", 1)
    assert sum("submitted again" in line for line in said) == 2
    (controller / "shown").write_text("JobId=JOB JobState=FAILED Reason=None NodeList=n1 ExitCode=4:0\n")
    printed, status = carry_out(["list", "systems"], Resources(retries=2), tmp_path, said.append)
    assert (printed.name, status) == ("4_0_log.txt", 4), "its own failure is not tried again"


def test_tasks_that_come_too_late_are_cancelled(controller: Path, tmp_path: Path) -> None:
    done = "JobId=1 ArrayJobId=1 ArrayTaskId=0 JobState=COMPLETED Reason=None NodeList=n1 ExitCode=0:0\n"
    (controller / "shown").write_text(done + done.replace("TaskId=0", "TaskId=1-3").replace("COMPLETED", "PENDING"))
    cancels = f'#!/bin/sh\necho "$@" > {controller}/cancelled; sed -i s/PENDING/CANCELLED/ {controller}/shown\n'
    (controller / "scancel").write_text(cancels)
    (controller / "scancel").chmod(0o755)
    printed, status = carry_out(["list", "systems"], Resources(), tmp_path, lambda line: None)
    assert (printed.name, status) == ("1_0_0_log.txt", 0)
    assert (controller / "cancelled").read_text() == "--state=PENDING 1\n"


def test_a_task_that_printed_its_results_and_what_failed_is_done(
    controller: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    line = "JobId=1 ArrayJobId=1 ArrayTaskId=0 JobState=FAILED Reason=NonZeroExitCode NodeList=n1 ExitCode=3:0\n"
    (controller / "shown").write_text(line)
    logs = tmp_path / "my logs"
    logs.mkdir()
    (logs / "1_0_0_log.err").write_text("error: 1 sample failed.\n")
    job, task = Submitted("1", logs), TaskState("1_0", "FAILED", status=3)
    assert not job.is_done(task), "it was stopped before it printed anything"
    (logs / "1_0_0_log.txt").write_text("the table\n")
    assert job.is_done(task)
    done = mmbench_here(capsys, "submit", "--array", "2", "--logs", "my logs", "list", "systems")
    assert done.returncode == 2, "list is nothing that can be shared"
    done = mmbench_here(capsys, "submit", "--array", "2", "--logs", "my logs", "run", "-n", "2")
    assert (done.returncode, done.stdout) == (3, "the table\n")
    assert "less 'my logs/1_0_0_log.err'" in done.stderr
    assert "1 sample failed" in done.stderr


def test_where_slurm_does_not_answer_nothing_is_submitted_a_second_time(controller: Path, tmp_path: Path) -> None:
    assert submit(["list", "systems"], Resources(), tmp_path).number == "1"
    (controller / "silent").write_text("slurm_load_jobs error: Unable to contact slurm controller\n")
    assert look(Submitted("1", tmp_path)) is None
    with pytest.raises(MMBenchError, match="does not say whether job 1"):
        submit(["list", "systems"], Resources(), tmp_path)
    assert submit(["list", "metrics"], Resources(), tmp_path).number == "2"


def test_the_same_words_elsewhere_or_with_other_plugins_are_another_job(
    controller: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (controller / "shown").write_text("JobId=JOB JobState=RUNNING Reason=None NodeList=n1 ExitCode=0:0\n")
    assert submit(["list", "systems"], Resources(), tmp_path).number == "1"
    monkeypatch.setenv("MMBENCH_PLUGINS", "a.py")
    assert submit(["list", "systems"], Resources(), tmp_path).number == "2"
    monkeypatch.chdir(tmp_path)
    assert submit(["list", "systems"], Resources(), tmp_path).number == "3"
    assert submit(["list", "systems"], Resources(), tmp_path).number == "3"


def test_a_job_that_goes_on_is_not_submitted_twice(controller: Path, tmp_path: Path) -> None:
    (controller / "shown").write_text("JobId=JOB JobState=RUNNING Reason=None NodeList=n1 ExitCode=0:0\n")
    words = ["list", "systems"]
    assert submit(words, Resources(), tmp_path).number == "1"
    assert submit(words, Resources(), tmp_path).number == "1"
    assert submit(words, Resources(hours=2), tmp_path).number == "2", "it asks for something else"
    (controller / "shown").write_text("JobId=JOB JobState=COMPLETED Reason=None NodeList=n1 ExitCode=0:0\n")
    assert submit(words, Resources(), tmp_path).number == "3"
    lines = [json.loads(line) for line in (tmp_path / "submitted.jsonl").read_text().splitlines()]
    assert [line["job"] for line in lines] == ["1", "2", "3"]


def slow_sbatch(controller: Path, seconds: float) -> None:
    """Let every submission take so long."""
    (controller / "shown").write_text("JobId=JOB JobState=RUNNING Reason=None NodeList=n1 ExitCode=0:0\n")
    sbatch = controller / "sbatch"
    sbatch.write_text(sbatch.read_text().replace("#!/bin/sh\n", f"#!/bin/sh\nsleep {seconds}\n"))


def test_two_that_submit_the_same_at_once_get_one_job(
    controller: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slow_sbatch(controller, 0.5)
    numbers: list[str] = []
    words = ["list", "systems"]
    threads = [
        threading.Thread(target=lambda: numbers.append(submit(words, Resources(), tmp_path).number)) for _ in "12"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert numbers == ["1", "1"]
    assert caplog.text.count("waiting for it") == 1


def test_ctrl_c_while_slurm_takes_a_job_leaves_one_that_is_followed(controller: Path, tmp_path: Path) -> None:
    slow_sbatch(controller, 1)
    words = ["list", "systems"]
    interrupt = threading.Timer(0.5, signal.raise_signal, (signal.SIGINT,))
    interrupt.start()
    with pytest.raises(KeyboardInterrupt):
        submit(words, Resources(), tmp_path)
    interrupt.join()
    assert submit(words, Resources(), tmp_path).number == "1"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rum"], "did you mean run?"),
        (["submit", "run"], "no command to submit"),
        (["run", "--num-samples", "many"], "--num-samples"),
        (["stats", "exprt"], "did you mean export?"),
        (["--array", "2", "generate", "--shard", "0/2"], "leave out --shard"),
        (["--array", "2", "train", "-s", "tiny", "-d", "bounce"], "would each do all of `mmbench train`"),
    ],
)
def test_what_could_not_begin_is_refused_before_it_waits(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = mmbench_here(capsys, "submit", *words)
    assert refused.returncode == 2
    assert said in refused.stderr


def test_where_there_is_no_slurm_a_command_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    refused = mmbench_here(capsys, "submit", "run")
    assert refused.returncode == 1
    assert "no sbatch here" in refused.stderr
    assert "#SBATCH --requeue" in mmbench_here(capsys, "submit", "--dry-run", "run").stdout
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert "pip install 'mmbench[slurm]'" in mmbench_here(capsys, "submit", "run").stderr
    both = mmbench_here(capsys, "submit", "--array", "2", "--nodes", "2", "run")
    assert "one of them" in both.stderr

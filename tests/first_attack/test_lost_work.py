"""S2: lost work, blocked folders, signals that nobody heard."""

from __future__ import annotations

import json
import os
import resource
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from tests.first_attack.attacked import RUN, STEPS, User, copy_samples, until
from tests.vggsound_copy import write_copy

LONG = [*RUN[:9], "--set", "num_inference_steps=40"]


def test_sigterm_in_the_last_batch_is_heard(user: User) -> None:
    process = user.start(*LONG, "-m", "av_align")
    assert until(lambda: list(user.folder.glob("runs/*/leases/0*")))
    process.send_signal(signal.SIGTERM)
    assert user.await_end(process).code != 0


def test_ctrl_c_says_that_the_same_command_continues(user: User) -> None:
    process = user.start(*RUN[:5], "-n", "64", "--batch-size", "1")
    assert until(lambda: list(user.folder.glob("runs/*/samples/000001.json")))
    process.send_signal(signal.SIGINT)
    done = user.await_end(process)
    assert "the same command" in done.err


def test_a_torn_record_does_not_block_a_folder(user: User, run: Path) -> None:
    records = run / "records.jsonl"
    with records.open("a") as lines:
        lines.write(records.read_text()[:200])  # as a full disk leaves it
    user("evaluate", run, "-m", "ib_bounce_tv")
    assert user("table", "-m", "ib_bounce_tv").code == 0


def test_a_prompt_may_hold_a_line_separator(user: User, clips: Path) -> None:
    rows = "".join(f"{k:06d}.mkv,a \u2028 ball\n" for k in range(4))
    (clips / "p.csv").write_text("file,prompt\n" + rows)
    assert user("evaluate", "clips", "-m", "ib_bounce_tv").code == 0
    assert user("evaluate", "clips", "-m", "ib_bounce_tv").code == 0
    assert user("table").code == 0


def test_a_name_may_hold_a_line_separator_or_is_refused(user: User, clips: Path) -> None:
    named = user("evaluate", "clips", "-m", "av_align", "--name", "a\u2028b")
    user.made("evaluate", "clips", "-m", "av_align", "--name", "good")
    table = user("table", "-s", "good")
    assert table.code == 0, (named.err, table.err)


def test_a_damaged_sample_is_made_again(user: User, run: Path) -> None:
    sample = run / "samples" / "000002.mkv"
    whole = sample.read_bytes()
    os.truncate(sample, 50000)
    user(*RUN, "-m", "av_align", "--retry-failed")
    assert sample.read_bytes() == whole


def test_a_failure_of_the_machine_is_not_one_of_each_sample(user: User) -> None:
    def little() -> None:
        resource.setrlimit(resource.RLIMIT_AS, (1_200_000 << 10, 1_200_000 << 10))

    process = user.start(*RUN[:5], "-n", "2", preexec_fn=little)
    process.communicate()
    assert not list(user.folder.glob("runs/*/samples/*.failed.json"))


def test_prepare_leaves_no_processes_behind(user: User) -> None:
    write_copy(user.folder / "videos")
    process = user.start("data", "prepare", "vggsound", "--root", "videos", "--workers", "2")
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    assert until(lambda: list((user.folder / "videos" / "prepared").rglob("*.mkv")), 120)  # its workers work
    started = children.read_text().split()
    process.kill()
    process.wait()
    assert until(lambda: not any(alive(pid) for pid in started), 20)


def alive(pid: str) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.parametrize(
    "change", [{"pid": -1, "start": None}, {"pid": 10**30, "start": None}, {"start": None}, None], ids=str
)
def test_an_odd_lease_is_not_waited_for_without_end(user: User, change: dict[str, Any] | None) -> None:
    command = ["generate", *RUN[1:9], "--batch-size", "1"]
    process = user.start(*command, "--set", "num_inference_steps=40")
    assert until(lambda: list(user.folder.glob("runs/*/leases/0*")))
    process.kill()
    process.communicate()
    (lease, *_) = user.folder.glob("runs/*/leases/0*")
    told = json.loads(lease.read_text())
    lease.write_text(json.dumps([] if change is None else told | change))
    old = time.time() - 86400
    os.utime(lease, (old, old))
    assert user(*command, "--set", "num_inference_steps=40").code == 0
    assert len(list(user.folder.glob("runs/*/samples/*.mkv"))) == 4


def test_an_impossible_seed_is_refused_before_work(user: User) -> None:
    done = user(*RUN[:7], "--seed", "-1", *STEPS, "-m", "av_align")
    assert done.code
    assert not list(user.folder.glob("runs/*/samples/*.mkv"))


def test_names_that_a_folder_cannot_tell_apart_share_none(user: User, run: Path) -> None:
    for k, name in enumerate(("a/b", "a_b")):
        copy_samples(run, user.folder / f"model{k}")
        user("evaluate", f"model{k}", "-m", "av_align", "--name", name)
    folders = [path for path in (user.folder / "runs").iterdir() if path.name.startswith("a")]
    named = [{json.loads(line)["system"] for line in lines_of(path / "records.jsonl")} for path in folders]
    assert all(len(names) == 1 for names in named)


def lines_of(file: Path) -> list[str]:
    return [line for line in file.read_text().split("\n") if line]

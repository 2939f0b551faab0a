"""Many commands quickly: a process with everything imported, which forks a child for each."""

from __future__ import annotations

import atexit
import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.forked import warm
from tests.commands import environment


@dataclass
class Command:
    """One command that was started.

    Attributes:
        log: Where it writes both of its outputs.
        pid: Of it and of its process group.
    """

    log: Path
    pid: int

    @property
    def status(self) -> int | None:
        """Its exit status, below 0 the signal that ended it; None while it goes on."""
        try:
            text = self.log.with_suffix(".status").read_text()
        except FileNotFoundError:
            return None
        return int(text) if text.endswith("\n") else None

    def wait(self, seconds: float) -> int | None:
        """Wait for its end so long; its status, or None."""
        end = time.monotonic() + seconds
        while (status := self.status) is None and time.monotonic() < end:
            time.sleep(0.005)
        return status

    def send(self, number: int) -> None:
        """Send a signal to it and what it started; nothing if it has ended."""
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            return

    @property
    def said(self) -> str:
        """What it has written."""
        return self.log.read_text(errors="replace")


class Starter:
    """Starts `mmbench ...` in a fifth of the time: forks of one process that has imported it.

    Args:
        logs: Folder for what the commands write.
    """

    def __init__(self, logs: Path) -> None:
        logs.mkdir(parents=True, exist_ok=True)
        self.logs, self.count = logs, 0
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.starter"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )

    def start(self, arguments: Sequence[str | Path], **variables: str) -> Command:
        """Start a command with further environment variables, and return at once."""
        log = self.logs / f"{self.count:05d}.log"
        self.count += 1
        order = {"arguments": [str(a) for a in arguments], "log": str(log), "variables": variables}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return Command(log, int(self.process.stdout.readline()))

    def close(self) -> None:
        """End the process; commands that go on are not touched."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(300)  # on a machine that does much else


WARM = "run -s tiny+mmdisco-res_frieren -n 2 --set num_inference_steps=1 -m av_align -m ib_bounce_av --workers 1"


def serve() -> None:
    """Read orders from standard input, a line each; answer each with the pid of its command."""
    warm()
    _import_what_a_run_imports()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # keepers are not waited for
    for line in sys.stdin:
        order = json.loads(line)
        ours, theirs = os.pipe()
        if os.fork() == 0:
            os.close(ours)
            _keep(order, theirs)
        os.close(theirs)
        pid = os.read(ours, 32).decode()
        os.close(ours)
        print(pid, flush=True)


def _import_what_a_run_imports() -> None:
    """Import the modules that a run imports late. The run itself goes by in a child, so that no thread is left here."""
    ours, theirs = os.pipe()
    said = Path(tempfile.mkdtemp()) / "said"
    if os.fork() == 0:
        os.close(ours)
        before = set(sys.modules)
        with tempfile.TemporaryDirectory() as folder:
            _become({"arguments": [*WARM.split(), "--out", folder], "variables": {}}, said, leave=False)
        with open(theirs, "w") as names:
            names.write("\n".join(set(sys.modules) - before))
        os._exit(0)
    os.close(theirs)
    with open(ours) as names:
        found = names.read().split()
    os.wait()
    if not found:
        raise RuntimeError(f"A run ended before it was over: {said.read_text()}")
    for name in found:
        with suppress(ImportError):
            importlib.import_module(name)


def _keep(order: dict[str, object], theirs: int) -> None:
    """Fork the command, tell its pid, and write its status when it ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = Path(str(order["log"]))
    if (pid := os.fork()) == 0:
        os.setpgid(0, 0)
        os.write(theirs, str(os.getpid()).encode())
        os.close(theirs)
        _become(order, log)
    os.close(theirs)
    _, status = os.waitpid(pid, 0)
    log.with_suffix(".status").write_text(f"{os.waitstatus_to_exitcode(status)}\n")
    os._exit(0)


def _become(order: dict[str, object], log: Path, leave: bool = True) -> None:
    from mmbench.cli.app import main

    signal.signal(signal.SIGINT, signal.default_int_handler)  # what a shell starts in the background ignores it
    nothing, out = os.open(os.devnull, os.O_RDONLY), os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor, target in ((nothing, 0), (out, 1), (out, 2)):
        os.dup2(descriptor, target)
    sys.stdin = os.fdopen(0)
    variables, arguments = order["variables"], order["arguments"]
    assert isinstance(variables, dict)
    assert isinstance(arguments, list)
    os.environ.update(variables)
    sys.argv = ["mmbench", *arguments]
    try:
        main()
    except SystemExit as stop:
        if leave:
            _end(int(stop.code or 0))


def _end(status: int) -> None:
    """End as Python does, but without taking all modules apart: that takes 3 s, in which kills would meet nothing."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    serve()

"""The command line of a revision, by default this one, as a user has it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.commands import environment
from tests.conftest import REPOSITORY

REVISION = Path(os.environ.get("MMBENCH_REVISION") or REPOSITORY).resolve()
PATIENCE = float(os.environ.get("MMBENCH_PATIENCE") or 180)  # [s] a command that takes longer hangs
STEPS = ["--set", "num_inference_steps=2"]
RUN = ["run", "-s", "tiny", "-d", "bounce", "-n", "4", "--seed", "5", *STEPS, "--workers", "1"]
GUIDED = ["run", "-s", "tiny+mmdisco-res_frieren", "-d", "bounce", "-n", "4", "--seed", "5", *STEPS]


@dataclass(frozen=True)
class Done:
    """A command that has ended, in an orderly way: its status, what it printed, its peak of memory [bytes]."""

    code: int
    out: str
    err: str
    peak: int = 0

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records of the rows that it printed as JSON."""
        assert self.out, self.err
        return [row["record"] for row in json.loads(self.out)]

    @property
    def values(self) -> dict[str, float | None]:
        """Metric's value of each row, without the variants that came later than the attack."""
        return {r["metric"]: r["value"] for r in self.records if " excess" not in r["metric"]}

    def refused(self, *words: str) -> bool:
        """Whether it was not done, and said so in these words."""
        return self.code != 0 and all(word in self.err for word in words)


@dataclass
class User:
    """Someone with a working directory who types commands of mmbench.

    Attributes:
        folder: The working directory.
        before: Words before the command's own, such as those of `setpriv`.
        site: Folders with further distributions.
    """

    folder: Path
    before: Sequence[str] = ()
    site: Sequence[Path] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str | Path, **how: Any) -> subprocess.Popen[str]:
        """Start `mmbench WORDS` in a process group of its own, and return at once."""
        path = os.pathsep.join(map(str, [*self.site, REVISION]))
        command = [*self.before, sys.executable, "-m", "mmbench", *map(str, words)]
        own = environment(PYTHONPATH=path, MMBENCH_HOME=str(self.folder / "home"), **self.variables)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | how
        return subprocess.Popen(
            command, cwd=self.folder, env=own, text=True, errors="replace", start_new_session=True, **pipes
        )

    def __call__(self, *words: str | Path, memory: float = 4, **how: Any) -> Done:
        """Run `mmbench WORDS` to its end.

        Raises:
            AssertionError: It hangs, takes more than `memory` [GiB], or prints a traceback.
        """
        return self.await_end(self.start(*words, **how), memory)

    def await_end(self, process: subprocess.Popen[str], memory: float = 4) -> Done:
        """What a command that was started has done at its end."""
        end, peak, limit = time.monotonic() + PATIENCE, 0, int(memory * (1 << 30))
        while True:
            try:
                out, err = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                peak = max(peak, _peak(process.pid))
                wrong = f"takes {peak >> 20} MiB" * (peak > limit) or "hangs" * (time.monotonic() > end)
                if wrong:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.communicate()
                    raise AssertionError(wrong) from None
        said = f"{out or ''}\n{err or ''}"
        assert "Traceback" not in said, said[-3000:]
        return Done(process.returncode, out or "", err or "", peak)

    def made(self, *words: str | Path) -> Done:
        """Run what is no attack yet; an error other than of an assertion where it fails."""
        done = self(*words)
        if done.code:
            raise RuntimeError(f"{words}: {done.err}")
        return done


def _peak(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().split("\n")
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM:")), 0)


def until(condition: Callable[[], object], seconds: float = 60.0) -> bool:
    """Whether it becomes true within so long."""
    end = time.monotonic() + seconds
    while not (met := bool(condition())) and time.monotonic() < end:
        time.sleep(0.01)
    return met


def copy_samples(run: Path, folder: Path, count: int = 4) -> Path:
    """A folder of the clips of a run, as if somebody else had made them."""
    folder.mkdir(parents=True)
    for clip in sorted((run / "samples").glob("*.mkv"))[:count]:
        shutil.copy(clip, folder)
    return folder


def swap(file: Path, old: str, new: str) -> None:
    """Edit a text file, one place of it."""
    text = file.read_text()
    if old not in text:
        raise RuntimeError(f"{file} has no {old}")
    file.write_text(text.replace(old, new, 1))

"""Commands of mmbench in forked children of a process that has imported everything: a second faster each."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

HANG = 600.0  # [s] far more than any takes on a busy machine


@dataclass(frozen=True)
class Outcome:
    """What a command did: its exit code (None if it had to be killed), and what it wrote."""

    code: int | None
    out: str
    err: str


def warm() -> None:
    """Import what commands import; nothing may be computed before a fork, for threads do not survive it."""
    import mmbench.experiments.sweep.carry_out
    import mmbench.experiments.training.train
    import mmbench.jobs.run
    import mmbench.mmdisco.training
    import mmbench.tables.narrow  # noqa: F401
    from mmbench.networks.compiled import import_librosa
    from mmbench.registry import discover

    librosa = import_librosa()  # five seconds of every run's end otherwise
    assert all((librosa.resample, librosa.onset.onset_detect, librosa.util.peak_pick, librosa.feature.melspectrogram))
    for kind in ("system", "dataset", "metric"):
        discover(kind)  # type: ignore[arg-type]


def command(folder: Path, words: Sequence[str], before: Callable[[], object] = lambda: None) -> Outcome:
    """Run `mmbench WORDS` in a folder.

    Args:
        folder: The working directory.
        words: The arguments.
        before: Called in the child first.
    """
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            _become(folder, words, before, out.fileno(), err.fileno())
        end, status = time.monotonic() + HANG, None
        while status is None and time.monotonic() < end:
            done, waited = os.waitpid(child, os.WNOHANG)
            status = waited if done else None
            time.sleep(0.002)
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        texts = [(file.seek(0), file.read().decode("utf-8", "replace"))[1] for file in (out, err)]
        return Outcome(None if status is None else os.waitstatus_to_exitcode(status), *texts)


def _become(folder: Path, words: Sequence[str], before: Callable[[], object], out: int, err: int) -> None:
    code = 70
    try:
        os.dup2(out, 1)
        os.dup2(err, 2)
        os.chdir(folder)
        os.environ["MMBENCH_DISCRIMINATORS"] = str(folder / "discriminators")
        from mmbench.cli.app import app, guarded

        sys.argv = ["mmbench", *words]
        before()
        code = guarded(app)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)

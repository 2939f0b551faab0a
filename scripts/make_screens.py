"""Make docs/screens/{80,120}/*.txt: what the commands print on terminals of 80 and of 120 columns.

    python scripts/make_screens.py                      # all of them, in about a minute
    python scripts/make_screens.py doctor --columns 80

The commands run in a folder of their own, on a few samples of the embedded systems, with stdout a terminal. Digests in
run ids, times and paths are replaced by ones of the same length, so that a screen changes only if its layout or its
numbers do.
"""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from mmbench.cli.app import app, guarded
from mmbench.cli.examples import fold_command
from mmbench.runs.store import SampleStore

REPOSITORY = Path(__file__).resolve().parent.parent
SCREENS = REPOSITORY / "docs" / "screens"
WIDTHS = (80, 120)
FEW_STEPS = "--num-inference-steps 4"
COMMANDS: Mapping[str, Sequence[str]] = {  # in this order: later ones look at what earlier ones made
    "run": [f"mmbench run -s ground_truth -s independent -s tiny -s tiny+mmdisco -n 8 {FEW_STEPS}"],
    "evaluate": ["mmbench evaluate model_a --dataset bounce"],
    "compare": ["mmbench evaluate model_a model_b --dataset bounce", "mmbench compare model_a model_b"],
    "table-paper-4": ["mmbench table --paper 4"],
    "doctor": ["mmbench doctor"],
    "list": ["mmbench list runs", "mmbench list metrics"],
}
CLIPS = {"model_a": "tiny-bounce", "model_b": "tiny+mmdisco-bounce"}  # folders of clips, and whose samples they hold
NEEDED = {"evaluate": ["run"], "compare": ["run"], "table-paper-4": ["run"], "list": ["run"]}
ALIKE = (
    (r"(-s\d+-)[0-9a-f]{8}\b", r"\g<1>1a2b3c4d"),  # of run ids
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "2026-01-01T00:00:00Z"),
)


class Terminal(io.StringIO):
    """A stdout that says it is a terminal."""

    def isatty(self) -> bool:
        return True


@contextmanager
def new_user(folder: Path, columns: int) -> Iterator[None]:
    """The working folder and the environment of a new user on a terminal of so many columns, without colours."""
    before, where = dict(os.environ), Path.cwd()
    for name in before:
        if name.startswith(("MMBENCH_", "SLURM_", "XDG_CACHE")):
            del os.environ[name]
    os.environ |= {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1", "HOME": str(folder)}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(where)
        os.environ.clear()
        os.environ.update(before)


def printed(command: str, folder: Path, columns: int) -> str:
    """What a mmbench command prints in a folder, its stdout being a terminal; in this process, which is faster."""
    words, screen, said = sys.argv, Terminal(), io.StringIO()
    sys.argv = command.split()
    try:
        with new_user(folder, columns), redirect_stdout(screen), redirect_stderr(said):
            code = guarded(app)
    finally:
        sys.argv = words
    if code:
        raise SystemExit(f"{command} ended with {code}:\n{said.getvalue()}")
    return "\n".join(fold_command(f"$ {command}", columns)) + f"\n{screen.getvalue()}"


def normalised(text: str, folder: Path) -> str:
    """A screen without what differs from machine to machine and from day to day."""
    text = text.replace(str(folder), "~")
    for pattern, same in ALIKE:
        text = re.sub(pattern, same, text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


def copy_clips(folder: Path) -> None:
    """Make the folders of clips, with their prompts, out of the samples of runs."""
    for name, run in CLIPS.items():
        (folder / name).mkdir(exist_ok=True)
        (made,) = folder.glob(f"runs/{run}-s0-*")
        store = SampleStore.open(made)
        with (folder / name / "prompts.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["file", "prompt"])
            for index in store.status().present:
                clip = Path(shutil.copy(store.samples / f"{index:06d}.mkv", folder / name))
                table.writerow([clip.name, store.record(index).text])


def make_screens(names: Sequence[str], widths: Sequence[int], to: Path) -> list[Path]:
    """Write the screens called `names`, one file per name and width; returns the files."""
    wanted = [name for name in COMMANDS if name in {*names, *(n for name in names for n in NEEDED.get(name, ()))}]
    files = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary).resolve()
        for columns in widths:
            for name in wanted:
                shown = [printed(command, folder, columns) for command in COMMANDS[name]]
                if name == "run":
                    copy_clips(folder)
                if name in names:
                    files.append(to / str(columns) / f"{name}.txt")
                    files[-1].parent.mkdir(parents=True, exist_ok=True)
                    files[-1].write_text("\n\n".join(normalised(text, folder) for text in shown) + "\n", "utf-8")
    return files


def main() -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=[], help=f"of {', '.join(COMMANDS)}; default: all")
    parser.add_argument("--columns", type=int, action="append", help="width; repeat; default: 80 and 120")
    parser.add_argument("--to", type=Path, default=SCREENS)
    given = parser.parse_args()
    if unknown := set(given.names) - set(COMMANDS):
        parser.error(f"no screen is called {', '.join(unknown)}")
    for file in make_screens(given.names or list(COMMANDS), given.columns or WIDTHS, given.to):
        print(file)


if __name__ == "__main__":
    main()

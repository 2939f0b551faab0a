"""How often one sample of one system crosses the harness: `python tests/benchmarks/count_stays.py`.

A stay is a stretch of work in one file of the harness: everything of mmbench but systems, metrics, datasets and the
method. Whoever reads the code has to jump as often. The job is run once to import and warm what it needs, then counted.
"""

from __future__ import annotations

import sys
from collections import Counter
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import mmbench
from mmbench.cli.app import app, guarded

HARNESS = Path(mmbench.__file__).parent
OTHERS = ("baselines", "metrics", "datasets", "mmdisco")


@cache
def harness_file(name: str) -> str:
    """A file of the harness by its path within mmbench; "" for every other file."""
    if not name.startswith(f"{HARNESS}/"):
        return ""
    inside = Path(name).relative_to(HARNESS)
    return "" if inside.parts[0] in OTHERS else str(inside)


def run_command(arguments: list[str]) -> None:
    """Run `mmbench ARGUMENTS` here."""
    sys.argv = ["mmbench", *arguments]
    if code := guarded(app):
        raise SystemExit(code)


def count_stays(arguments: list[str]) -> Counter[str]:
    """Stays by file while `mmbench ARGUMENTS` runs in this thread."""
    stays: Counter[str] = Counter()
    last = ""

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal last
        if event in ("call", "return"):
            place = harness_file((frame if event == "call" else frame.f_back or frame).f_code.co_filename)
            if place and place != last:
                stays[place] += 1
                last = place

    sys.setprofile(watch)
    try:
        run_command(arguments)
    finally:
        sys.setprofile(None)
    return stays


if __name__ == "__main__":
    job = ["run", "-s", "ground_truth", "-n", "1", "--workers", "1", "-f", "quiet"]
    with TemporaryDirectory() as out:
        run_command([*job, "--out", out])
    with TemporaryDirectory() as out:
        found = count_stays([*job, "--out", out])
    for name, number in found.most_common():
        print(f"{number:5d}  {name}")
    print(f"{found.total():5d}  in {len(found)} files")

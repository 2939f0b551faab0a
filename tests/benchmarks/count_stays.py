"""How often one sample of one system crosses the harness: `python tests/benchmarks/count_stays.py`.

A stay is a stretch of work in one file of the harness: everything of mmbench but systems, metrics, datasets and the
method. Whoever reads the code has to jump as often. The job is run once to import and warm what it needs, then counted.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType
from typing import Any

import mmbench
from mmbench.cli.app import app, guarded

HARNESS = Path(mmbench.__file__).parent
OTHERS = ("baselines", "metrics", "datasets", "mmdisco")


def place_of(frame: FrameType | None) -> str:
    """The harness file that a frame, or else the nearest of its callers, belongs to."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name.startswith(str(HARNESS)):
            inside = Path(name).relative_to(HARNESS)
            if inside.parts[0] not in OTHERS:
                return str(inside)
        frame = frame.f_back
    return ""


def count_stays(arguments: list[str]) -> Counter[str]:
    """Stays by file while `mmbench ARGUMENTS` runs in this thread."""
    stays: Counter[str] = Counter()
    last = ""

    def watch(frame: FrameType, event: str, _: Any) -> None:
        nonlocal last
        if event in ("call", "return"):
            place = place_of(frame if event == "call" else frame.f_back)
            if place and place != last:
                stays[place] += 1
                last = place

    sys.argv = ["mmbench", *arguments]
    sys.setprofile(watch)
    try:
        code = guarded(app)
    finally:
        sys.setprofile(None)
    if code:
        raise SystemExit(code)
    return stays


if __name__ == "__main__":
    job = ["run", "-s", "ground_truth", "-n", "1", "--workers", "1", "-f", "quiet"]
    for _ in range(2):
        with TemporaryDirectory() as out:
            found = count_stays([*job, "--out", out])
    for name, number in found.most_common():
        print(f"{number:5d}  {name}")
    print(f"{found.total():5d}  in {len(found)} files")

"""Time of `mmbench report` by number of samples: of a first report, and of a second one into the same folder.

python results/report/measure.py 8 32 128            synthetic runs of 6 systems; prints a table
python results/report/measure.py --linked 2048       whose samples are links to four files: all but making the clips
"""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mmbench.report.data import describe
from mmbench.report.material import gather
from mmbench.report.truth import UNKNOWN
from mmbench.report.write import render_report, write_report
from tests.report.synthetic import write_runs

SYSTEMS = 6


def cpu() -> float:
    """Seconds of all threads of this process."""
    spent = os.times()
    return spent.user + spent.system


def measure(folder: Path, samples: int, unlike: bool) -> list[str]:
    """CPU seconds of the steps of a report of so many samples, and sizes."""
    write_runs(folder / "runs", SYSTEMS, samples, unlike=unlike)
    start = cpu(), time.monotonic()
    known = {} if unlike else {"truth": UNKNOWN}  # else a clip would be made for each row
    material = replace(gather([], folder / "runs", None), **known)
    gathered = cpu()
    render_report(describe(material), ["mmbench report"])
    rendered = cpu()
    write_report(material, folder / "page", ["mmbench report"], os.cpu_count() or 1)
    first = cpu(), time.monotonic()
    write_report(
        replace(gather([], folder / "runs", None), **known), folder / "page", ["mmbench report"], os.cpu_count() or 1
    )
    second = cpu(), time.monotonic()
    steps = gathered - start[0], rendered - gathered, first[0] - rendered, second[0] - first[0]
    walls = first[1] - start[1], second[1] - first[1]
    sizes = [(folder / "page" / name).stat().st_size / 1e6 for name in ("index.html", "samples.js")]
    return [f"{samples} x {SYSTEMS}", *(f"{s:.2f}" for s in (*steps, *walls)), *(f"{size:.2f}" for size in sizes)]


def main() -> None:
    """Print a row per number of samples."""
    heads = ["clips", "gather", "page", "first", "second", "first, wall", "second, wall", "index.html", "samples.js"]
    print(f"| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
    for samples in (int(word) for word in sys.argv[1:] if word.isdigit()):
        with TemporaryDirectory() as folder:
            print(f"| {' | '.join(measure(Path(folder), samples, '--linked' not in sys.argv))} |", flush=True)


if __name__ == "__main__":
    main()

"""Times the stages of a job under torchrun with 1, 2 and 4 processes, and prints a table.

    python scripts/measure_processes.py -n 64 --rounds 3 --out results/scale/processes.json

Each round goes through all numbers of processes in turn, so that what else the machine does meets them alike; the
fastest of the rounds counts for each stage. Each number of processes begins with an empty folder.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from mmbench.runs.circumstances import machine

STAGES = {
    "generate": "generate -s tiny -d bounce -n {n} --seed 3",
    "features and scores": "evaluate tiny-bounce-s3 --workers 1",
    "the same with features known": "evaluate tiny-bounce-s3 --workers 1",
    "reference file": "stats export -d bounce -n {n} --seed 4 -o {out}/real.safetensors --workers 1",
}


def launch(words: str, processes: int, out: str) -> float:
    """Wall time [s] of a command under torchrun; raises CalledProcessError with what it said."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    where = ["--cache", out] if words.startswith("stats") else ["--out", out]
    command = [*torchrun, "-m", "mmbench", *shlex.split(words), *where, "--format", "quiet"]
    begun = time.monotonic()
    subprocess.run(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True, capture_output=True, text=True)
    return time.monotonic() - begun


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-n", type=int, default=64)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    seconds: dict[str, dict[int, float]] = {stage: {} for stage in STAGES}
    loads = []
    for _ in range(asked.rounds):
        for processes in asked.processes:
            with tempfile.TemporaryDirectory() as out:
                for stage, words in STAGES.items():
                    loads.append(os.getloadavg()[0])
                    took = launch(words.format(n=asked.n, out=out), processes, out)
                    seconds[stage][processes] = min(took, seconds[stage].get(processes, took))
                    print(f"{stage}, {processes}: {took:.1f} s", file=sys.stderr, flush=True)
    print("| stage | " + " | ".join(f"{p} processes" for p in asked.processes) + " |")
    print("|---" * (len(asked.processes) + 1) + "|")
    for stage, of in seconds.items():
        print(f"| {stage} | " + " | ".join(f"{of[p]:.1f} s" for p in asked.processes) + " |")
    if asked.out:
        told = {"n": asked.n, "rounds": asked.rounds, "stages": STAGES, "seconds": seconds, "machine": machine()}
        asked.out.write_text(json.dumps({**told, "load": [min(loads), max(loads)]}, indent=1) + "\n")


if __name__ == "__main__":
    main()

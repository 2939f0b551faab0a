"""Seconds per generated pair with and without guidance and peak memory, beside Table 12 of arXiv 2405.17842.

python results/speed/generation.py                                  full size, random weights, batch 8, on a GPU
python results/speed/generation.py --size tiny --steps 3 --runs 1 --batch 1    does it run; any machine

Needs no weights. Every line is a process of its own; times are of whole batches after one to warm up, clips decoded.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from mmbench.datasets.mm_diffusion_clips import FORMAT as IN_DOMAIN
from mmbench.datasets.own_videos import FORMAT as OUT_OF_DOMAIN
from mmbench.registry import make_system
from mmbench.runspec import machine
from mmbench.types import Prompt, Request
from mmbench.usage import Usage

PAPER = Path(__file__).parent.parent / "paper" / "tables.json"
FORMATS = {"landscape_ind": IN_DOMAIN, "vggsound": OUT_OF_DOMAIN}
DATASETS = {"mm_diffusion": "landscape_ind", "audioldm_animatediff": "vggsound", "auffusion_vc2": "vggsound"}


def published(system: str, guided: bool) -> str:
    """Seconds per pair in Table 12, on one H100."""
    table = json.loads(PAPER.read_text())["tables"]["12"]
    row = next(row for row in table["rows"] if row[0] == ("with" if guided else "without"))
    mean, std = row[table["columns"].index(system)]
    return f"{mean} ± {std}"


def measure(system: str, given: argparse.Namespace) -> dict[str, Any]:
    """Seconds per pair, and peak memory, of one system in this process."""
    base = system.partition("+")[0]
    name = DATASETS[base]
    options = {"size": given.size, "weights": "random", "dtype": given.dtype, "device": given.device}
    steps = {"num_inference_steps": given.steps} if given.steps else {}
    made: Any = make_system(system, dataset=SimpleNamespace(name=name, format=FORMATS[name]), **options, **steps)
    usage, seconds = Usage(), []
    for run in range(given.runs + 1):
        requests = [Request(Prompt(f"{run}-{i}", "a dog barks at the sea"), i, 0) for i in range(given.batch)]
        begin = time.perf_counter()
        clips = list(made.generate(requests))  # on the CPU: nothing is left to wait for
        assert len(clips) == given.batch
        seconds.append((time.perf_counter() - begin) / given.batch)
    return {**usage.report(), "system": system, "seconds": seconds[1:], "machine": machine(), **vars(given)}


def line(found: dict[str, Any]) -> str:
    """One line of the table."""
    base, plus, _ = found["system"].partition("+")
    mean, runs = statistics.mean(found["seconds"]), found["seconds"]
    spread = statistics.stdev(runs) if len(runs) > 1 else 0.0
    gpu = f"{found['peak_gpu_bytes'] / 1e9:.1f}" if "peak_gpu_bytes" in found else ""
    resident = f"{found['peak_memory_bytes'] / 1e9:.1f}"
    return f"| {found['system']} | {mean:.2f} ± {spread:.2f} | {published(base, bool(plus))} | {gpu} | {resident} |"


def main() -> None:
    """Print the table as Markdown, and append what was measured to generation.jsonl beside this file if --record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="full", choices=["full", "tiny"])
    parser.add_argument("--dtype", default="float16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=0, help="0: the paper's")
    parser.add_argument("--systems", nargs="*", default=[s + g for s in DATASETS for g in ("", "+mmdisco")])
    parser.add_argument("--record", action="store_true")
    parser.add_argument("--one", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(measure(given.one, given)))
        return
    print(
        "| system | s per pair | Table 12, one H100 | peak GPU [GB] | peak resident [GB] |\n|---|---|---|---|---|",
        flush=True,
    )
    for system in given.systems:
        command = [sys.executable, __file__, *sys.argv[1:], "--one", system]
        found = json.loads(
            subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1]
        )
        print(line(found), flush=True)
        if given.record:
            with Path(__file__).with_suffix(".jsonl").open("a") as file:
                file.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()

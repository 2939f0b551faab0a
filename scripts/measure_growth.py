"""How time and memory of commands grow with the number of samples, and what commands take in a folder of many runs.

    python scripts/measure_growth.py --out results/scale/growth.json
    python scripts/measure_growth.py --sizes 256 512 1024 --runs 0         without the folder of many runs

A run of the system in `growth_plugin.py` grows from size to size; commands that compare find a second one, which the
store makes of links to its samples, with scores of its own. Each measurement is a process of its own, whose peak memory
is its VmHWM. Exponents are slopes of log time against log n over the upper half of the sizes, of processor seconds,
which other work on the machine changes least: as they are, and without the seconds that the same command takes at
`START` samples, which would hide growth. `results/scale/README.md` has what it printed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

PLUGIN = Path(__file__).parent / "growth_plugin.py"
DATASET = ("--dataset", "growth_dataset")
ONE = ("--system", "growth_system", *DATASET)
RUN, GUIDED = "growth_system-growth_dataset-", "growth_system+1-"  # how folders of runs begin
NEEDS_PLUGIN = ("generate", "evaluate", "run", "report")
SIZES = tuple(2**k for k in range(8, 16))
START = 8  # samples of the measurement that says what a command takes anyway
SHOWN = 16  # rows of samples in the report, whose clips cost the same at every n
NOISE = 0.2  # seconds beyond the start of a command that are too few to tell an exponent
CHILD = """
import json, os, re, runpy, sys
out, *words = sys.argv[1:]
sys.argv = ["mmbench", *words]
try:
    runpy.run_module("mmbench", run_name="__main__")
finally:
    status = open("/proc/self/status").read()
    spent = os.times()
    told = {"cpu": sum(spent[:4]), "peak_mb": int(re.search(r"VmHWM:\\s+(\\d+)", status)[1]) / 1024}
    open(out, "w").write(json.dumps(told))
"""


@dataclass(frozen=True)
class Measured:
    """What one process took.

    Attributes:
        command: What it did.
        n: Samples of each run.
        wall: Seconds that passed.
        cpu: Processor seconds of all its threads.
        peak_mb: Most memory that it held [MiB].
    """

    command: str
    n: int
    wall: float
    cpu: float
    peak_mb: float


def commands(n: int) -> dict[str, Sequence[str]]:
    """The commands that are measured at n samples, in an order in which each finds what it needs."""
    num = ("--num-samples", str(n))
    quiet = ("--format", "quiet")
    scored = (f"{RUN}s0-", *num, "--workers", "1", *quiet)
    return {
        "generate": ("generate", *ONE, *num, *quiet),
        "generate, finished": ("generate", *ONE, *num, *quiet),
        "evaluate": ("evaluate", *scored),
        "evaluate, features known": ("evaluate", *scored),
        "run, finished": ("run", *ONE, *num, "--workers", "1", *quiet),
        "table": ("table", *DATASET, *num, "--format", "json"),
        "compare": ("compare", f"{RUN}s0-", GUIDED, "--format", "json"),
        "report": ("report", "--num-samples", str(SHOWN), "--workers", "1", *quiet),
        "show": ("show", f"{RUN}s0-", "--format", "json"),
        "list runs": ("list", "runs", "--format", "json"),
    }


COMPARED = "table"  # the first of the commands that find two runs


def measure(command: str, n: int, words: Sequence[str], folder: Path) -> Measured:
    """Run `mmbench WORDS` in a folder as a process of its own.

    Raises:
        RuntimeError: It failed.
    """
    told, plugin = folder / "measured.json", ("--plugin", str(PLUGIN)) if words[0] in NEEDS_PLUGIN else ()
    paths = [str(PLUGIN.parent.parent), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    begun = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(told), *plugin, *words],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    wall = time.perf_counter() - begun
    if done.returncode:
        raise RuntimeError(f"mmbench {' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}")
    return Measured(command, n, round(wall, 2), **{k: round(v, 2) for k, v in json.loads(told.read_bytes()).items()})


def grow(sizes: Sequence[int], folder: Path) -> Iterator[Measured]:
    """Every command at every size, smallest first; a first evaluation finds no features, a first report no page.

    Args:
        sizes: Samples, ascending.
        folder: Where runs are made.
    """
    for n in sizes:
        for command, words in commands(n).items():
            if command in ("evaluate", "report"):
                shutil.rmtree(folder / "runs" / {"evaluate": "features", "report": "report"}[command], True)
            if command == COMPARED:
                link_runs(folder / "runs", 2, 2)
            yield measure(command, n, words, folder)


def exponents(found: Sequence[Measured]) -> dict[str, dict[str, float | None]]:
    """Slopes of log seconds and log memory against log n over the upper half of the sizes, by command.

    `beyond_start` is of the seconds beyond those at the smallest size; None where these are too few.
    """
    slopes = dict[str, dict[str, float | None]]()
    for command in dict.fromkeys(m.command for m in found):
        start, *grown = sorted((m for m in found if m.command == command), key=lambda m: m.n)
        upper = grown[len(grown) // 2 :]
        beyond = [(m.n, m.cpu - start.cpu) for m in upper]
        slopes[command] = {
            "cpu": slope([(m.n, m.cpu) for m in upper]),
            "beyond_start": slope(beyond) if all(seconds > NOISE for _, seconds in beyond) else None,
            "peak_mb": slope([(m.n, m.peak_mb) for m in upper]),
        }
    return slopes


def slope(points: Sequence[tuple[float, float]]) -> float | None:
    """Least squares slope of log y against log x; None for fewer than two points."""
    if len(points) < 2:
        return None
    return round(float(np.polyfit(*np.log(np.array(points, float)).T, 1)[0]), 2)


def link_runs(out: Path, runs: int, systems: int) -> None:
    """Make further runs beside the one of `growth_system`: links to its samples, its latest scores with noise.

    Args:
        out: The folder of runs.
        runs: How many there are to be, that one among them.
        systems: Of how many systems; the seeds are as many as that takes.
    """
    from mmbench.runs.store import SampleStore, read_manifest
    from mmbench.scores.records import Scored, read_records, read_samples, read_score, save_all

    (first,) = out.glob(f"{RUN}s0-*")
    spec, records = read_manifest(first), read_records(first)
    most = max(record.n_expected for record in records)
    scored = [(r, read_score(first, r), read_samples(first, r)) for r in records if r.n_expected == most]
    names = sorted(os.listdir(first / "samples"))
    rng = np.random.default_rng(0)
    for k in range(1, runs):
        seed, number = divmod(k, systems)
        system = f"growth_system+{number}" if number else "growth_system"  # as if guided, so that tables compare them
        about = {**spec.spec, "system": {**spec.spec["system"], "name": system}, "seed": seed}
        store = SampleStore.create(out, replace(spec, system=system, seed=seed, spec=about))
        there = set(os.listdir(store.samples))
        for name in names:
            if name not in there:
                os.link(first / "samples" / name, store.samples / name)
        told = {"run_id": store.run.run_id, "digest": store.run.digest, "system": system, "seed": seed}
        made, rows = [], []
        for record, score, lines in scored:
            values = score.per_sample
            if values is not None:
                values = values + rng.normal(0, 0.1, len(values))
            own = replace(record, value=(record.value or 0.0) * rng.uniform(0.9, 1.1), **told)
            made.append(Scored(store.folder, own, replace(score, value=own.value, per_sample=values)))
            rows.append([{k: v for k, v in line.items() if k not in ("index", "value")} for line in lines])
        save_all(store.folder, made, rows)


def start_up(folder: Path, runs: int, systems: int, samples: int) -> Iterator[Measured]:
    """Commands that only look at a folder of many runs, and one that resumes a finished run in it."""
    known = commands(samples)
    for command in ("generate", "evaluate"):
        measure(command, samples, known[command], folder)
    link_runs(folder / "runs", runs, systems)
    for command in ("list runs", "table", "show", "generate, finished"):
        measure(command, samples, known[command], folder)  # the first look fills the caches of the system
        yield measure(command, samples, known[command], folder)


def draw(found: Sequence[Measured], slopes: dict[str, dict[str, float | None]], path: Path) -> None:
    """Seconds and memory against n, both on logarithmic axes."""
    from matplotlib.figure import Figure

    from mmbench.files import write_whole

    figure = Figure(figsize=(9, 3.8), layout="constrained", dpi=100)
    left, right = figure.subplots(1, 2)
    for command, slopes_of in slopes.items():
        mine = [m for m in found if m.command == command and m.n > START]
        label = f"{command}: {slopes_of['beyond_start'] or '-'}"
        left.loglog([m.n for m in mine], [m.cpu for m in mine], marker="o", markersize=3, label=label)
        right.loglog([m.n for m in mine], [m.peak_mb for m in mine], marker="o", markersize=3)
    left.set(xlabel="samples", title="processor seconds; exponent beyond start")
    right.set(xlabel="samples", title="peak memory [MiB]")
    for axes in (left, right):
        axes.set_xscale("log", base=2)
        axes.grid(alpha=0.3)
    left.legend(fontsize=6)
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_whole(path, picture.getvalue())


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Rows as Markdown."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([str(row[h]) for h in heads] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def tables(told: dict[str, Any]) -> Iterator[str]:
    """What was measured as Markdown: processor seconds and peak memory by size with exponents, then many runs."""
    found = [Measured(**m) for m in told["growth"]]
    for what, exponent in (("cpu", "beyond_start"), ("peak_mb", "peak_mb")) if found else ():
        rows = []
        for command, slopes in told["exponents"].items():
            mine = {str(m.n): getattr(m, what) for m in found if m.command == command}
            names = {"cpu": {"exponent": slopes["cpu"], "beyond start": slopes[exponent]}}
            rows.append({what: command, **mine, **names.get(what, {"exponent": slopes[exponent]})})
        yield table(rows)
    if told["many_runs"]:
        yield table(told["many_runs"])


def main() -> None:
    """Measure, print tables and write JSON, and a picture where matplotlib is installed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=SIZES, help="samples, ascending")
    parser.add_argument("--runs", type=int, default=300, help="of the folder of many runs; 0 leaves it out")
    parser.add_argument("--samples", type=int, default=2048, help="of each of the many runs")
    parser.add_argument("--systems", type=int, nargs="*", default=[10, 300], help="of the many runs; a folder for each")
    parser.add_argument("--folder", type=Path, help="where runs are made for a while; default: a temporary folder")
    parser.add_argument("--out", type=Path, default=Path("growth.json"), help="where the result goes")
    given = parser.parse_args()
    from mmbench.runs.circumstances import machine

    told: dict[str, Any] = {
        "command": ["python", *sys.argv],
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine(),
        "load": [os.getloadavg()],
    }
    growth, many = [], list[dict[str, Any]]()
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        for found in grow([START, *given.sizes] if given.sizes else [], Path(folder)):
            growth.append(found)
            print(found, flush=True)
            save(given.out, told, growth, many)
    for systems in given.systems if given.runs else []:
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            for found in start_up(Path(folder), given.runs, systems, given.samples):
                many.append({"runs": given.runs, "systems": systems, **asdict(found)})
                print(many[-1], flush=True)
                save(given.out, told, growth, many)
    print("\n\n".join(["", *tables(save(given.out, told, growth, many))]))
    if growth and find_spec("matplotlib"):
        draw(growth, exponents(growth), given.out.with_suffix(".png"))


def save(
    out: Path, about: dict[str, Any], growth: Sequence[Measured], many: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """Write what is measured so far, for the largest sizes take long; returns it."""
    from mmbench.files import write_json

    told = about | {"load": [*about["load"][:1], os.getloadavg()], "growth": [asdict(m) for m in growth]}
    told |= {"exponents": exponents(growth), "many_runs": list(many)}
    write_json(out, told, indent=1)
    return told


if __name__ == "__main__":
    main()

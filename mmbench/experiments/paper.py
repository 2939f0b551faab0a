"""A table of the paper filled from records: `mmbench table --paper N`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.sweep.table import SWEPT, _asked, _fits, of_sweep
from mmbench.tables.layout import Layout
from mmbench.tables.paper import SYSTEMS, _of_systems
from mmbench.tables.table import gather


def lay_out(number: str, out: Path, **filters: Any) -> Layout:
    """Table `number` of the paper, filled from the runs or the latest sweep in `out`.

    Args:
        number: "2", "3", "4", "7", "8", "9", "10" or "13".
        out: Folder of runs; sweeps are also looked for in `out/sweep`.
        **filters: Of `mmbench.tables.table.gather`; for a sweep, its dataset, system, num_samples and seed.

    Raises:
        UsageError: Another table.
        MMBenchError: Nothing fits.
    """
    if number in SYSTEMS:
        return _of_systems(number, gather(out, **filters))
    if number not in SWEPT:
        known = ", ".join(sorted({*SYSTEMS, *SWEPT}, key=int))
        raise UsageError(f"Table {number} cannot be filled from records of runs.", f"one of {known}", "--paper 2")
    files = [file for folder in (out, out / "sweep") for file in folder.glob(f"{SWEPT[number]}-*.jsonl")]
    fitting = [file for file in files if _fits(_asked(file), **filters)]
    if not fitting:
        found = f"No sweep of {SWEPT[number]} in {out} fits."
        raise MMBenchError(
            found, f"the --out folder of mmbench sweep {SWEPT[number]}", f"mmbench sweep {SWEPT[number]}"
        )
    return of_sweep(max(fitting, key=lambda file: str(_asked(file)["time"])))

"""A table of the paper filled from records of runs: `mmbench table --paper N`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.experiments.sweep.table import SWEPT, find_sweeps, fits_filters, lay_out_sweep
from mmbench.tables.layout import Layout
from mmbench.tables.paper import SYSTEMS, lay_out_systems
from mmbench.tables.paper_notes import read_entries
from mmbench.tables.published import published
from mmbench.tables.table import gather


def lay_out(number: str, out: Path, **filters: Any) -> Layout:
    """A table of the paper, filled from the runs or the latest sweep in `out`.

    Args:
        number: "2", "3", "4", "7", "8", "9", "10" or "13", or the name of a sweep: "figure5". No record of a run fills
            the others: `mmbench.experiments.published.gather`.
        out: Folder of runs, or a packed file; in a folder, sweeps are also looked for in `out/sweep`.
        **filters: Of `mmbench.tables.table.gather`; for a sweep, its dataset, systems, num_samples and seed.

    Raises:
        UsageError: Another table.
        MMBenchError: Nothing fits.
    """
    if number in SYSTEMS:
        return lay_out_systems(number, gather(out, none_is_fine=True, **filters))
    settings = {table: entry.command for entry in read_entries() if entry.holds_settings for table in entry.tables}
    if number in settings:
        raise UsageError(f"Table {number} holds settings, no results.", "a table of results", settings[number])
    name = SWEPT.get(number, number)
    if name not in GRIDS:
        numbers = sorted(published(), key=int)
        curves = [name for name, grid in GRIDS.items() if not grid.published]
        known = ", ".join([*numbers, *curves, "all"])
        raise UsageError(
            f"Table {number} cannot be filled from records of runs.", f"one of {known}", "mmbench table --paper 2"
        )
    fitting = [sweep for sweep in find_sweeps(out, name) if fits_filters(sweep.log.request, **filters)]
    if not fitting:
        found = f"No sweep of {name} in {out} fits."
        raise MMBenchError(found, f"the --out folder of mmbench sweep {name}", f"mmbench sweep {name}")
    return lay_out_sweep(max(fitting, key=lambda sweep: sweep.log.request.time))

"""A table of the paper filled from records: `mmbench table --paper N`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.experiments.sweep.table import SWEPT, find_sweeps, fits_filters, lay_out_sweep
from mmbench.tables.layout import Layout, Row
from mmbench.tables.paper import SYSTEMS, lay_out_systems
from mmbench.tables.published import published
from mmbench.tables.table import gather

COMMANDS = {  # tables that no record of a run fills, and what measures ours
    "1": "mmbench toy --seeds 5",
    "11": "mmbench profile training -s mm_diffusion -s audioldm_animatediff -s auffusion_vc2",
    "12": "mmbench profile inference -s mm_diffusion -s audioldm_animatediff -s auffusion_vc2",
    "14": "mmbench study make auffusion_vc2-vggsound auffusion_vc2+mmdisco-vggsound",
}
SETTINGS = {"5": "mmbench toy --help", "6": "mmbench show auffusion_vc2"}  # tables of settings, and what shows ours


def lay_out(number: str, out: Path, **filters: Any) -> Layout:
    """A table of the paper, filled from the runs or the latest sweep in `out`.

    Args:
        number: "2", "3", "4", "7", "8", "9", "10" or "13", or the name of a sweep: "figure5". Of "1", "11", "12" and
            "14" the printed numbers, with the command that measures ours.
        out: Folder of runs, or a packed file; in a folder, sweeps are also looked for in `out/sweep`.
        **filters: Of `mmbench.tables.table.gather`; for a sweep, its dataset, systems, num_samples and seed.

    Raises:
        UsageError: Another table.
        MMBenchError: Nothing fits.
    """
    if number in SYSTEMS:
        return lay_out_systems(number, gather(out, none_is_fine=True, **filters))
    if number in COMMANDS:
        return _lay_out_printed(number)
    if number in SETTINGS:
        raise UsageError(f"Table {number} holds settings, no results.", "a table of results", SETTINGS[number])
    name = SWEPT.get(number, number)
    if name not in GRIDS:
        numbers = sorted({*SYSTEMS, *SWEPT, *COMMANDS}, key=int)
        curves = [name for name, grid in GRIDS.items() if not grid.published]
        known = ", ".join([*numbers, *curves])
        raise UsageError(
            f"Table {number} cannot be filled from records of runs.", f"one of {known}", "mmbench table --paper 2"
        )
    fitting = [sweep for sweep in find_sweeps(out, name) if fits_filters(sweep.log.request, **filters)]
    if not fitting:
        found = f"No sweep of {name} in {out} fits."
        raise MMBenchError(found, f"the --out folder of mmbench sweep {name}", f"mmbench sweep {name}")
    return lay_out_sweep(max(fitting, key=lambda sweep: sweep.log.request.time))


def _lay_out_printed(number: str) -> Layout:
    """The printed numbers of a table that is filled elsewhere, with the command for ours."""
    table = published()[number]
    keys = [name for name, cell in zip(table["columns"], table["rows"][0], strict=True) if isinstance(cell, str)]
    rows = []
    for printed in table["rows"]:
        cells = dict(zip(table["columns"], printed, strict=True))
        values = {k: v[0] if isinstance(v, list) else v for k, v in cells.items() if k not in keys}
        rows.append(Row({k: cells[k] for k in keys}, [], values))
    notes = [*([table["note"]] if "note" in table else []), f"Ours: {COMMANDS[number]}"]
    return Layout(rows, f"Table {number}: {table['title']}", notes, first=keys)

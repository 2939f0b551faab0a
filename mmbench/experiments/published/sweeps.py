"""Tables 7 to 10 and Figure 5 from sweeps: those of the published setting beside, any other one as a miniature."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.dataset_names import published_name
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.experiments.published.systems import holds, why_unlike
from mmbench.experiments.sweep.curves import list_points
from mmbench.experiments.sweep.grids import GRIDS, Grid
from mmbench.experiments.sweep.log import Asked
from mmbench.experiments.sweep.table import SWEPT, SweepOnRecord, find_sweeps, fits_filters, lay_out_sweep
from mmbench.runs.find import name_out
from mmbench.tables.beside_printed import Line, Ours, PaperTable, make_line, printed_cells
from mmbench.tables.layout import Layout, MetricCell
from mmbench.tables.paper_notes import Entry, entry_of


@dataclass(frozen=True)
class FoundSweep:
    """A sweep that fits, and where it lies."""

    sweep: SweepOnRecord
    place: Path

    @property
    def asked(self) -> Asked:
        """What it was asked for."""
        return self.sweep.log.request

    @property
    def departs(self) -> list[str]:
        """What of its setting is not the published one; [] for the paper's own experiment."""
        return depart(self.asked, GRIDS[self.asked.table])

    @property
    def name(self) -> str:
        """Who, on what, how many, and how it departs from the published setting."""
        a = self.asked
        return "; ".join([f"{a.system} on {a.dataset}, n = {a.n}, seed {a.seed}", *self.departs])


def find_swept(places: Sequence[Path], name: str, **filters: Any) -> list[FoundSweep]:
    """The sweeps of a grid in folders of runs and packed files, the newest first."""
    found = [FoundSweep(sweep, place) for place in places for sweep in find_sweeps(place, name)]
    fitting = {f.sweep.log.name: f for f in reversed(found) if f.sweep.log.asked and fits_filters(f.asked, **filters)}
    return sorted(fitting.values(), key=lambda f: f.asked.time, reverse=True)


def depart(asked: Asked, grid: Grid) -> list[str]:
    """How the setting of a sweep departs from the published one, in words.

    Args:
        asked: What it was asked for.
        grid: The published setting.
    """
    if (asked.system, published_name(asked.dataset)) != (grid.system, grid.dataset):
        return [f"the paper has {grid.system} on {grid.dataset}"]
    plain: dict[str, Any] = {"weights": "real", "options": [], "num_real": None, "num_fake": grid.num_fake}
    found = [f"{k} {asked.settings[k]}" for k, v in plain.items() if asked.settings.get(k, v) != v]
    given = {k: v for k, v in asked.settings.get("training", {}).items() if v is not None}
    return found + [f"{k} {v}" for k, v in given.items() if grid.training.get(k) != v]


def fill_sweep(table: str, places: Sequence[Path], **filters: Any) -> PaperTable:
    """A table that trains discriminators; the newest sweep of the published setting stands beside.

    Args:
        table: "7", "8", "9" or "10".
        places: Folders of runs, or packed files.
        **filters: Of `fits_filters`.
    """
    entry, name = entry_of(table), SWEPT[table]
    found = find_swept(places, name, **filters)
    published = [f for f in found if not f.departs]
    notes = [f"An older sweep of the same setting is not beside: {f.sweep.log.name}." for f in published[1:]]
    layout = Layout([])
    miniatures: list[Layout] = []
    for f in [*published[:1], *(f for f in found if f.departs)]:
        try:
            laid_out = lay_out_sweep(f.sweep)
        except IntegrityError:
            raise
        except MMBenchError as error:
            notes.append(f"{f.sweep.log.name} is not shown: {error.found}")
            continue
        if f.departs:
            miniatures.append(laid_out)
            command = shlex.join(["mmbench", "table", "--paper", table, *name_out(f.place)])
            notes.append(f"In miniature, not the paper's experiment ({f.name}): {command}")
        else:
            layout = laid_out
    lines = _make_lines(table, entry, layout, published[0] if published else None)
    return PaperTable(table, entry, lines, notes, miniatures)


def _make_lines(table: str, entry: Entry, layout: Layout, found: FoundSweep | None) -> list[Line]:
    """The printed rows, in the order of the grid, which has two rows for one that is printed with a wrong L."""
    grid = GRIDS[SWEPT[table]]
    rows = {row.labels["row"]: row for row in layout.table}
    lines = []
    for row in grid.rows:
        printed = dict(printed_cells(table, len(row.published))[row.published])
        size = printed.pop("params", "")
        label = f"{row.label}, {size}" if size else row.label
        made = rows.get(row.label)
        for column, cell in printed.items():
            mine = [c for c in made.cells if holds(column, c.metric)] if made else []
            ours = _number(mine[0], made.labels, entry, found) if mine and made and found else None
            lines.append(make_line(entry, table, label, column, cell, ours))
    return lines


def _number(cell: MetricCell, labels: Any, entry: Entry, found: FoundSweep) -> Ours:
    several = f", {labels['trainings']} trainings" if (labels.get("trainings") or 1) > 1 else ""
    unlike = why_unlike(cell.records[0].reference is not None, found.asked.n, entry)
    unlike = f"{cell.networks} networks, no quality" if cell.networks else unlike
    return Ours(cell.number, cell.count + several, found.sweep.log.name, unlike)


def find_curves(places: Sequence[Path]) -> tuple[list[tuple[FoundSweep, list[dict[str, Any]]]], list[str]]:
    """The sweeps of Figure 5 that have points, those of the published setting first, and notes on others.

    Returns:
        Each sweep with its points, as `list_points` gives them; and why a sweep is not shown.
    """
    found, notes = [], []
    for f in find_swept(places, "figure5"):
        try:
            points = list_points(f.sweep)
        except IntegrityError:
            raise
        except MMBenchError as error:
            notes.append(f"{f.sweep.log.name} is not shown: {error.found}")
            continue
        found += [(f, points)] if points else []
    return sorted(found, key=lambda pair: bool(pair[0].departs)), notes

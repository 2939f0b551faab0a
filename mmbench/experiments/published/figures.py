"""Figures 2 to 7 of the paper from what is on record: pictures of the toy, a sweep's course, samples of runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmbench.dataset_names import published_name
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.experiments.published.sweeps import find_curves
from mmbench.experiments.published.toy import SIGMA, find_toy_folders
from mmbench.experiments.sweep.grids import GRIDS
from mmbench.report.paper_figures import CurveSet, PaperFigure, Picture, draw_curves, make_sheet
from mmbench.tables.paper import SYSTEMS
from mmbench.tables.paper_notes import Entry, read_entries
from mmbench.tables.published import published
from mmbench.tables.runs import RunOnRecord, read_runs
from mmbench.types import is_untrained

TOY = {"2": "ind", "4": "ood"}  # the setting that a figure shows
ROWS = {"3": (0, 3), "6": (0, 4), "7": (3, 5)}  # samples of ours: the first, and how many


def gather_figures(places: Sequence[Path]) -> list[PaperFigure]:
    """The figures in their order; without pictures where nothing is on record.

    Args:
        places: Of `mmbench.experiments.published.gather.open_places`.
    """
    figures = []
    for entry in read_entries():
        for number in entry.figures:
            if number in TOY:
                figures.append(_show_toy(number, entry, places))
            elif number in ROWS:
                figures.append(_show_samples(number, entry, places))
            else:
                figures.append(_show_course(number, entry, places))
    return sorted(figures, key=lambda figure: int(figure.number))


def _show_toy(number: str, entry: Entry, places: Sequence[Path]) -> PaperFigure:
    name = f"figure{number}_{TOY[number]}_sigma{SIGMA:g}.png"
    files = [file for folder in find_toy_folders(places) if (file := folder / name).is_file()]
    pictures = [Picture(f"Ours, sigma {SIGMA:g}: {file.name}", file.read_bytes()) for file in files[:1]]
    return PaperFigure(number, entry, pictures)


def _show_course(number: str, entry: Entry, places: Sequence[Path]) -> PaperFigure:
    found_curves, notes = find_curves(places)
    sets = [
        CurveSet(found.name, GRIDS[found.asked.table].axis, draw_curves(points), bool(found.departs))
        for found, points in found_curves
    ]
    return PaperFigure(number, entry, curve_sets=[s for s in sets if s.curves], notes=notes)


def _show_samples(number: str, entry: Entry, places: Sequence[Path]) -> PaperFigure:
    """Contact sheets of the published pairs beside their guided forms, a sheet for each dataset, seed and pair."""
    (table,) = entry.tables
    printed = {str(cell) for row in published()[table]["rows"] for cell in row if isinstance(cell, str)}
    pairs = {name.partition("+")[0] for name in printed if "+" in name}
    groups: dict[tuple[str, int, str], dict[str, RunOnRecord]] = {}
    for run in read_runs(*(place for place in places if place.is_dir())):
        spec, pair = run.spec, run.spec.system.partition("+")[0]
        wanted = published_name(spec.dataset) in SYSTEMS[table].values() and pair in pairs
        if wanted and not is_untrained(spec.weights) and (run.place / "samples").is_dir():
            groups.setdefault((spec.dataset, spec.seed, pair), {})[spec.system] = run
    pictures, notes = [], []
    for (dataset, seed, pair), runs in sorted(groups.items()):
        chosen = [runs[system] for system in sorted(runs)]
        try:
            sheet = make_sheet([run.place for run in chosen], *ROWS[number], chosen[0].home)
        except IntegrityError:
            raise
        except MMBenchError as error:
            notes.append(f"No samples of {pair} on {dataset}: {error.found}")
            continue
        if sheet is not None:
            pictures.append(Picture(f"Ours: {', '.join(sorted(runs))} on {dataset}, seed {seed}", sheet))
    return PaperFigure(number, entry, pictures, notes=notes)

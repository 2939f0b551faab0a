"""Tables of the paper (arXiv 2405.17842) that compare systems, filled with our records, the published numbers beside.

Any folder of runs fills Tables 2, 3, 4 and 13. Tables 7 to 10 compare trainings of a discriminator, whose systems share
a name: `mmbench.experiments.sweep.table` fills them from the file of a sweep.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmbench.dataset_names import published_name
from mmbench.errors import MMBenchError
from mmbench.scores.records import Record
from mmbench.tables.borrowed import find_owners, note_borrowed
from mmbench.tables.floors import note_falling
from mmbench.tables.layout import Layout, Row, check_columns, make_cell, owners_of, select_published
from mmbench.tables.published import published

SYSTEMS = {  # datasets of tables of systems, by what a row calls them; "" where a table has one
    "2": {"landscape": "landscape_ind", "aistpp": "aistpp"},
    "3": {"": "landscape"},
    "4": {"": "vggsound"},
    "13": {"": "vggsound"},
}
RELEASE = "-release"  # what a released discriminator is asked for by, after the name of the guided pair
RELEASED = "+mmdisco-release: the released discriminator; its size, and maybe its training, are not the printed ones'."


def lay_out_systems(number: str, records: Sequence[Record]) -> Layout:
    """A table of the paper with its systems in its order, then others that were run on its datasets.

    A pair guided by its released discriminator stands below the same pair guided by one trained here, both beside the
    numbers printed for that pair with MMDisCo.

    Args:
        number: A key of SYSTEMS.
        records: Of any runs; those on other datasets are left out.

    Raises:
        MMBenchError: A system has several runs with one metric, or a column would mix what does not compare.
    """
    table = published()[number]
    datasets = SYSTEMS[number]
    wanted = [r for r in records if _dataset_name(r) in datasets.values()]
    by_place = _by_place(wanted)
    metrics = list(dict.fromkeys(r.metric for r in wanted))
    rows = []
    for printed, dataset in datasets.items():
        key = (printed,) if printed else ()
        in_paper = [row[len(key)] for row in table["rows"] if not key or row[0] == printed]
        others = sorted(system for d, system in by_place if d == dataset and system not in in_paper)
        for system, as_printed in _place_released(in_paper, others):
            found = by_place.get((dataset, system), {})
            mine = [found[metric] for metric in metrics if metric in found]
            cells = [make_cell([r], same_as=_owner_of(r, wanted)) for r in mine]
            paper = select_published(number, (*key, as_printed), metrics or table["columns"])
            rows.append(Row({"dataset": dataset, "system": system}, cells, paper))
    check_columns(wanted)
    missing = [f"Not on record here: {' and '.join(sorted(set(datasets.values())))}."] if not wanted else []
    released = [RELEASED] if any(str(row.labels["system"]).endswith(RELEASE) for row in rows) else []
    notes = [*missing, *released, *note_borrowed(owners_of(rows)), *note_falling(wanted)]
    return Layout(rows, f"Table {number}: {table['title']}", notes)


def _place_released(in_paper: Sequence[str], others: Sequence[str]) -> list[tuple[str, str]]:
    """Systems from above to below, each with the printed system whose numbers stand beside it."""
    released = {system: system + RELEASE for system in in_paper if system + RELEASE in others}
    placed = []
    for system in in_paper:
        placed.append((system, system))
        if system in released:
            placed.append((released[system], system))
    return placed + [(system, system) for system in others if system not in released.values()]


def _dataset_name(record: Record) -> str:
    return published_name(record.dataset)


def _owner_of(record: Record, records: Sequence[Record]) -> str:
    column = [r for r in records if (r.dataset, r.metric) == (record.dataset, record.metric)]
    return find_owners(column)[column.index(record)]


def _by_place(records: Sequence[Record]) -> dict[tuple[str, str], dict[str, Record]]:
    """Records by dataset and system, then by metric."""
    by_place: dict[tuple[str, str], dict[str, Record]] = {}
    for r in records:
        by_metric: dict[Any, Record] = by_place.setdefault((_dataset_name(r), r.system), {})
        if r.metric in by_metric:
            found = f"{r.system} has several runs with {r.metric} (n, seed or spec differ)."
            raise MMBenchError(found, "one run per system", "--num-samples N, --seed K, or another --out")
        by_metric[r.metric] = r
    return by_place

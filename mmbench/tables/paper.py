"""Tables of the paper (arXiv 2405.17842) filled with our records, the published numbers beside them.

Tables 2, 3, 4 and 13 compare systems: any folder of runs fills them. Tables 7 to 10 compare trainings of a
discriminator, whose systems share a name: the file of a sweep says which run belongs to which row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.scores.records import Record
from mmbench.tables.layout import Layout, _check, _columns, _fill, _heading, _paper
from mmbench.tables.published import published
from mmbench.tables.table import notes, value_text

SYSTEMS = {  # datasets of tables of systems, by what a row calls them; "" where a table has one
    "2": {"landscape": "landscape_ind", "aistpp": "aistpp"},
    "3": {"": "landscape"},
    "4": {"": "vggsound"},
    "13": {"": "vggsound"},
}


def _of_systems(number: str, records: Sequence[Record]) -> Layout:
    """The paper's systems in its order, then others that were run on its datasets."""
    table = published()[number]
    datasets = SYSTEMS[number]
    wanted = [r for r in records if r.dataset.partition(":")[0] in datasets.values()]
    by_place: dict[tuple[str, str], dict[str, Record]] = {}
    for r in wanted:
        by_metric = by_place.setdefault((r.dataset.partition(":")[0], r.system), {})
        if r.metric in by_metric:
            found = f"{r.system} has several runs with {r.metric} (n, seed or spec differ)."
            raise MMBenchError(found, "one run per system", "--num-samples N, --seed K, or another --out")
        by_metric[r.metric] = r
    metrics = list(dict.fromkeys(r.metric for r in wanted))
    rows = []
    for printed, dataset in datasets.items():
        key = (printed,) if printed else ()
        in_paper = [row[len(key)] for row in table["rows"] if not key or row[0] == printed]
        others = sorted(system for d, system in by_place if d == dataset and system not in in_paper)
        for system in (*in_paper, *others):
            shown: dict[str, Any] = {"dataset": dataset, "system": system, "numbers": {}}
            for metric in metrics:
                record = by_place.get((dataset, system), {}).get(metric)
                _fill(shown, metric, [record] if record else [])
                if record is not None:
                    column = [r for r in wanted if (r.dataset, r.metric) == (record.dataset, metric)]
                    shown[_heading(record)] = value_text(record, column)
            rows.append(shown | _paper(number, (*key, system), metrics or table["columns"]))
    _check(wanted)
    missing = [f"Not on record here: {' and '.join(sorted(set(datasets.values())))}."] if not wanted else []
    return Layout(rows, _columns(rows), f"Table {number}: {table['title']}", [*missing, *notes(rows)])

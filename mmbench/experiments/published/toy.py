"""Table 1 from the records of `mmbench toy`, of the published setting alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.files import read_lines
from mmbench.tables.beside_printed import Line, Ours, PaperTable, make_line, printed_cells
from mmbench.tables.layout import Number
from mmbench.tables.paper_notes import entry_of

SIGMA = 0.25  # that of the printed numbers
FIELDS = ("setting", "sigma", "method", "seed", "nll", "config")  # by which a file of the toy is known


def find_toy_folders(places: Sequence[Path]) -> list[Path]:
    """The folders of records and figures of `mmbench toy` among places, or in their folder `toy`."""
    folders = [folder for place in places if place.is_dir() for folder in (place, place / "toy")]
    return [folder for folder in folders if (folder / "records.jsonl").is_file() and _read(folder / "records.jsonl")]


def fill_toy(places: Sequence[Path]) -> PaperTable:
    """Table 1: means over seeds of records with the default configuration, at the sigma of the printed numbers."""
    entry = entry_of("1")
    folders = find_toy_folders(places)
    records = [record for folder in folders for record in _read(folder / "records.jsonl")]
    kept, left_out = _split(records)
    rows = {(row["setting"], row["method"]): row for row in _average(kept)}
    lines: list[Line] = []
    for key, printed in printed_cells("1", 2).items():
        setting, method = map(str, key)
        row = rows.get((setting.lower(), method))
        ours = None
        if row is not None:
            number = Number(row["nll"], row["nll_stderr"])
            ours = Ours(number, f"{row['seeds']} seed{'s' * (row['seeds'] > 1)}", str(folders[0] / "records.jsonl"))
        lines += [make_line(entry, "1", f"{setting}, {method}", "nll", cell, ours) for cell in printed.values()]
    beyond = f"Not beside, {left_out} records of `mmbench toy` with another sigma, base model, sampler or training."
    return PaperTable("1", entry, lines, [beyond] if left_out else [])


def _read(file: Path) -> list[dict[str, Any]]:
    """The records of a file of the toy; [] for another file of that name."""
    found = read_lines(file, "mmbench toy")
    return found if all(set(FIELDS) <= set(record) for record in found) else []


def _split(records: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Records of the published setting, the last of each seed, and how many others there are."""
    if not records:
        return [], 0
    from mmbench.mmdisco.toy.config import ToyConfig
    from mmbench.mmdisco.toy.table import SOURCE

    usual = vars(ToyConfig())
    fitting = [
        r
        for r in records
        if r["sigma"] == SIGMA and r["config"] == usual and all(r.get(k) in (None, v) for k, v in SOURCE.items())
    ]
    latest = {(r["setting"], r["method"], r["seed"]): r for r in fitting}
    return list(latest.values()), len(records) - len(fitting)


def _average(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    if not records:
        return []
    from mmbench.mmdisco.toy.table import lay_out_table

    return lay_out_table(records)

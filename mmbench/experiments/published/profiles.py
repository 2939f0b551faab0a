"""Tables 11 and 12 from profile.jsonl: rounds on the paper's kind of GPU beside, those of other machines named."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.experiments.profiling.columns import DATASETS, DTYPES, PERCENT, TABLES, columns_of_rounds
from mmbench.files import read_lines
from mmbench.tables.beside_printed import Ours, PaperTable, make_line
from mmbench.tables.layout import Number
from mmbench.tables.paper_notes import entry_of
from mmbench.tables.published import published

GPU, BATCH = "H100", 8  # of the printed seconds


def fill_profile(table: str, places: Sequence[Path]) -> PaperTable:
    """A table of seconds; of each system the newest profile on the published kind of machine.

    Args:
        table: "11" or "12".
        places: Folders that may hold profile.jsonl.
    """
    entry, printed = entry_of(table), published()[table]
    what = next(name for name, number in TABLES.items() if number == table)
    files = [file for place in places if (file := place / "profile.jsonl").is_file()]
    found = [
        (record, file) for file in files for record in read_lines(file, "mmbench profile") if record.get("what") == what
    ]
    newest: dict[str, tuple[dict[str, Any], Path]] = {}
    left_out: dict[str, None] = {}
    for record, file in sorted(found, key=lambda pair: str(pair[0]["time"])):
        base = str(record["system"]).partition("+")[0]
        if why := _why_left_out(record, base):
            left_out[f"Not beside, {record['system']} in {file}: {why}."] = None
        else:
            newest[base] = record, file
    lines = []
    for quantity, *cells in printed["rows"]:
        for system, cell in zip(printed["columns"][1:], cells, strict=True):
            ours = _number(*newest[system], quantity) if system in newest else None
            lines.append(make_line(entry, table, quantity, system, cell, ours))
    return PaperTable(table, entry, lines, list(left_out))


def _why_left_out(record: dict[str, Any], base: str) -> str:
    """What makes a profile another one than the paper's; "" for its own."""
    if base not in DATASETS:
        return "the paper has no such system"
    if record.get("dataset") not in (None, DATASETS[base]):
        return f"clips of {record['dataset']}, not {DATASETS[base]}"
    machine, resolved = record.get("machine") or {}, record.get("resolved") or {}
    gpus = [str(gpu) for gpu in machine.get("gpu") or []]
    if not any(GPU in gpu for gpu in gpus):
        return f"on {gpus[0] if gpus else machine.get('cpu', 'another machine')}, not one {GPU}"
    if record["batch"] != BATCH:
        return f"batches of {record['batch']}, not {BATCH}"
    plain = {"sizes": {}, "options": [], "cpu_time": False, "loss": "all", "discriminator": "res_mlp"}
    plain |= {"checkpointing": "auto", "dtype": resolved.get("dtype") and DTYPES.get(base, "float32")}
    other = [f"{name} {resolved[name]}" for name, value in plain.items() if resolved.get(name, value) != value]
    return ", ".join(other)


def _number(record: dict[str, Any], file: Path, quantity: str) -> Ours | None:
    """The mean over rounds with its standard error, in percent where the paper prints percent."""
    rounds = columns_of_rounds(record).get(quantity)
    if not rounds:
        return None
    scale = 100.0 if quantity in PERCENT else 1.0
    error = statistics.stdev(rounds) / math.sqrt(len(rounds)) if len(rounds) > 1 else None
    number = Number(scale * statistics.mean(rounds), None if error is None else scale * error)
    return Ours(number, f"{len(rounds)} rounds", str(file))

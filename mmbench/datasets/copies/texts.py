"""Texts of a user's videos: prompts in a folder of clips, captions of a dataset's copy."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from mmbench.datasets.copies.text_files import read_csv
from mmbench.errors import UsageError
from mmbench.regular_files import why_irregular


def read_prompts(folder: Path, table: Path | None = None) -> dict[str, str]:
    """Prompts by file name from the folder's only CSV file, if it has one.

    Args:
        folder: Of clips.
        table: A CSV file elsewhere, that may name files of other folders, too.

    Raises:
        UsageError: Several tables, wrong columns, a file named twice, or files that are not there.
    """
    if table is not None and (why := why_irregular(table)):
        raise UsageError(f"{table} {why}.", "a CSV file with columns file,prompt", f"ls {table.parent}")
    tables = sorted(folder.glob("*.csv")) if table is None else [table]
    if len(tables) > 1:
        raise UsageError(f"{folder} holds {len(tables)} tables: {', '.join(t.name for t in tables)}.", "one CSV file")
    if not tables:
        return {}
    columns, rows = read_csv(tables[0])
    if not {"file", "prompt"} <= set(columns):
        raise UsageError(f"{tables[0]} has the columns {columns}.", "file,prompt", "add a first line: file,prompt")
    pairs = [(row.get("file", ""), row.get("prompt", "").strip()) for row in rows]
    names = Counter(name for name, _ in pairs)
    twice = [name for name in names if names[name] > 1]
    missing = [name for name in names if not (folder / name).is_file()]
    if table is not None and len(missing) < len(names):
        pairs, missing = [pair for pair in pairs if pair[0] not in missing], []
    if twice:
        raise UsageError(f"{tables[0]} names {twice[0]} {names[twice[0]]} times.", "each file once")
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise UsageError(f"{tables[0]} names {missing[0]}{more}, not in {folder}.", "files beside the table")
    return dict(pairs)


CAPTIONS = "captions.csv"


def read_captions(root: Path) -> dict[str, str]:
    """Captions by path below the root; none without a table.

    Raises:
        UsageError: It has other columns than file and caption.
    """
    table = root / CAPTIONS
    if not os.path.lexists(table):
        return {}
    columns, rows = read_csv(table)
    if not {"file", "caption"} <= set(columns):
        found = f"{table} has the columns {columns}."
        raise UsageError(found, "file,caption", "add a first line: file,caption")
    return {row.get("file", ""): row.get("caption", "").strip() for row in rows}

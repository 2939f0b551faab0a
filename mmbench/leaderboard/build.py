"""`mmbench leaderboard build`: a board's page and its rows; the same board gives the same bytes.

SITE/index.html            rankings by setting, each protocol with its intervals
SITE/rows.json, rows.csv   a row per entry
SITE/protocols/NAME.json   the rows of one protocol
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.files import write_whole
from mmbench.leaderboard.page import METHOD, render_page
from mmbench.leaderboard.ranking import Ranking
from mmbench.leaderboard.rows import guard_formulas, to_rows
from mmbench.markup import write_csv

FORMAT_VERSION = 2  # raised when the fields of rows change
PAGE, ROWS, TABLE, PROTOCOLS = "index.html", "rows.json", "rows.csv", "protocols"


def build(rankings: Sequence[Ranking], site: Path, title: str) -> list[dict[str, Any]]:
    """Write a leaderboard's site; files of an earlier one in the folder are replaced.

    Args:
        rankings: Of all protocols of the board.
        site: Where it goes.
        title: Of the page.

    Returns:
        What was written, rows of file and what.

    Raises:
        MMBenchError: The folder cannot be written.
    """
    rows = to_rows(rankings)
    files: dict[str, str] = {f"{PROTOCOLS}/{r.protocol.file_name}": _as_json(to_rows([r])) for r in rankings}
    files |= {ROWS: _as_json(rows), TABLE: write_csv(list(rows[0]), [guard_formulas(row) for row in rows]) + "\n"}
    files[PAGE] = render_page(rankings, title)  # last: it names the others
    try:
        (site / PROTOCOLS).mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            write_whole(site / name, text.encode())
        for file in (site / PROTOCOLS).iterdir():  # of protocols that are on the board no longer
            if re.fullmatch(r".*-n\d+-[0-9a-f]{12}\.json", file.name) and f"{PROTOCOLS}/{file.name}" not in files:
                file.unlink()
    except OSError as error:
        raise MMBenchError(
            f"Cannot write to {site}: {error.strerror}.", "a folder you may write", "--to SITE"
        ) from error
    return [
        {"file": str(site / PAGE), "what": f"{len(rows)} numbers, {len(rankings)} protocols"},
        {"file": str(site / ROWS), "what": f"the same for programs; also {TABLE}"},
        {"file": str(site / PROTOCOLS), "what": "the rows of each protocol"},
    ]


def _as_json(rows: Sequence[dict[str, Any]]) -> str:
    whole = {"format": FORMAT_VERSION, "method": METHOD, "rows": list(rows)}
    return json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"

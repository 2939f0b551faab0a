"""A leaderboard for programs: a row for each entry, with the fields of its protocol."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mmbench.leaderboard.ranking import Ranking, Row

FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet takes a cell for a formula by


def to_rows(rankings: Sequence[Ranking]) -> list[dict[str, Any]]:
    """Rows in the order of the page; numbers are numbers, what is undefined is None."""
    return [_row(ranking, row) for ranking in rankings for row in ranking.rows]


def _row(ranking: Ranking, row: Row) -> dict[str, Any]:
    author, r = row.entry.author, row.entry.record
    return {
        **ranking.protocol.to_json(),
        "team": author.team,
        "system": r.system,
        "version": author.version,
        "rank_first": row.first,
        "rank_last": row.last,
        "num_ranked": ranking.num_ranked,
        "not_ranked": row.why or None,
        "excess": r.excess,
        "excess_stderr": r.excess_stderr,
        "excess_low": r.excess_low,
        "excess_high": r.excess_high,
        "value": r.value,
        "stderr": r.stderr,
        "low": r.low,
        "high": r.high,
        "shuffled": r.baseline,
        "shuffled_stderr": r.baseline_stderr,
        "n_scored": r.n_scored,
        "n_unscored": r.n_unscored,
        "n_failed": r.n_failed,
        "n_missing": r.n_missing,
        "weights": r.weights,
        "lossy": r.lossy,
        "fitted": r.fitted,
        "optimised_for": r.optimised_for or None,
        "video_of": r.video_of or None,
        "warnings": None if r.warnings is None else sorted(r.warnings),
        "link": author.link or None,
        "licence": author.licence,
        "date": author.date,
        "scored": r.time,
        "mmbench": author.mmbench,
        "run": r.run_id,
        "run_digest": r.digest,
        "clips": row.entry.clips,
        "with_samples": row.entry.samples is not None,
        "submission": row.entry.origin,
    }


def guard_formulas(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose texts no spreadsheet takes for formulas: an apostrophe leads those that begin like one."""
    return {k: f"'{v}" if isinstance(v, str) and v.startswith(FORMULA) else v for k, v in row.items()}

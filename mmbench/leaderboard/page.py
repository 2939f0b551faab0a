"""What a leaderboard's page shows, as plain data: rankings by setting, with places of intervals in drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from mmbench.leaderboard.protocol import Protocol
from mmbench.leaderboard.ranking import CONTROL, OPTIMISED, Ranking, Row
from mmbench.leaderboard.submission import Entry
from mmbench.pages.axis import Axis, axis_of
from mmbench.pages.render import render
from mmbench.scores.records import Record
from mmbench.tables.floors import is_at_floor
from mmbench.tables.format import count_text, list_warnings, record_row, with_error
from mmbench.tables.marks import AT_FLOOR, short_names
from mmbench.tables.marks import OPTIMISED as CHOSEN
from mmbench.types import is_untrained

TEMPLATES = Path(__file__).parent / "data"
METHOD = (
    "A rank is an interval: after all systems that are surely better, before all that are surely worse. Sure is what "
    "Holm's method leaves over all ordered pairs of a protocol, of one-sided tests: sample by sample where both sent "
    "the same samples, else Welch's of values and standard errors, which takes them for independent. All intervals of "
    "a protocol hold the true ranks at once with 95 % probability (after Mogstad, Romano, Shaikh & Wilhelm 2024)."
)


def render_page(rankings: Sequence[Ranking], title: str) -> str:
    """The page of a leaderboard as HTML."""
    entries = [row.entry for ranking in rankings for row in ranking.rows]
    groups = [list(group) for _, group in groupby(rankings, lambda ranking: ranking.protocol.setting)]
    return render(
        TEMPLATES,
        "leaderboard.html",
        title=title,
        systems=len({(e.author.team, e.record.system) for e in entries}),
        teams=len({e.author.team for e in entries}),
        latest=max(e.author.date for e in entries),
        method=METHOD,
        marks=_explain_marks(entries),
        settings=[_setting(group) for group in groups],
    )


def _explain_marks(entries: Sequence[Entry]) -> list[str]:
    notes = [
        "No rank: controls, which are made of real clips; incomplete runs; all but the newest version of a system."
    ]
    if any(e.record.optimised_for for e in entries):
        notes.append(f"{CHOSEN} no rank: the samples were chosen or guided by this metric or its networks.")
    if any(is_at_floor(e.record, ()) for e in entries):
        notes.append(f"{AT_FLOOR} not above what as many real clips would score: no evidence of quality.")
    return notes


def _setting(rankings: Sequence[Ranking]) -> dict[str, Any]:
    """A setting: its table of ranks, a row per system, and its rankings."""
    setting = rankings[0].protocol.setting
    short = _short(rankings)
    systems = {row.entry.key: row.entry for ranking in rankings for row in ranking.rows}
    places = [{row.entry.key: row for row in ranking.rows} for ranking in rankings]

    def order(
        key: tuple[str, str, str],
    ) -> tuple[object, ...]:  # as the first metric ranks them: there is no rank over metrics
        rank = _rank_order(places[0][key]) if key in places[0] else ""
        return rank == "", rank, key

    shown = [
        {**_system(systems[key]), "cells": [_cell(place.get(key)) for place in places]}
        for key in sorted(systems, key=order)
    ]
    return {
        "title": setting.title,
        "untrained": setting.untrained,
        "about": {"dataset": setting.dataset_digest or "none", "prompts": setting.prompts},
        "systems": shown,
        "rankings": [_ranking(ranking, short[ranking.protocol]) for ranking in rankings],
    }


def _short(rankings: Sequence[Ranking]) -> dict[Protocol, str]:
    """What protocols of one setting are called: by metric, and where that is one of several, by their id, too."""
    names = short_names(r.protocol.metric for r in rankings)
    told = [r.protocol.metric for r in rankings]
    return {
        r.protocol: names[r.protocol.metric] + (f" {r.protocol.id[:4]}" if told.count(r.protocol.metric) > 1 else "")
        for r in rankings
    }


def _system(entry: Entry) -> dict[str, Any]:
    r, author = entry.record, entry.author
    kinds = [f"{r.weights} weights"] * is_untrained(r.weights) + ["lossy clips"] * r.lossy
    return {"team": author.team, "system": r.system, "version": author.version, "link": author.link, "warnings": kinds}


def _cell(row: Row | None) -> dict[str, Any] | None:
    if row is None:
        return None
    r = row.entry.record
    excess = with_error(r.excess, r.excess_stderr)
    return {
        "rank": _rank_text(row),
        "sort": _rank_order(row),
        "excess": f"excess {excess}" if excess else "",
        "value": _value_text(r),
    }


def _rank_text(row: Row) -> str:
    if row.first is None:
        return CHOSEN if row.why == OPTIMISED else row.why
    return str(row.first) if row.first == row.last else f"{row.first}–{row.last}"


def _rank_order(row: Row) -> float | str:
    return "" if row.first is None or row.last is None else row.first + row.last / 1000


def _value_text(r: Record) -> str:
    mark = (CHOSEN if r.optimised_for else "") + (AT_FLOOR if is_at_floor(r, ()) else "")
    return (with_error(r.value, r.stderr) or "-") + mark


def _ranking(ranking: Ranking, short: str) -> dict[str, Any]:
    p = ranking.protocol
    records = [row.entry.record for row in ranking.rows]
    ends = [x for r in records for x in (r.low, r.value, r.high) if x is not None]
    chances = [r.baseline for r in records if r.baseline is not None]
    axis = axis_of([*ends, *chances])
    about = {name: value for name, value in p.to_json().items() if value not in ("", None)}
    return {
        "id": p.id,
        "short": short,
        "metric": p.metric,
        "higher": p.higher_is_better,
        "networks": p.extractor_weights if is_untrained(p.extractor_weights) else "",
        "about": {name.replace("_", " "): str(value) for name, value in about.items()},
        "file": p.file_name,
        "num_ranked": ranking.num_ranked,
        "num_paired": ranking.num_paired,
        "ticks": axis.ticks,
        "has_chance": bool(chances),
        "rows": [_row(ranking, row, axis) for row in ranking.rows],
    }


def _row(ranking: Ranking, row: Row, axis: Axis) -> dict[str, Any]:
    r = row.entry.record
    places = Axis(0.5, ranking.num_ranked + 0.5)
    bar = None
    if row.first is not None and row.last is not None:
        bar = (places.place(row.first - 0.5), places.place(row.last + 0.5))
    return {
        **_system(row.entry),
        "rank": _rank_text(row),
        "rank_order": _rank_order(row),
        "bar": bar,
        "is_control": row.why == CONTROL,
        "value": r.value,
        "text": _value_text(r),
        "count": count_text(r),
        "incomplete": bool(r.n_failed or r.n_missing),
        "excess": r.excess,
        "excess_text": with_error(r.excess, r.excess_stderr) or "",
        "line": [None if x is None else axis.place(x) for x in (r.low, r.value, r.high, r.baseline)],
        "date": row.entry.author.date,
        "record": _told(row),
    }


def _told(row: Row) -> dict[str, str]:
    """Everything a reader may ask of a number."""
    entry, r = row.entry, row.entry.record
    author = entry.author
    about = {k: v for k, v in record_row(asdict(r)).items() if v}
    about |= {"rank": _rank_text(row), "odd clips": "; ".join(list_warnings([asdict(r)])), "run": r.run_id}
    about |= {"weights": r.weights, "clips": entry.clips, "submission": entry.origin, "sent": author.date}
    about |= {"licence": author.licence, "written by": f"mmbench {author.mmbench}", "video of": r.video_of}
    return {k: str(v) for k, v in about.items() if v}

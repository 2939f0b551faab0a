"""Table 14 from a blind study of the published pair, with errors over raters and pairs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

from mmbench.statistics.estimates import Z95
from mmbench.study.answers import read_answers
from mmbench.study.design import ANSWERS, KEY, read_study
from mmbench.study.tally import Share, tally
from mmbench.tables.beside_printed import Ours, PaperTable, make_line
from mmbench.tables.layout import Number
from mmbench.tables.paper_notes import entry_of
from mmbench.tables.published import published

PAIR = "auffusion_vc2"  # whose raters answered for the paper, without and with guidance


def find_studies(places: Sequence[Path]) -> list[Path]:
    """The folders of studies among places, or in their folder `study`."""
    return [folder for place in places for folder in (place, place / "study") if (folder / KEY).is_file()]


def fill_study(places: Sequence[Path]) -> PaperTable:
    """Table 14: the percentages of the first study of the published pair and questions that has answers."""
    entry, printed = entry_of("14"), published()["14"]
    questions = printed["columns"][1:]
    ours: dict[tuple[int, str], Ours] = {}
    notes = []
    for folder in find_studies(places):
        study, files = read_study(folder), sorted((folder / ANSWERS).glob("*.json"))
        command = shlex.join(["mmbench", "study", "tally", str(folder / ANSWERS)])
        first, second = study.systems
        if first != PAIR or not second.startswith(f"{PAIR}+mmdisco"):
            notes.append(
                f"Not beside, a study of {first} and {second}, not of {PAIR} without and with MMDisCo: {command}"
            )
        elif ours or not files:
            notes.append(f"Not beside, {folder}: {'another study stands there' if ours else 'it has no answers yet'}.")
        else:
            for t in tally(study, read_answers(study, files)):
                if t.question in questions and t.num:
                    about = f"{t.num} answers", str(folder)
                    ours |= {(k, t.question): Ours(_number(share), *about) for k, share in enumerate(t.shares)}
            notes.append(f"Tests and agreement: {command}")
    lines = [
        make_line(entry, "14", row[0], question, cell, ours.get((k, question)))
        for k, row in enumerate(printed["rows"])
        for question, cell in zip(questions, row[1:], strict=True)
    ]
    return PaperTable("14", entry, lines, notes)


def _number(share: Share) -> Number:
    """A percentage; its standard error is that of a normal interval of the same width."""
    error = None if share.low is None or share.high is None else (share.high - share.low) / (2 * Z95)
    return Number(share.percent, error)

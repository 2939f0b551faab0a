"""A study whose clips need not be there, and raters who answer its pages."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmbench.study.design import ATTENTION, CLIPS, PAGES, PAIR, Item, Study
from mmbench.study.page import write_pages
from mmbench.study.questions import PAPER, Question

Opinion = Callable[[Item, str], str]  # "first", "second" or "undecided" of an item and a question


def a_study(
    folder: Path, raters: int = 3, pairs: int = 6, attention: int = 2, questions: tuple[Question, ...] = PAPER
) -> Study:
    """Made as `make_study` makes it, but for the clips."""
    kinds = [PAIR] * pairs + [ATTENTION] * attention
    files = [(f"{CLIPS}/{2 * k:016x}.mp4", f"{CLIPS}/{2 * k + 1:016x}.mp4") for k in range(len(kinds))]
    items = [Item(f"{k:08x}", kind, f"prompt {k}", str(k), files[k]) for k, kind in enumerate(kinds)]
    study = Study("5" * 16, "7" * 32, 11, raters, ("pair", "pair+mmdisco"), ("r1", "r2"), questions, tuple(items))
    write_pages(study, folder / PAGES)
    study.save(folder)
    return study


def content(folder: Path, rater: int) -> dict[str, Any]:
    """What a rater's page holds."""
    text = (folder / PAGES / f"rater-{rater}.html").read_text()
    data = text.partition('<script type="application/json" id="content">')[2].partition("</script>")[0]
    found: dict[str, Any] = json.loads(data)
    return found


def answer(folder: Path, study: Study, rater: int, opinion: Opinion) -> dict[str, Any]:
    """The file that a rater's page saves, by what the rater thinks of the clips themselves."""
    page = content(folder, rater)
    items = {item.id: item for item in study.items}
    rows = []
    for shown in page["items"]:
        item = items[shown["id"]]
        for question in page["questions"]:
            said = opinion(item, question["name"])
            side = "A" if shown["A"] == item.clips[said == "second"] else "B"
            choice = "undecided" if said == "undecided" else side
            code = shown["codes"][question["name"]][choice]
            rows.append({"item": item.id, "question": question["name"], "choice": choice, "code": code})
    return {"study": page["study"], "rater": rater, "page": page["page"], "answers": rows}


def save(folder: Path, file: dict[str, Any], name: str = "") -> Path:
    """Put a file of answers where `mmbench study tally` looks."""
    path = folder / "answers" / (name or f"rater-{file['rater']}.json")
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(file))
    return path

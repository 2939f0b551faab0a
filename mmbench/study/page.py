"""The pages that raters open: one HTML file each, that needs nothing but the clips beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.files import make_folder, write_whole
from mmbench.pages.render import render
from mmbench.study.design import Item, Study
from mmbench.study.questions import CHOICES

TEMPLATES = Path(__file__).parent / "data"


def write_pages(study: Study, folder: Path) -> None:
    """Write rater-1.html to rater-N.html into a folder."""
    make_folder(folder)
    for rater in range(1, study.raters + 1):
        text = render(TEMPLATES, "rater.html", rater=rater, items=len(study.items), page=_content(study, rater))
        write_whole(folder / f"rater-{rater}.html", text.encode())


def _content(study: Study, rater: int) -> dict[str, Any]:
    """What a rater's page holds: nothing of it names a system or tells an attention pair from another."""
    questions = [{"name": question.name, "text": question.text} for question in study.questions]
    items = [_item(study, rater, item) for item in study.order(rater)]
    return {"study": study.id, "rater": rater, "page": study.token(rater), "questions": questions, "items": items}


def _item(study: Study, rater: int, item: Item) -> dict[str, Any]:
    a, b = item.clips if study.first_is_a(rater, item) else item.clips[::-1]
    codes = {q.name: {choice: study.code(rater, item, q.name, choice) for choice in CHOICES} for q in study.questions}
    return {"id": item.id, "prompt": item.prompt, "A": a, "B": b, "codes": codes}

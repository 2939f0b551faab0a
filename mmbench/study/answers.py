"""Raters' files of answers: read, held against the study, and refused by name where they were changed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.errors import IntegrityError, UsageError
from mmbench.study.design import ATTENTION, Item, Study
from mmbench.study.questions import CHOICES

LARGEST = 10_000_000  # bytes of a file of answers: a study of a thousand pairs has some 400,000
UNDECIDED = "undecided"


@dataclass(frozen=True)
class Answer:
    """What a rater answered.

    Attributes:
        rater: From 1.
        item: On which clips.
        question: Its name.
        choice: 0 for the first system, or the real clip of an attention pair, 1 for the other; None if undecided.
    """

    rater: int
    item: Item
    question: str
    choice: int | None


@dataclass(frozen=True)
class Answers:
    """The answers to a study.

    Attributes:
        given: All that stand in the files.
        files: Of each rater who sent one.
    """

    given: Sequence[Answer]
    files: Mapping[int, Path]

    def missing(self, study: Study) -> list[int]:
        """Raters whose file is not there."""
        return [rater for rater in range(1, study.raters + 1) if rater not in self.files]

    def unfinished(self, study: Study) -> dict[int, int]:
        """How many answers are open, of raters who did not answer all."""
        whole = len(study.items) * len(study.questions)
        number = {rater: sum(answer.rater == rater for answer in self.given) for rater in self.files}
        return {rater: whole - n for rater, n in number.items() if n < whole}

    def inattentive(self, study: Study) -> dict[int, tuple[int, int]]:
        """Raters who preferred real halves that do not belong together to a real clip: how often, of how many answers.

        Asked of the questions that tell it. A rater is named who is wrong more often than right.
        """
        telling = {question.name for question in study.questions if question.told_by_attention}
        found: dict[int, tuple[int, int]] = {}
        for rater in self.files:
            asked = [a for a in self.given if a.rater == rater and a.item.kind == ATTENTION and a.question in telling]
            right, wrong = (sum(a.choice == choice for a in asked) for choice in (0, 1))
            if wrong > right:
                found[rater] = wrong, len(asked)
        return found


def read_answers(study: Study, files: Sequence[Path]) -> Answers:
    """The answers in raters' files.

    Raises:
        UsageError: A file of another study, or two of one rater.
        IntegrityError: A file that is damaged, or that holds what the rater's page did not give.
    """
    found: dict[int, Path] = {}
    given: list[Answer] = []
    for file in files:
        content = _read(file)
        if content.get("study") != study.id:
            expected = f"a file of study {study.id}, as its pages save them"
            raise UsageError(f"{file} holds answers to study {content.get('study')!r}.", expected)
        rater = content.get("rater")
        if type(rater) is not int or not 1 <= rater <= study.raters or content.get("page") != study.token(rater):
            raise _tampered(file, f"says that it is of rater {rater!r}, whose page has another code")
        if rater in found:
            both = f"{found[rater]} and {file} are both of rater {rater}."
            raise UsageError(
                both, "one file for each rater", f"move one of them elsewhere; {_differ(found[rater], file)}"
            )
        found[rater] = file
        given += _answers_of(study, rater, content.get("answers"), file)
    return Answers(given, dict(sorted(found.items())))


def _read(file: Path) -> dict[str, Any]:
    try:
        if file.stat().st_size > LARGEST:
            raise UsageError(f"{file} has {file.stat().st_size:,} bytes.", "a rater's file of answers")
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}.", "a rater's file of answers") from error
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{file} is damaged: {error}", "the file as the rater's page saved it") from error
    if not isinstance(content, dict):
        raise IntegrityError(f"{file} holds no answers.", "the file as the rater's page saved it")
    return content


def _answers_of(study: Study, rater: int, rows: Any, file: Path) -> list[Answer]:
    items = {item.id: item for item in study.items}
    names = {question.name for question in study.questions}
    seen: set[tuple[str, str]] = set()
    answers = []
    listed: list[Any] = rows if isinstance(rows, list) else [None]
    for row in listed:
        words = [row.get(name) for name in ("item", "question", "choice")] if isinstance(row, dict) else []
        id, question, choice = words if all(isinstance(word, str) for word in words) and words else ("", "", "")
        if id not in items or question not in names or choice not in CHOICES:
            raise _tampered(file, f"holds {row!r}, which the page does not ask")
        item = items[id]
        if (item.id, question) in seen:
            raise _tampered(file, f"answers {question} on pair {item.id} twice")
        seen.add((item.id, question))
        if row.get("code") != study.code(rater, item, question, choice):
            raise _tampered(file, f"says {choice} to {question} on pair {item.id}, which is not what was chosen")
        first = "A" if study.first_is_a(rater, item) else "B"
        answers.append(Answer(rater, item, question, None if choice == UNDECIDED else int(choice != first)))
    return answers


def _tampered(file: Path, what: str) -> IntegrityError:
    expected = "the file as the rater's page saved it"
    return IntegrityError(f"{file} was changed: it {what}.", expected, "leave it out, or ask the rater for it again")


def _differ(a: Path, b: Path) -> str:
    """Whether two files of one rater say the same."""
    same = _read(a).get("answers") == _read(b).get("answers")
    return "they say the same" if same else "they differ, and the pages keep the latest"

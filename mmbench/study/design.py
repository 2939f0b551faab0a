"""The design of a blind study: which clips each rater sees, in which order and on which side, and the codes of answers.

STUDY/key.json            all of it; whoever holds it knows which system is which
STUDY/pages/rater-1.html  what a rater opens; STUDY/pages/clips/ beside it. Neither names a system.
STUDY/answers/            where the raters' files are put
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.errors import IntegrityError, UsageError
from mmbench.files import read_json, write_json
from mmbench.study.questions import Question

KEY, PAGES, CLIPS, ANSWERS = "key.json", "pages", "clips", "answers"
PAIR, ATTENTION = "pair", "attention"


@dataclass(frozen=True)
class Item:
    """Two clips of one prompt: of the two systems, or for attention a real clip and real halves of two clips.

    Attributes:
        id: What pages and answers call it; says nothing.
        kind: "pair" or "attention".
        prompt: Its text.
        sample: Id of the sample in the runs.
        clips: Files of the first and the second of what is compared; of an attention pair the real clip is first.
    """

    id: str
    kind: str
    prompt: str
    sample: str
    clips: tuple[str, str]


@dataclass(frozen=True)
class Study:
    """A study as it was made.

    Attributes:
        id: Its name, drawn when it was made.
        secret: Of the codes of answers.
        seed: Of sides and orders.
        raters: How many.
        systems: Names of the two systems.
        runs: What identifies their clips.
        questions: In order.
        items: In the order of the design.
    """

    id: str
    secret: str
    seed: int
    raters: int
    systems: tuple[str, str]
    runs: tuple[str, str]
    questions: tuple[Question, ...]
    items: tuple[Item, ...]

    def order(self, rater: int) -> list[Item]:
        """The items as a rater (from 1) sees them."""
        return [self.items[i] for i in np.random.default_rng([self.seed, rater, 0]).permutation(len(self.items))]

    def first_is_a(self, rater: int, item: Item) -> bool:
        """Whether the first clip of an item is A for a rater; drawn for each rater and item."""
        place = self.items.index(item)
        return bool(np.random.default_rng([self.seed, rater, 1, place]).integers(2))

    def token(self, rater: int) -> str:
        """What a rater's page is known by."""
        return self._code("rater", str(rater))

    def code(self, rater: int, item: Item, question: str, choice: str) -> str:
        """What an answer carries beside its choice, so that one which was edited by hand is found out."""
        return self._code("answer", str(rater), item.id, question, choice)

    def _code(self, *words: str) -> str:
        return hmac.new(bytes.fromhex(self.secret), "\0".join(words).encode(), hashlib.sha256).hexdigest()[:16]

    def save(self, folder: Path) -> None:
        """Write the key of a study, readable by its owner alone."""
        write_json(folder / KEY, asdict(self))
        (folder / KEY).chmod(0o600)


def read_study(folder: Path) -> Study:
    """The study of a folder.

    Raises:
        UsageError: The folder holds none.
        IntegrityError: Its key is damaged.
    """
    if not (folder / KEY).is_file():
        raise UsageError(
            f"{folder} holds no study.", f"a folder with {KEY}", "mmbench study make RUN_A RUN_B --out study"
        )
    try:
        stored: dict[str, Any] = read_json(folder / KEY)
        questions = tuple(Question(**question) for question in stored.pop("questions"))
        items = tuple(Item(**{**item, "clips": tuple(item["clips"])}) for item in stored.pop("items"))
        pairs = {name: tuple(stored.pop(name)) for name in ("systems", "runs")}
        return Study(questions=questions, items=items, **pairs, **stored)  # type: ignore[arg-type]
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError(
            f"{folder / KEY} is damaged: {error}", "the file that `mmbench study make` wrote"
        ) from error


def find_study(answers: Sequence[Path]) -> Path:
    """The folder of the study whose answers these files are: the nearest one above the first that holds a key.

    Raises:
        UsageError: There is none.
    """
    for folder in answers[0].resolve().parents:
        if (folder / KEY).is_file():
            return folder
    found = f"No folder above {answers[0]} holds a study."
    raise UsageError(found, f"{ANSWERS}/ of a study", f"mmbench study tally {answers[0]} --study STUDY")

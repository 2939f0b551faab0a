"""What raters are asked of two clips: the paper's four questions, or those of a TOML file."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from mmbench.errors import UsageError
from mmbench.media.regular_files import read_regular

CHOICES = ("A", "B", "undecided")


@dataclass(frozen=True)
class Question:
    """A question on two clips, A and B.

    Attributes:
        name: Of its column: lower-case letters, digits and underscores.
        text: What the rater reads.
        told_by_attention: Whether a real clip is better than real halves that do not belong together, so that who
            answers otherwise did not attend.
    """

    name: str
    text: str
    told_by_attention: bool = False


PAPER = (  # what arXiv 2405.17842, A.11 asks; the wording is ours
    Question("video_quality", "Which video looks better?"),
    Question("audio_quality", "Which sound is of better quality?"),
    Question("semantic_alignment", "In which clip do sound and picture show the same thing?", True),
    Question("temporal_alignment", "In which clip do sound and picture happen at the same time?", True),
)


def read_questions(source: str) -> tuple[Question, ...]:
    """The questions of a study: "paper", or a TOML file of tables [[question]] with name, text and told_by_attention.

    Raises:
        UsageError: No such file, no TOML, no question, or one without a name or text, or two of one name.
    """
    if source == "paper":
        return PAPER
    example = '[[question]] with name = "sync" and text = "In which clip …?"'
    try:
        tables = tomllib.loads(read_regular(source).decode()).get("question", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"The questions {source} cannot be read: {error}", f"paper, or a TOML file of {example}"
        ) from None
    questions = []
    for table in tables if isinstance(tables, list) else []:
        unknown = sorted(set(table) - {"name", "text", "told_by_attention"})
        name, text = table.get("name"), table.get("text")
        named = isinstance(name, str) and re.fullmatch(r"[a-z][a-z0-9_]*", name)
        if unknown or not named or not isinstance(text, str) or not text.strip():
            raise UsageError(f"{source} holds the question {table}.", example)
        questions.append(Question(name, text.strip(), bool(table.get("told_by_attention", False))))
    names = [question.name for question in questions]
    if not questions or len(set(names)) < len(names):
        raise UsageError(f"{source} asks {', '.join(names) or 'nothing'}.", f"questions of different names: {example}")
    return tuple(questions)

"""Examples in the help of commands, folded between options and never inside one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.core import TyperCommand

PROGRAMS = ("mmbench ", "torchrun ")
AS_IT_IS = "\b"  # a line of this alone before a paragraph keeps its lines


def fold_command(text: str, width: int) -> list[str]:
    """Lines of a command, each but the last ending in a backslash, so that they can be typed as they stand.

    Args:
        text: The command in one line.
        width: Most characters of a line; an option with its value that is longer has a line for itself.
    """
    lines = [""]
    for part in _parts(text.split()):
        room = width - 2 if lines[-1] else width  # for the backslash
        if lines[-1].strip() and len(lines[-1]) + 1 + len(part) > room:
            lines[-1] += " \\"
            lines.append(f"    {part}")
        else:
            lines[-1] += f" {part}" if lines[-1] else part
    return lines


def _parts(words: list[str]) -> Iterator[str]:
    """Words, an option together with its value."""
    while words:
        word = words.pop(0)
        is_value = word.startswith("-") and words and not words[0].startswith(("-", "&&"))
        yield f"{word} {words.pop(0)}" if is_value else word


def fold_examples(text: str, width: int) -> str:
    """A help text whose paragraphs of one command are folded for lines of `width` characters."""
    paragraphs = []
    for paragraph in text.split("\n\n"):
        command = " ".join(paragraph.split())
        if command.startswith(PROGRAMS):
            indent = " " * (len(paragraph) - len(paragraph.lstrip()))
            lines = fold_command(command, width - len(indent))
            paragraph = "\n".join([indent + AS_IT_IS, *lines])
        paragraphs.append(paragraph)
    return "\n\n".join(paragraphs)


class WithExamples(TyperCommand):
    """A command whose help has examples."""

    def format_help_text(self, ctx: Any, formatter: Any) -> None:
        """Write the help text with its examples folded."""
        whole = self.help
        self.help = whole and fold_examples(whole, formatter.width - 2)
        try:
            super().format_help_text(ctx, formatter)
        finally:
            self.help = whole

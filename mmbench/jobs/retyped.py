"""Commands as they were typed with one option changed, for what an error says to type."""

from __future__ import annotations

import shlex
from collections.abc import Sequence


def retype(command: Sequence[str], option: str, value: str, short: str = "") -> str:
    """The command with one option of another value; that option alone where the command is not known."""
    return shlex.join([*without(command, option, short), option, value])


def without(command: Sequence[str], option: str, short: str = "") -> list[str]:
    """The words of a command without an option, typed however often as "OPTION VALUE" or "OPTION=VALUE"."""
    names = [option, *([short] if short else [])]
    words: list[str] = []
    skip = False
    for word in command:
        if not skip and word not in names and not word.startswith(f"{option}="):
            words.append(word)
        skip = not skip and word in names
    return words

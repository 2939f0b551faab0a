"""Examples in help: every command's, at every width, can be typed as it is printed."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import pytest
from typer.main import get_command

from mmbench.cli.app import app
from mmbench.cli.examples import fold_command
from tests.commands import mmbench_here


def names(command: object = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command of the command line, as it is typed."""
    command = command or get_command(app)
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path
        return
    for name, one in inner.items():
        yield from names(one, (*path, name))


def typed(text: str) -> list[list[str]]:
    """The examples of a help text, as a shell reads them."""
    text = text.split("Examples:")[1].split("\n\nArguments:")[0].split("\n\nOptions:")[0]
    return [shlex.split(part.replace("\\\n", " ")) for part in text.split("\n\n") if part.strip()]


@pytest.mark.parametrize("name", list(names()), ids=" ".join)
def test_examples_are_the_same_at_every_width(
    name: tuple[str, ...], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "64")
    narrow = mmbench_here(capsys, *name, "--help").stdout
    examples = typed(narrow)
    written = get_command(app)
    for part in name:
        written = written.commands[part]  # type: ignore[attr-defined]
    paragraphs = (written.help or "").split("Examples:")[1].split("\n\n")
    assert examples == [shlex.split(" ".join(p.split())) for p in paragraphs if p.strip()]
    assert all(len(line) <= 64 for line in narrow.splitlines() if "  mmbench " in line)


def test_an_option_stays_with_its_value() -> None:
    command = "mmbench run --dataset folder:my_clips --metric av_align.matched --offline --num-samples 100"
    lines = fold_command(command, 60)
    assert lines == [
        "mmbench run --dataset folder:my_clips \\",
        "    --metric av_align.matched --offline --num-samples 100",
    ]
    assert fold_command(command, 200) == [command]
    assert fold_command("mmbench show " + "x" * 90, 20) == ["mmbench show \\", "    " + "x" * 90]

"""The sink of all output: what each format prints, where it goes, and that nothing is lost in a narrow window."""

from __future__ import annotations

import io
import json
import logging
import math
import re
import sys
from typing import Any

import pytest

from mmbench.console import Format, jsonable, log, name_follower, setup, show_error, show_mapping, show_rows
from mmbench.errors import UsageError

ROWS = [
    {"system": "tiny", "value": 0.25, "note": "a note of several words", "hidden": [math.nan, 1]},
    {"system": "tiny+mmdisco-res_frieren", "value": None, "note": "[bold] is no markup", "hidden": None},
]
COLUMNS = ["system", "value", "note"]
Capture = pytest.CaptureFixture[str]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_lacks_become_null_however_deep(number: float) -> None:
    value = {"a": number, 1: [number, {"b": (0.5, number)}], "c": "NaN", "d": True, "e": 3}
    assert jsonable(value) == {"a": None, "1": [None, {"b": [0.5, None]}], "c": "NaN", "d": True, "e": 3}


@pytest.mark.parametrize("show", [lambda x: show_rows([x], ["a"], Format.json), lambda x: show_mapping(x, Format.json)])
def test_json_is_read_by_every_reader(show: Any, capsys: Capture) -> None:
    def refuse(name: str) -> None:
        raise ValueError(f"{name} is not JSON")

    show({"a": math.nan, "b": [math.inf, "é"]})
    printed = capsys.readouterr().out
    found = json.loads(printed, parse_constant=refuse)
    assert (found[0] if isinstance(found, list) else found) == {"a": None, "b": [None, "é"]}
    assert "é" in printed


def test_json_has_whole_rows_and_quiet_the_first_column_alone(capsys: Capture) -> None:
    show_rows(ROWS, COLUMNS, Format.json, title="a title", notes=["a note"])
    assert json.loads(capsys.readouterr().out) == [{**ROWS[0], "hidden": [None, 1]}, ROWS[1]]
    show_rows(ROWS, COLUMNS, Format.quiet, title="a title", notes=["a note"])
    assert capsys.readouterr().out == "tiny\ntiny+mmdisco-res_frieren\n"


def test_a_table_shows_what_it_was_given(capsys: Capture) -> None:
    show_rows(ROWS, COLUMNS, Format.table, title="What was made", notes=["the last line [x]"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].strip() == "What was made"
    assert lines[-1].strip() == "the last line [x]"
    (first,) = (line for line in lines if "tiny " in line)
    assert "0.25" in first
    (second,) = (line for line in lines if "res_frieren" in line)
    assert "[bold] is no markup" in second
    assert "None" not in second
    assert "hidden" not in "".join(lines)


def test_a_pipe_never_folds_and_a_narrow_window_loses_nothing(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows = [{"run": "r" * 30, "sentence": "s" * 90}]
    show_rows(rows, ["run", "sentence"], Format.table)
    assert any("r" * 30 in line and "s" * 90 in line for line in capsys.readouterr().out.splitlines())
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    show_rows(rows, ["run", "sentence"], Format.table)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capsys.readouterr().out).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines[2:]).count("r") == 30
    assert "".join(lines[2:]).count("s") == 90


def test_numbers_stand_to_the_right(capsys: Capture) -> None:
    show_rows([{"name": "a", "n": 5}, {"name": "b", "n": "−0.1 ± 2"}], ["name", "n"], Format.table)
    (line,) = (line for line in capsys.readouterr().out.splitlines() if line.startswith("a"))
    assert line.endswith("       5")


def test_one_record_as_lines_json_or_values(capsys: Capture) -> None:
    record = {"name": "x", "numbers": {"a": math.nan}}
    show_mapping(record, Format.table)
    assert capsys.readouterr().out == 'name     x\nnumbers  {"a": null}\n'
    show_mapping({"a": 1, "b": "two"}, Format.quiet)
    assert capsys.readouterr().out == "1\ntwo\n"


def test_an_error_says_what_was_found_what_was_expected_and_what_to_type(capsys: Capture) -> None:
    show_error(UsageError("It is 3.", "2", "mmbench --two"))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "error: It is 3.\n  expected: 2\n  try: mmbench --two\n"
    show_error(UsageError("It is 3."))
    assert capsys.readouterr().err == "error: It is 3.\n"


@pytest.mark.parametrize(("verbose", "shown"), [(0, "warned"), (1, "told warned"), (2, "detail told warned")])
def test_logs_go_to_stderr_as_far_as_asked_for(
    verbose: int, shown: str, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    before = log.level, logging.root.level
    try:
        setup(verbose)
        log.debug("detail")
        log.info("told")
        log.warning("warned")
        logging.getLogger("another").info("never")
    finally:
        log.setLevel(before[0])
        logging.root.setLevel(before[1])
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.split() == shown.split()


def test_a_launcher_s_followers_are_named_and_say_little(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert name_follower({}) == name_follower({"RANK": "0", "WORLD_SIZE": "2"}) == ""
    assert name_follower({"SLURM_PROCID": "3", "SLURM_STEP_NUM_TASKS": "8"}) == "rank 3 of 8: "
    assert name_follower({"RANK": "1"}) == ""
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    show_error(UsageError("It is 3.", "2", "mmbench --two"))
    assert capsys.readouterr().err == "rank 1 of 2: It is 3.\n"


def test_a_note_never_breaks_between_a_number_and_its_unit(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mmbench.console.terminal_width", lambda: 22)
    show_rows([{"a": 1}], ["a"], Format.table, notes=["needed at observed, 80 % power; as many n = 64"])
    below = capsys.readouterr().out.split("\n\n")[1].splitlines()
    assert below == ["needed at observed,", "80 % power; as many", "n = 64"]


HOSTILE = "a\x1b]0;owned\x07\x9b2J\u2028\u202e\udcffz"
SHOWN = r"a\x1b]0;owned\x07\x9b2J\u2028\u202e\udcffz"


@pytest.mark.parametrize("format", [f for f in Format if f is not Format.json])
def test_no_format_hands_a_terminal_what_it_would_obey(format: Format, capsys: Capture) -> None:
    if format is not Format.csv:  # data, for programs
        show_rows([{"a": HOSTILE}], ["a"], format, title=HOSTILE, notes=[HOSTILE])
    show_mapping({"a": HOSTILE}, format if format is not Format.csv else Format.table)
    printed = capsys.readouterr()
    text = printed.out + printed.err
    assert text.replace("\n", "").isprintable()
    assert "owned" in text


def test_json_for_a_terminal_holds_the_same_data_in_plain_characters(capsys: Capture) -> None:
    show_rows([{"a": HOSTILE}], ["a"], Format.json)
    printed = capsys.readouterr().out
    assert json.loads(printed) == [{"a": HOSTILE}]
    assert printed.isascii()


def test_errors_and_logs_show_escapes(capsys: Capture) -> None:
    show_error(UsageError(HOSTILE, HOSTILE, HOSTILE))
    setup()
    log.warning("%s", HOSTILE)
    assert capsys.readouterr().err.count(SHOWN) == 4


def test_json_on_a_stdout_of_few_characters_is_json(monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1", errors="backslashreplace")
    monkeypatch.setattr(sys, "stdout", stdout)
    show_rows([{"a": "é↓😀"}], ["a"], Format.json)
    stdout.flush()
    assert json.loads(stdout.buffer.getvalue()) == [{"a": "é↓😀"}]  # type: ignore[attr-defined]

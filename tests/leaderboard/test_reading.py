"""Submissions: whole ones are read as they were written, and whatever was changed is refused by line and reason."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.errors import IntegrityError
from mmbench.leaderboard.reading import read_submission, refuse
from tests.leaderboard.material import (
    a_record,
    a_run,
    an_author,
    edit,
    lines_of,
    scatter,
    send,
    some_samples,
    write_lines,
)

VALUES = scatter(0.5)


def refused(path: Path) -> str:
    """Why a submission is refused."""
    return "\n".join(read_submission(path)[1])


@pytest.mark.parametrize("with_samples", [False, True])
def test_a_submission_is_read_as_it_was_written(tmp_path: Path, with_samples: bool) -> None:
    run, samples = a_run("fast", optimised_for="x"), some_samples(VALUES, "fast")
    one = a_record(run, VALUES)
    lines = lines_of(an_author(), (run, one, samples), with_samples=with_samples)
    (entry,), reasons = read_submission(write_lines(lines, tmp_path / "s.jsonl"), "s")
    assert reasons == []
    assert (entry.author, entry.run, entry.record, entry.origin) == (an_author(), run, one, "s line 3")
    assert entry.samples == (tuple(samples) if with_samples else None)


def change_field(name: str, line: dict[str, Any]) -> None:
    line[name] = "other"


def test_every_changed_value_is_found_by_its_checksum(tmp_path: Path) -> None:
    path = send(tmp_path / "s.jsonl", "fast", VALUES, with_samples=True)
    for number, line in enumerate(json.loads(text) for text in path.read_text().splitlines()):
        for name in line:
            changed = send(tmp_path / "changed.jsonl", "fast", VALUES, with_samples=True)
            edit(changed, number + 1, partial(change_field, name), sign=False)
            assert f"line {number + 1}: " in refused(changed), name


def test_no_flipped_byte_goes_unseen(tmp_path: Path) -> None:
    """A flip is refused at its line, or the file still says what it said."""
    path = send(tmp_path / "s.jsonl", "fast", VALUES, with_samples=True)
    data, (entry,) = path.read_bytes(), read_submission(path)[0]
    rng = np.random.default_rng(0)
    for place, bit in zip(rng.integers(len(data), size=300), rng.integers(8, size=300), strict=True):
        flipped = bytearray(data)
        flipped[place] ^= 1 << int(bit)
        path.write_bytes(flipped)
        entries, reasons = read_submission(path)
        assert reasons or entries == [entry]


def test_a_file_that_was_cut_glued_or_is_of_something_else_is_refused(tmp_path: Path) -> None:
    path = send(tmp_path / "s.jsonl", "fast", VALUES)
    lines = path.read_text().splitlines(keepends=True)
    cut, torn, glued, none = (tmp_path / name for name in ("cut", "torn", "glued", "none"))
    cut.write_text("".join(lines[:-1]))
    torn.write_text("".join(lines)[:-40])
    glued.write_text("".join(lines) + lines[-1])
    none.write_text("")
    assert "holds no record" in refused(cut)
    assert "torn line 3: JSONDecodeError" in refused(torn)
    assert "3 lines below its first, which says 2" in refused(glued)
    assert "none line 1" in refused(none) or "holds no record" in refused(none)
    assert "cannot be read" in refused(tmp_path / "absent")
    assert "cannot be read" in refused(tmp_path)
    for text in ("[]", "3", '{"kind": "record"}', '{"value": NaN}', '{"a": 1, "a": 2}', "[" * 100_000, '"\\ud800"'):
        none.write_text(text)
        assert "none line 1: " in refused(none), text
    none.write_text("".join(lines[1:]))
    assert refused(none) == f"{none} line 1: a submission begins with the line that says whose it is"
    none.write_text("".join(json.dumps({"run_id": "a", "value": k}) + "\n" for k in range(9)))
    assert refused(none) == f"{none} line 1: no line of a submission: records alone do not say whose they are"


AUTHORS: list[tuple[str, Any, str]] = [
    ("team", "", "team is empty"),
    ("team", "x" * 201, "team has 201 characters"),
    ("team", "a\u202eb", "not printed"),
    ("team", "a\nb", "not printed"),
    ("version", 2, "version is a int"),
    ("link", "javascript:alert(1)", "no address that begins with"),
    ("link", "https:///x", "no address"),
    ("link", "https://a b", "no address"),
    ("date", "yesterday", "not YYYY-MM-DD"),
    ("licence", " ", "licence is empty"),
    ("format", 2, "another format than 1"),
]


@pytest.mark.parametrize(("name", "value", "reason"), AUTHORS, ids=[f"{n}={str(v)[:12]!r}" for n, v, _ in AUTHORS])
def test_who_sends_is_named_so_that_a_page_can_show_it(tmp_path: Path, name: str, value: Any, reason: str) -> None:
    path = edit(send(tmp_path / "s.jsonl", "fast", VALUES), 1, lambda line: line.update({name: value}))
    assert f"line 1: {reason}" in refused(path) or reason in refused(path)


RECORDS: list[tuple[str, dict[str, Any], str]] = [
    ("value outside", {"value": 0.9}, "does not hold its value"),
    ("narrow", {"low": 0.4999, "high": 0.5001}, "is not that of a standard error"),
    ("no error", {"stderr": None}, "is not that of a standard error"),
    ("negative error", {"stderr": -0.1, "low": None, "high": None}, "standard error is -0.1"),
    ("more scored", {"n_scored": 17, "n_present": 17}, "are not the 16 expected"),
    ("not present", {"n_present": 15}, "15 samples are present"),
    ("not in the sum", {"n_expected": 17}, "are not the 17 expected"),
    ("negative count", {"n_failed": -1, "n_expected": 15}, "n_failed is -1"),
    ("reasons", {"unscored": {"silent": 3}}, "reasons for 3 unscored"),
    ("nonfinite", {"n_nonfinite": 1}, "among 0 that failed"),
    ("no value", {"value": None, "stderr": None, "low": None, "high": None}, "value is None of 16"),
    ("another metric", {"metric": "fvd.stylegan_v_16f"}, "has the signature 'av_align"),
    ("signature", {"signature": "av_align|mmdisco_96ms"}, "has the signature"),
    ("another run", {"digest": "0" * 32}, "in its run"),
    ("weights", {"weights": "none"}, "in its run"),
    ("networks", {"extractor_weights": "good"}, "none of random"),
    ("time", {"time": "today"}, "is not as 2026"),
    ("text for a number", {"value": "0.5"}, "value is '0.5', not float"),
    ("truth for a number", {"n_scored": True}, "n_scored is True, not int"),
    ("number for truth", {"lossy": 1}, "lossy is 1, not bool"),
    ("too many", dict.fromkeys(("n_expected", "n_present", "n_scored"), 10**8), "more than 10,000,000 samples"),
    ("too large", {"baseline": 1e300}, "a number beyond 1e+15"),
    ("excess of nothing", {"excess": 0.2}, "its excess is 0.2 of the value"),
    ("another excess", {"baseline": 0.25, "excess": 0.2}, "is not its value less its shuffled baseline"),
    (
        "narrow excess",
        {"baseline": 0.25, "excess": 0.25, "excess_stderr": 0.1, "excess_low": 0.24, "excess_high": 0.26},
        "is not that of a standard error of 0.1",
    ),
    ("a further field", {"rank": 1}, "a record has no rank"),
    ("a name", {"metric": "a\u202e"}, "not printed"),
]


@pytest.mark.parametrize(("changes", "reason"), [r[1:] for r in RECORDS], ids=[r[0] for r in RECORDS])
def test_what_cannot_be_is_refused_though_its_checksum_fits(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    path = send(tmp_path / "s.jsonl", "fast", VALUES)
    assert reason in refused(edit(path, 3, lambda line: line["record"].update(changes)))


@pytest.mark.parametrize("number", ["1e999", "NaN", "-Infinity"])
def test_no_number_is_infinite(tmp_path: Path, number: str) -> None:
    path = send(tmp_path / "s.jsonl", "fast", VALUES, details={"x": 0.25})
    path.write_text(path.read_text().replace('"x": 0.25', f'"x": {number}'))
    assert "line 3: ValueError" in refused(path)


def test_samples_must_make_the_value_and_its_digests(tmp_path: Path) -> None:
    def sent() -> Path:
        return send(tmp_path / "s.jsonl", "fast", VALUES, with_samples=True)

    assert refused(sent()) == ""
    assert "the mean of its samples" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(value=0.9)))
    assert "other digests" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(video="x")))
    assert "other digests" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(text="x")))
    assert "15 samples with 15 names" in refused(edit(sent(), 3, lambda line: line["samples"].pop()))
    assert "16 samples with 15 names" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(id="000001")))
    assert "15 values, where 16" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(value=None)))
    assert "TypeError" in refused(edit(sent(), 3, lambda line: line["samples"][0].update(value="a", rank=1)))


def test_runs_are_what_their_digest_says(tmp_path: Path) -> None:
    def changed(**values: Any) -> str:
        return refused(edit(send(tmp_path / "s.jsonl", "fast", VALUES), 2, lambda line: line.update(values)))

    assert "its spec has digest" in changed(spec={"system": {}})
    assert "it is of fast-bounce-s0" in changed(run_id="other")
    assert "its dataset has another digest" in changed(dataset_digest="0" * 32)
    assert "line 3: its run" in changed(run_id="other")


def test_the_error_names_every_line() -> None:
    with pytest.raises(IntegrityError, match=r"2 lines are refused.*\n  a line 1: x\n  b line 2: y"):
        refuse(["a line 1: x", "b line 2: y"])


def test_nobodys_text_acts_on_a_terminal(tmp_path: Path) -> None:
    path = edit(send(tmp_path / "s.jsonl", "fast", VALUES), 3, lambda line: line.update(run="\x1b[2J\u202e\n"))
    with pytest.raises(IntegrityError) as error:
        refuse(read_submission(path)[1])
    assert "its run \\x1b[2J\\u202e\\n is not above it" in error.value.found
    assert all(line.isprintable() for line in error.value.found.split("\n"))

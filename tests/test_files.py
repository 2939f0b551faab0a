"""Files survive a power cut: what is renamed into place has reached the disk, and what fails leaves no trace."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import DiskError, IncompleteError, IntegrityError, UsageError
from mmbench.files import append_line, expand_user, json_bytes, read_json, read_lines, write_json, write_whole
from mmbench.tensor_files import read_tensors
from tests.builders import strip_checksums


def test_what_takes_the_name_has_reached_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, events = tmp_path / "file", list[tuple[str, bytes]]()
    path.write_bytes(b"old")
    sync, replace = os.fsync, os.replace

    def fsync(number: int) -> None:
        beside = set(tmp_path.iterdir()) - {path}
        events.append(("sync", b"".join(p.read_bytes() for p in beside)))
        sync(number)

    def rename(source: Path, target: Path) -> None:
        events.append(("rename", Path(source).read_bytes()))
        assert path.read_bytes() == b"old"
        assert Path(source).parent == Path(target).parent, "only within a folder is a rename atomic"
        replace(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", rename)
    write_whole(path, b"new")
    assert events[:2] == [("sync", b"new"), ("rename", b"new")]
    assert {kind for kind, _ in events[2:]} <= {"sync"}, "the folder may be synced, too"
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"new")]


@pytest.mark.parametrize("step", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_the_old_file_and_nothing_beside(
    step: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(os, step, fail)
    with pytest.raises(type(error)):
        write_whole(path, b"new")
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("file", b"old")]


def test_a_line_is_appended_and_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, synced = tmp_path / "lines", list[bytes]()
    monkeypatch.setattr(os, "fsync", lambda _: synced.append(path.read_bytes()))
    append_line(path, {"a": "é"})
    append_line(path, {"a": 2})
    assert read_lines(path) == [{"a": "é"}, {"a": 2}]
    assert [json.loads(line)["a"] for line in path.read_text().splitlines()] == ["é", 2], "any reader of JSON lines"
    assert synced[-1] == path.read_bytes()
    assert len(synced) == 2
    with pytest.raises(ValueError, match="not JSON compliant"):
        append_line(path, {"a": float("nan")})
    assert len(path.read_text().splitlines()) == 2
    with pytest.raises(IncompleteError, match="Cannot write to"):
        append_line(tmp_path, {})


def test_unreadable_json_is_named(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    path.write_text('{"a": [1, null]}')
    assert read_json(path) == {"a": [1, None]}
    path.write_text('{"a": [1, nu')
    with pytest.raises(IntegrityError, match=r"file\.json is corrupt"):
        read_json(path)


@pytest.mark.parametrize("data", [b"new", lambda path: path.write_bytes(b"new")])
def test_a_file_is_written_and_replaced(tmp_path: Path, data: bytes | Callable[[Path], Any]) -> None:
    path = tmp_path / "a.json"
    for before in (None, b"a much longer old content"):
        if before:
            path.write_bytes(before)
        write_whole(path, data)
        assert path.read_bytes() == b"new"
        assert list(tmp_path.iterdir()) == [path]


def test_a_writer_never_sees_the_place_itself(tmp_path: Path) -> None:
    path, seen = tmp_path / "a", list[Path]()

    def write(beside: Path) -> None:
        assert not path.exists()
        seen.append(beside)
        beside.touch()

    write_whole(path, write)
    assert seen[0].parent == tmp_path
    assert seen[0] != path


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fails(beside: Path) -> None:
        beside.write_text("ne")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        write_whole(path, fails)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def lines_of(path: Path) -> list[dict[str, Any]]:
    path.unlink(missing_ok=True)
    lines = [{"a": "é\u2028", "b": {"c": [1, None, 0.25]}}, {"empty": {}}, {"last": 0}]
    for line in lines:
        append_line(path, line)
    assert read_lines(path) == lines
    return lines


def flips(data: bytes) -> Iterator[bytes]:
    """The data with each of its bits flipped in turn."""
    for bit in range(8 * len(data)):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        yield bytes(changed)


def test_every_flipped_bit_of_lines_and_of_an_object_is_seen(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path, silent = tmp_path / "lines.jsonl", 0
    lines = lines_of(path)
    for changed in flips(path.read_bytes()):
        path.write_bytes(changed)
        caplog.clear()
        try:
            found = read_lines(path)
        except IntegrityError as error:
            silent += "lines.jsonl line" not in error.found
        else:  # the last end of line may go: its line is whole, or is named
            silent += found != lines and "line 3 was cut off" not in caplog.text
    whole = tmp_path / "whole.json"
    write_json(whole, {"a": "é", "b": [1, 2.5]}, indent=1)
    for changed in flips(whole.read_bytes()):
        whole.write_bytes(changed)
        try:
            silent += read_json(whole) != {"a": "é", "b": [1, 2.5]}
        except IntegrityError as error:
            silent += "whole.json is corrupt" not in error.found
    assert silent == 0


@pytest.mark.parametrize("left", [1, 8, 15, 22, 29, 36, 41, 42])
def test_a_line_that_was_cut_off_is_named_and_goes_before_the_next(
    tmp_path: Path, left: int, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lines.jsonl"
    lines = lines_of(path)
    start = path.read_bytes().rindex(b"\n", 0, -1) + 1
    path.write_bytes(path.read_bytes()[: start + left])
    whole = path.read_bytes()[start:].endswith(b"}")
    assert read_lines(path) == lines[: 2 + whole]
    assert ("line 3 was cut off" in caplog.text) is not whole
    append_line(path, {"next": 1})
    assert read_lines(path) == [*lines[: 2 + whole], {"next": 1}], "nothing is glued to it"


def test_a_damaged_line_is_named_with_a_command_that_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "lines of a run.jsonl"
    lines = lines_of(path)
    path.write_bytes(path.read_bytes().replace(b'"empty"', b'"enpty"'))
    with pytest.raises(IntegrityError, match=r"line 2 is corrupt: it contradicts its checksum") as caught:
        read_lines(path)
    subprocess.run(caught.value.next, shell=True, check=True)
    assert read_lines(path) == [lines[0], lines[2]]


def test_what_older_versions_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    lines = lines_of(path)
    before = path.read_bytes()
    strip_checksums(path)
    assert b"checksum" in before
    assert b"checksum" not in path.read_bytes()
    assert read_lines(path) == lines
    append_line(path, {"new": 1})
    assert read_lines(path) == [*lines, {"new": 1}]


def test_a_line_that_a_full_disk_cut_off_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.jsonl"
    lines_of(path)
    before, write = path.read_bytes(), os.write

    def half(descriptor: int, data: bytes) -> int:
        write(descriptor, bytes(data)[:5])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(DiskError, match="No space left on device") as caught:
        append_line(path, {"next": 1})
    assert (path.read_bytes(), caught.value.errno) == (before, 28)
    assert isinstance(pickle.loads(pickle.dumps(caught.value)), OSError), "it crosses pools of processes"


@pytest.mark.parametrize("read", [read_json, read_lines, read_tensors])
def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(read: Callable[[Path], Any], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(IntegrityError, match="pipe"):
        read(tmp_path / "pipe")


@pytest.mark.parametrize("text", ["é\u2028\x85", "\udcff\ud800", "😀"])
def test_any_text_is_stored_as_it_is(tmp_path: Path, text: str) -> None:
    append_line(tmp_path / "lines", {"a": text})
    assert read_lines(tmp_path / "lines") == [{"a": text}]
    assert json.loads(json_bytes({"a": text}, indent=1)) == {"a": text}


def test_text_without_half_characters_is_stored_in_utf8() -> None:
    assert json_bytes("é\u2028") == b'"\xc3\xa9\xe2\x80\xa8"'


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(UsageError, match="no home folder for '~nobody_at_all' of '~nobody_at_all/x'"):
        expand_user("~nobody_at_all/x")
    assert expand_user("~") == Path.home()

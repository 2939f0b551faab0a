"""Files survive a power cut: what is renamed into place has reached the disk, and what fails leaves no trace."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmbench.errors import IncompleteError, IntegrityError, UsageError
from mmbench.files import append_line, expand_user, json_bytes, read_json, read_lines, write_whole


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
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"a": "é"}, {"a": 2}]
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


@pytest.mark.parametrize("text", ["é\u2028\x85", "\udcff\ud800", "😀"])
def test_any_text_is_stored_as_it_is(tmp_path: Path, text: str) -> None:
    append_line(tmp_path / "lines", {"a": text})
    (line,) = read_lines(tmp_path / "lines")
    assert json.loads(line) == {"a": text}
    assert json.loads(json_bytes({"a": text}, indent=1)) == {"a": text}


def test_text_without_half_characters_is_stored_in_utf8() -> None:
    assert json_bytes("é\u2028") == b'"\xc3\xa9\xe2\x80\xa8"'


def test_the_home_of_nobody_is_told() -> None:
    with pytest.raises(UsageError, match="no home folder for '~nobody_at_all' of '~nobody_at_all/x'"):
        expand_user("~nobody_at_all/x")
    assert expand_user("~") == Path.home()

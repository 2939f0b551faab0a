"""What is no regular file is named, and never waited on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mmbench.media import regular_files
from mmbench.media.regular_files import is_utf8, open_regular, printable, read_regular, why_irregular


def test_every_kind_has_its_word(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "zero").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "fifo")
    words = {"file": "", "link": "", "zero": "is a device", "fifo": "is a FIFO", "absent": "does not exist"}
    assert {name: why_irregular(tmp_path / name) for name in words} == words
    assert why_irregular(tmp_path) == "is a folder"
    assert why_irregular(tmp_path / "dangling") == (
        "is a link to nothing, which cannot be followed: No such file or directory"
    )
    assert "cannot be followed" in why_irregular(tmp_path / "loop")
    assert why_irregular(tmp_path / "file" / "below") == "cannot be read: Not a directory"
    assert "null" in why_irregular("a\0b")


@pytest.mark.parametrize("name", ["fifo", "zero", "folder"])
def test_nothing_but_a_regular_file_is_opened(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")  # opened as usual it would be waited on for ever
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="it is a"):
        open_regular(tmp_path / name)


def test_a_file_that_becomes_a_fifo_is_not_waited_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "file").touch()
    regular = os.stat(tmp_path / "file")
    monkeypatch.setattr(regular_files.os, "stat", lambda path: regular)
    with pytest.raises(OSError, match="it is a FIFO"):
        open_regular(tmp_path / "fifo")


def test_a_file_of_text_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert read_regular(tmp_path / "a") == b"abc"
    monkeypatch.setattr(regular_files, "MOST_TEXT", 2)
    with pytest.raises(OSError, match="more than"):
        read_regular(tmp_path / "a")


def test_names_that_are_not_utf8_can_be_shown() -> None:
    name = os.fsdecode(b"caf\xe9.mp4")
    assert (is_utf8(name), is_utf8("café.mp4")) == (False, True)
    assert printable(name) == r"caf\udce9.mp4"

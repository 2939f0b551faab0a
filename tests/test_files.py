"""Files are whole or absent: interrupted writes leave what was there, and nothing beside it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmbench.files import write_whole


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

"""Errors of the operating system and of libraries become ours: the path, and what to type."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mmbench.errors import explain, one_line


@pytest.mark.parametrize(
    ("number", "code", "next"),
    [
        (errno.EACCES, 1, "ls -ld"),
        (errno.EPERM, 1, "ls -ld"),
        (errno.ENOSPC, 3, "df -h"),
        (errno.EDQUOT, 3, "df -h"),
        (errno.EROFS, 1, "--out FOLDER"),
        (errno.EMFILE, 1, "ulimit -n"),
        (errno.ENOENT, 1, "ls -ld"),
        (errno.EIO, 1, "ls -ld"),
    ],
)
def test_an_error_of_the_system_names_path_reason_and_remedy(tmp_path: Path, number: int, code: int, next: str) -> None:
    error = explain(OSError(number, os.strerror(number), str(tmp_path / "a file" / "x")))
    assert error.found == f"{tmp_path / 'a file' / 'x'}: {os.strerror(number)}."
    assert error.exit_code == code
    assert error.next.startswith(next)


def test_the_remedy_names_what_a_user_can_see(tmp_path: Path) -> None:
    error = explain(PermissionError(errno.EACCES, "Permission denied", str(tmp_path / "gone" / "x")))
    assert error.next == f"ls -ld {tmp_path}"


def test_an_error_without_a_path_or_text_still_says_something() -> None:
    assert explain(OSError()).found == "OSError."
    assert explain(OSError(errno.ENOSPC, "No space left on device")).found == "No space left on device."


def test_others_errors_become_one_plain_line() -> None:
    assert one_line(ValueError("\x1b[31mred\x1b[0m\x07 line\nmore\nlines")) == "red? line"
    assert one_line(KeyError()) == "KeyError"
    assert len(one_line(ValueError("x" * 10**6))) == 300

"""The audit of pinned dependencies fails over what it found, and over nothing else."""

from __future__ import annotations

import importlib.util
import socket
import sys
import time
from types import ModuleType

import pytest

from tests.commands import load_script
from tests.conftest import REPOSITORY


@pytest.fixture
def script() -> ModuleType:
    """scripts/audit.py."""
    return load_script("audit")


def stand_in(out: str, err: str, code: int) -> list[str]:
    """A command that prints and exits as pip-audit would."""
    return [sys.executable, "-c", f"import sys; print({out!r}, end=''); sys.stderr.write({err!r}); sys.exit({code})"]


def test_without_pip_audit_or_its_service_it_is_skipped_quickly_with_a_reason(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert script.main() == 0
    assert "audit skipped: pip-audit is not installed; " in capsys.readouterr().out
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        began = time.monotonic()
        reason = script.find_reason_to_skip(("127.0.0.1", taken.getsockname()[1]))
    assert "127.0.0.1 does not answer" in reason
    assert time.monotonic() - began < 2 * script.PATIENCE


@pytest.mark.parametrize(
    ("out", "err", "code", "want", "says"),
    [
        ("No known vulnerabilities found\n", "", 0, 0, "No known"),
        ("torch 2.0 PYSEC-1 fix 2.1\n", "Found 1 known vulnerability", 1, 1, "PYSEC-1"),
        ("", "requests.ConnectionError: refused", 1, 0, "audit skipped: requests.ConnectionError: refused"),
    ],
)
def test_it_fails_over_a_vulnerability_and_not_over_a_broken_connection(
    script: ModuleType, capsys: pytest.CaptureFixture[str], out: str, err: str, code: int, want: int, says: str
) -> None:
    assert script.audit(stand_in(out, err, code)) == want
    assert says in capsys.readouterr().out


def test_what_is_audited_is_every_pinned_version(script: ModuleType) -> None:
    assert script.PINNED == REPOSITORY / "constraints.txt"
    assert "torch==" in script.PINNED.read_text()

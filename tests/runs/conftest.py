"""A disk for tests that write many small files."""

from __future__ import annotations

import os

import pytest


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is written need not survive a power failure."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)

"""Benchmarks are no tests and run only when asked for; each at least imports."""

from __future__ import annotations

import importlib

import pytest

from tests.conftest import REPOSITORY

FILES = sorted(file.stem for file in (REPOSITORY / "tests" / "benchmarks").glob("test_*.py"))


@pytest.mark.parametrize("name", FILES)
def test_it_imports_and_measures_something(name: str) -> None:
    module = importlib.import_module(f"tests.benchmarks.{name}")
    assert [f for f in vars(module) if f.startswith("test_")]

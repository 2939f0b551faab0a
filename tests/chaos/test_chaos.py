"""A sample of damage and of failing disks; `make chaos` tries much more of it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.chaos.forked import Outcome
from tests.chaos.mutations import FAILURES, KINDS, judge, mutate
from tests.chaos.record import fresh_seed, minutes, note
from tests.commands import environment
from tests.conftest import REPOSITORY

MANY, FEW = "2100", "8"  # files that are damaged

pytestmark = pytest.mark.e2e


def draw(driver: str, *options: str) -> list[dict[str, Any]]:
    """What a driver in this folder found, a mapping for each."""
    command = [sys.executable, "-m", f"tests.chaos.{driver}", *options]
    done = subprocess.run(command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.thorough
def test_no_damage_of_a_file_passes_for_other_numbers() -> None:
    seed, count = (str(fresh_seed()), MANY) if minutes() else ("0", FEW)
    *found, counts = draw("mutations", "--seed", seed, "--count", count)
    failed = [line for line in found if line["verdict"] in FAILURES]
    note("mutations", seed=int(seed), mutations=len(found), failed=failed, **counts)
    assert failed == []
    assert counts.get("detected", 0) + counts.get("healed", 0) >= len(found) // 8, "most kinds of damage matter"


@pytest.mark.thorough
def test_after_any_fault_of_the_disk_the_same_command_goes_on_to_the_same() -> None:
    seed, asked = 0, ["--count", "4"]
    if minutes():
        seed, asked = fresh_seed(), ["--count", "0", "--minutes", f"{minutes()}"]
    found = draw("faults", "--seed", f"{seed}", *asked)
    failed = [fault for fault in found if fault["wrong"]]
    note("faults of the disk", seed=seed, faults=len(found), failed=failed)
    assert failed == []
    assert any(fault["code"] == 3 for fault in found)


@pytest.mark.parametrize("kind", KINDS)
def test_a_mutation_changes_what_it_says(kind: str) -> None:
    data = bytes(range(1, 200))
    changed = mutate(data, kind, 8 * 100 + 3)
    assert changed != data
    assert changed[:100] == data[:100]


def test_the_verdicts_would_see_what_is_wrong() -> None:
    before = Outcome(0, '{"value": 1, "time": "then"}', "")
    assert judge(Outcome(0, '{"value": 1, "time": "now"}', ""), before) == "harmless"
    assert judge(Outcome(0, '{"value": 2}', ""), before) == "silent"
    assert judge(Outcome(0, '{"value": 2}', "a.json is corrupt"), before) == "detected"
    assert judge(Outcome(0, '{"value": 1}', "made again"), before) == "healed"
    assert judge(Outcome(1, "", "Traceback (most recent call last):"), before) == "traceback"
    assert judge(Outcome(-9, "", ""), before) == "traceback"
    assert judge(Outcome(None, "", ""), before) == "hang"

"""A sample of damage and of failing disks; with MMBENCH_CHAOS set, much more of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.chaos.forked import Outcome
from tests.chaos.mutations import FAILURES, KINDS, judge, mutate
from tests.commands import environment
from tests.conftest import REPOSITORY

MUCH = ["--count", "600", "--commands", "5", "--sweep"]
THOROUGH = bool(os.environ.get("MMBENCH_CHAOS"))

pytestmark = pytest.mark.e2e


def draw(driver: str, *options: str) -> list[dict[str, Any]]:
    """What a driver in this folder found, a mapping for each."""
    command = [sys.executable, "-m", f"tests.chaos.{driver}", *options]
    done = subprocess.run(command, env=environment(), cwd=REPOSITORY, capture_output=True, text=True)
    assert done.stdout, done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_no_damage_of_a_file_passes_for_other_numbers() -> None:
    *found, counts = draw("mutations", *(MUCH if THOROUGH else ["--count", "30"]))
    assert [line for line in found if line["verdict"] in FAILURES] == []
    assert counts["detected"] + counts.get("healed", 0) >= len(found) // 8, "most kinds of damage matter"


def test_after_any_fault_of_the_disk_the_same_command_goes_on_to_the_same() -> None:
    found = draw("faults", "--count", "0" if THOROUGH else "8")
    assert [fault for fault in found if fault["wrong"]] == []
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

"""What generating took is measured from the beginning of the measurement, not of the process."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from mmbench.runs import usage as timing
from mmbench.runs.usage import Usage


def test_seconds_count_from_the_making(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [10.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: now[0])
    usage = Usage()
    now[0] = 12.3456
    assert usage.report()["seconds"] == 2.346


def can_reset() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return "VmHWM" in Path("/proc/self/status").read_text()


@pytest.mark.skipif(not can_reset(), reason="this system cannot reset the peak of a process")
def test_a_peak_before_the_measurement_does_not_count_and_one_within_does() -> None:
    size = 300_000_000
    before = Usage().report()["peak_memory_bytes"]
    usage = Usage()
    held = np.ones(size // 8)
    del held
    assert usage.report()["peak_memory_bytes"] > before + 0.8 * size
    assert Usage().report()["peak_memory_bytes"] < before + 0.5 * size


def test_on_a_gpu_its_peak_is_reset_and_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = {"peak": 9000}
    cuda = SimpleNamespace(
        is_available=lambda: True,
        reset_peak_memory_stats=lambda: memory.update(peak=50),
        max_memory_allocated=lambda: memory["peak"],
    )
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    usage = Usage()
    assert usage.report()["peak_gpu_bytes"] == 50
    memory["peak"] = 700
    assert usage.report()["peak_gpu_bytes"] == 700


def test_without_torch_or_a_gpu_none_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    assert set(Usage().report()) == {"seconds", "cpu_seconds", "peak_memory_bytes"}
    without = SimpleNamespace(cuda=SimpleNamespace(is_available=lambda: False))
    monkeypatch.setitem(sys.modules, "torch", without)
    assert set(Usage().report()) == {"seconds", "cpu_seconds", "peak_memory_bytes"}

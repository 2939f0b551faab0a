"""Every check of an extractor fails on the fault it is there for."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from mmbench.checks.verification import extractor_checks
from mmbench.checks.verification.ladders import Material
from mmbench.networks.devices import exact_float32
from mmbench.types import Features
from tests.verify_material import Statistics, failed

pytest_plugins = ("tests.verify_material",)  # its fixture `material`


def network(precise: bool = True, restore: bool = True) -> Any:
    """An extractor with one layer of torch."""
    import torch

    class Network(Statistics):
        weights = "random"

        def __init__(self) -> None:
            super().__init__()
            self.name = "network"
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.layer = torch.nn.Linear(5, 3)

        def extract(self, batch: Sequence[Any]) -> list[Features]:
            x = torch.tensor(np.array([f["x"] for f in super().extract(batch)]), dtype=torch.float32)
            if not precise:
                return [{"y": row} for row in self.layer(x).detach().numpy()]
            if not restore:
                torch.backends.cuda.matmul.fp32_precision = "ieee"
            with exact_float32():
                return [{"y": row} for row in self.layer(x).numpy()]

    return Network()


class OfBatch(Statistics):
    def extract(self, batch: Sequence[Any]) -> list[Features]:
        found = super().extract(batch)
        mean = np.mean([f["x"] for f in found], axis=0)
        return [{"x": f["x"] - mean} for f in found]


class Counts(Statistics):
    def __init__(self) -> None:
        super().__init__()
        self.seen = itertools.count()

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        return [{"x": f["x"] + 1e-12 * next(self.seen)} for f in super().extract(batch)]


def checks_of(build: Callable[[], Any], material: Material) -> dict[str, dict[str, Any]]:
    """Rows of an extractor by check."""
    rows = extractor_checks.check_extractor(build(), lambda device: build(), "fake", material)
    return {row["check"]: row for row in rows}


def test_sound_extractors_pass(material: Material) -> None:
    assert {c: r["status"] for c, r in checks_of(Statistics, material).items()} == {
        "batch independence": "pass",
        "determinism": "pass",
    }
    rows = checks_of(network, material)
    assert failed(rows) == set()
    assert rows["exact float32"]["measured"] == "inside ieee; after tf32"


def test_precision_outside_is_as_before_the_check(material: Material) -> None:
    import torch

    before = torch.backends.cuda.matmul.fp32_precision
    checks_of(network, material)
    assert torch.backends.cuda.matmul.fp32_precision == before


@pytest.mark.parametrize(
    ("build", "check"),
    [
        (OfBatch, "batch independence"),
        (Counts, "determinism"),
        (lambda: network(precise=False), "exact float32"),
        (lambda: network(restore=False), "exact float32"),
    ],
    ids=["batch", "counter", "tf32 inside", "tf32 not restored"],
)
def test_an_extractor_with_a_fault_fails_its_check(build: Callable[[], Any], check: str, material: Material) -> None:
    rows = checks_of(build, material)
    assert failed(rows) == {check} | ({"batch independence"} if build is Counts else set()), rows


def test_a_gpu_that_disagrees_fails_and_none_is_skipped(material: Material, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert checks_of(network, material)["CPU and GPU agree"]["status"] == "skipped"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert checks_of(network, material)["CPU and GPU agree"]["status"] == "pass"

    def build(device: str) -> Any:
        extractor = network()
        if device == "cuda":
            extractor.layer.weight.data *= 1.01
        return extractor

    rows = extractor_checks.check_extractor(network(), build, "fake", material)
    assert [r["check"] for r in rows if r["status"] == "fail"] == ["CPU and GPU agree"]


def test_features_of_other_names_or_shapes_are_far_apart() -> None:
    a = [{"x": np.ones(3)}]
    assert extractor_checks.distance(a, a) == 0
    assert extractor_checks.distance(a, [{"y": np.ones(3)}]) == np.inf
    assert extractor_checks.distance(a, [{"x": np.ones(4)}]) == np.inf
    assert extractor_checks.distance(a, [{"x": np.array([1, 1, 1.5])}]) == 0.5
    assert extractor_checks.distance([{"x": np.zeros(0)}], [{"x": np.zeros(0)}]) == 0
    assert extractor_checks.distance([{"x": np.full(1, np.nan)}], [{"x": np.ones(1)}]) != 0

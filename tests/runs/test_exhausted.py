"""A device at its end, and a system that fails at everything: one error, and no sample to blame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from mmbench.errors import MMBenchError, StoppedError
from mmbench.runs import exhausted
from mmbench.runs.generate import ALIKE, generate
from mmbench.runs.spec import RunSpec, make_requests
from mmbench.runs.store import SampleStore
from mmbench.types import Clip, Request
from tests.fixture_distribution.mmbench_fixture import FixtureDataset, FixtureSystem


class Large(FixtureSystem):
    """Takes more memory than there is for more than `fits` samples."""

    def __init__(self, fits: int, error: type[Exception] = torch.OutOfMemoryError) -> None:
        super().__init__()
        self.fits, self.error, self.asked = fits, error, list[int]()

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        self.asked.append(len(requests))
        if len(requests) > self.fits:
            raise self.error("CUDA out of memory. Tried to allocate 20.00 GiB")
        yield from super().generate(requests)


@pytest.fixture
def store(tmp_path: Path) -> SampleStore:
    return SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_memory_that_is_too_small_is_one_error_that_says_what_to_type(
    store: SampleStore, error: type[Exception]
) -> None:
    system, requests = Large(4, error), make_requests(FixtureDataset(), 40, 0)
    with pytest.raises(MMBenchError, match="8 samples at once") as raised:
        generate(store, system, requests, batch_size=8)
    assert raised.value.next == "--batch-size 4, which changes no sample"
    assert system.asked == [8]
    assert (store.status(40).failed, len(store.status(40).missing)) == ([], 40)
    generate(store, system, requests, batch_size=4)
    assert len(store.status(40).present) == 40


def test_systems_that_fill_their_batches_are_told_their_own_option(store: SampleStore) -> None:
    system = Large(0)
    system.name, system.batch_size = "auffusion_vc2+mmdisco", 8  # type: ignore[attr-defined]
    with pytest.raises(MMBenchError) as raised:
        generate(store, system, make_requests(FixtureDataset(), 8, 0), batch_size=8)
    assert raised.value.next.startswith("--set tile=4,")
    system.batch_size = 1  # type: ignore[attr-defined]
    with pytest.raises(MMBenchError) as raised:
        generate(store, system, make_requests(FixtureDataset(), 8, 0), batch_size=1)
    assert "--device cpu" in raised.value.next


def test_a_device_that_stopped_working_is_no_fault_of_a_sample(store: SampleStore) -> None:
    error = torch.AcceleratorError if hasattr(torch, "AcceleratorError") else None
    assert error is not None
    with pytest.raises(MMBenchError, match="stopped working"):
        exhausted.refuse_exhausted_device(error("an illegal memory access"), SimpleNamespace(name="s"), 1)
    exhausted.refuse_exhausted_device(ValueError("of the sample"), SimpleNamespace(name="s"), 1)


def test_a_system_that_fails_alike_at_everything_is_stopped(store: SampleStore) -> None:
    class Broken(FixtureSystem):
        def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
            raise ValueError("expected 3 channels")
            yield

    class Later(FixtureSystem):
        def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
            if requests[0].index >= 5:
                raise ValueError("expected 3 channels")
            yield from super().generate(requests)

    with pytest.raises(StoppedError, match="ValueError: expected 3 channels") as raised:
        generate(store, Broken(), make_requests(FixtureDataset(), 40, 0), batch_size=5)
    assert "no sample is marked as failed" in raised.value.expected
    assert (len(store.status(40).failed), len(store.status(40).missing)) == (0, 40)
    with pytest.raises(StoppedError, match="ValueError: expected 3 channels") as raised:
        generate(store, Later(), make_requests(FixtureDataset(), 40, 0), batch_size=5)
    assert "--retry-failed" in raised.value.next
    assert (len(store.status(40).failed), len(store.status(40).missing)) == (ALIKE, 40 - ALIKE - 5)


def test_single_failures_and_such_of_other_reasons_stop_nothing(store: SampleStore) -> None:
    class Uneven(FixtureSystem):
        def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
            for request, made in zip(requests, super().generate(requests), strict=True):
                if request.index % ALIKE:
                    raise ValueError("the same")
                yield made

    generate(store, Uneven(), make_requests(FixtureDataset(), 3 * ALIKE, 0))
    assert store.status(3 * ALIKE).present == [0, ALIKE, 2 * ALIKE]

"""Generation on a device: bits that do not depend on repetition, batch or shard, and memory that runs out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from mmbench.errors import MMBenchError
from mmbench.experiments.profiling.profile import make_batch, make_profiled_system, profiled_dataset
from mmbench.runs.generate import Shard, generate
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.types import Request
from tests.gpu.conftest import Place

PAIRS = ("tiny", "mm_diffusion", "auffusion_vc2", "audioldm_animatediff")
STEPS = {"cpu": "num_inference_steps=2", "cuda": "num_inference_steps=10"}


def make(name: str, place: Place, design: str = "res_mlp") -> tuple[Any, list[Request]]:
    """A guided system with random weights (tiny: its own) and eight requests."""
    dataset = profiled_dataset(name, None)
    options = [STEPS[place.device], *([] if name == "tiny" else place.options)]
    common = {"device": place.device, "weights": "real" if name == "tiny" else "random"}
    return make_profiled_system(name, design, dataset, options, **common), make_batch(dataset, 8)


def digests(system: Any, requests: list[Request]) -> list[str]:
    return [clip.digest() for clip in system.generate(requests)]


@pytest.mark.e2e
@pytest.mark.parametrize("name", PAIRS)
def test_a_guided_run_is_the_same_twice_and_in_any_batch(name: str, place: Place) -> None:
    if place.device == "cpu" and name not in ("tiny", "auffusion_vc2"):
        pytest.skip("tests/baselines has it for every pair on the CPU")
    system, requests = make(name, place)
    requests = requests[:8] if place.device == "cuda" else requests[:2]
    once = digests(system, requests)
    assert digests(system, requests) == once
    alone = [digest for request in requests for digest in digests(system, [request])]
    place.figures["equal alone and in a batch"] = sum(a == b for a, b in zip(alone, once, strict=True))
    assert alone == once


@pytest.mark.e2e
def test_shards_make_what_one_process_makes(place: Place) -> None:
    system, requests = make("tiny", place, "res_frieren")
    shards = [digests(system, [r for r in requests if r.index in Shard(rank, 2)]) for rank in range(2)]
    whole = digests(system, requests)
    assert shards == [whole[0::2], whole[1::2]]


def test_memory_that_runs_out_is_one_error(place: Place, tmp_path: Path) -> None:
    class Greedy:
        name, batch_size = "greedy", 4

        def generate(self, requests: list[Request]) -> Any:
            torch.empty(2**50, dtype=torch.uint8, device=place.device)  # a petabyte
            yield

    store = SampleStore.create(tmp_path, RunSpec("s", "d", 0, "none", {}))
    with pytest.raises(MMBenchError, match="more memory than there is") as raised:
        generate(store, Greedy(), make("tiny", place)[1], batch_size=4)  # type: ignore[arg-type]
    assert "--batch-size 2" in raised.value.next
    assert len(store.status(8).missing) == 8


@pytest.mark.e2e
@pytest.mark.parametrize("precision", ["ieee", "tf32", "bfloat16"])
def test_the_error_of_guidance_is_what_its_precision_promises(precision: str, place: Place) -> None:
    from mmbench.experiments.profiling.precision import measure_precision

    rows = measure_precision(["tiny"], "res_mlp", device=place.device, weights="real")
    (row,) = [row for row in rows if row["precision"] == precision]
    place.figures |= {"video": row["video"], "audio": row["audio"]}
    limits = {"ieee": 1e-5, "tf32": 1e-2, "bfloat16": 0.2}
    assert max(row["video"], row["audio"]) < limits[precision]

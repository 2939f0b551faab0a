"""The same bits in every run on a GPU: which switches are set while pairs are sampled, decoded and trained on."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from mmbench.baselines.kinds import guided, pair
from mmbench.errors import MMBenchError
from mmbench.experiments.profiling.profile import make_batch, make_profiled_system, profiled_dataset
from mmbench.mmdisco import trainer
from mmbench.networks import devices
from mmbench.networks.devices import deterministic_kernels, local_device
from tests.mmdisco.test_training import CONFIG, run

# What torch 2.13 refuses on CUDA where only deterministic kernels are allowed (torch.use_deterministic_algorithms).
REFUSED = {
    *(f"{name}_backward" for name in ("avg_pool3d", "_adaptive_avg_pool2d", "_adaptive_avg_pool3d", "_ctc_loss")),
    *(f"{name}_backward" for name in ("adaptive_max_pool2d", "fractional_max_pool2d", "fractional_max_pool3d")),
    *(f"upsample_{name}_backward" for name in ("linear1d", "bilinear2d", "bicubic2d", "trilinear3d")),
    *(f"reflection_pad{n}d_backward" for n in (1, 2, 3)),
    *("grid_sampler_2d_backward", "grid_sampler_3d_backward", "max_unpool2d", "max_unpool3d", "nll_loss2d_forward"),
    *("put", "put_", "histc", "median", "cumsum", "bincount", "scatter_reduce", "kthvalue"),
}


def switches() -> tuple[bool, ...]:
    strict = torch.are_deterministic_algorithms_enabled() and not torch.is_deterministic_algorithms_warn_only_enabled()
    return strict, torch.backends.cudnn.deterministic, not torch.backends.cudnn.benchmark


def test_switches_are_set_on_a_gpu_and_restored_after_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = switches()
    assert before == (False, False, False)
    inside = []

    @deterministic_kernels("cuda:1")
    def runs_out_of_memory() -> None:
        inside.append((switches(), os.environ["CUBLAS_WORKSPACE_CONFIG"]))
        raise torch.OutOfMemoryError

    with pytest.raises(torch.OutOfMemoryError):
        runs_out_of_memory()
    assert inside == [((True, True, True), ":4096:8")]
    assert switches() == before
    assert torch.utils.deterministic.fill_uninitialized_memory
    with deterministic_kernels("cpu"):
        assert switches() == before


def test_cublas_has_its_workspace_before_anything_is_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    assert (local_device("cpu"), os.environ.get("CUBLAS_WORKSPACE_CONFIG")) == ("cpu", None)
    assert (local_device("cuda"), os.environ["CUBLAS_WORKSPACE_CONFIG"]) == ("cuda", ":4096:8")


def test_an_operation_without_a_deterministic_kernel_is_named() -> None:
    z = torch.zeros(3)
    with pytest.raises(MMBenchError, match=r"^put_ does not have .* cuda would differ"), deterministic_kernels("cuda"):
        z.put_(torch.tensor([0, 0]), torch.ones(2))
    with pytest.raises(RuntimeError, match="shapes"), deterministic_kernels("cuda"):
        torch.ones(2, 3) @ torch.ones(2, 3)


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Devices that are given to the context, which takes each for a GPU."""
    devices_seen: list[str] = []

    def as_on_a_gpu(device: str) -> AbstractContextManager[None]:
        devices_seen.append(device)
        return devices.deterministic_kernels("cuda")

    for module in (pair, guided, trainer):
        monkeypatch.setattr(module, "deterministic_kernels", as_on_a_gpu)
    return devices_seen


class Watch(TorchDispatchMode):
    """Notes which operations run with the switches set, and which without."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[bool, set[str]] = {True: set(), False: set()}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if any(isinstance(z, torch.Tensor) and z.is_floating_point() for z in args):
            self.names[all(switches())].add(function._overloadpacket.__name__)
        return function(*args, **(kwargs or {}))

    def saw_only_deterministic_gradients(self) -> None:
        """Assert that there were gradients, none without the switches, and nothing that they forbid."""
        with_switches, without = ({n for n in self.names[k] if n.endswith("_backward")} for k in (True, False))
        assert with_switches, "no gradient was computed"
        assert not without
        assert not self.names[True] & REFUSED


THOROUGH = pytest.mark.thorough


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("tiny+mmdisco-res_frieren", ["num_inference_steps=2"]),
        pytest.param(
            "audioldm_animatediff+mmdisco-res_naive", ["size=tiny", "num_inference_steps=1"], marks=pytest.mark.thorough
        ),
        pytest.param(
            "auffusion_vc2+mmdisco-vit_frieren", ["size=tiny", "num_inference_steps=1"], marks=pytest.mark.thorough
        ),
        pytest.param(
            "mm_diffusion+mmdisco-res_mlp", ["size=tiny", "num_inference_steps=3"], marks=pytest.mark.thorough
        ),
        ("tiny+aligner", ["num_inference_steps=1"]),
        pytest.param(
            "audioldm_animatediff+aligner", ["size=tiny", "num_inference_steps=1"], marks=pytest.mark.thorough
        ),
        pytest.param("auffusion_vc2+aligner", ["size=tiny", "num_inference_steps=1"], marks=THOROUGH),
        pytest.param("mm_diffusion+aligner", ["size=tiny", "num_inference_steps=3"], marks=THOROUGH),
    ],
)
def test_pairs_are_sampled_and_decoded_by_operations_that_have_deterministic_kernels(
    seen: list[str], name: str, options: list[str]
) -> None:
    dataset = profiled_dataset(name.partition("+")[0], None)
    system = make_profiled_system(name, "res_mlp", dataset, options, device="cpu", weights="random")
    system.pair()
    with Watch() as watch:
        next(system.generate(make_batch(dataset, 1)))
    assert seen == ["cpu", "cpu"], "sampling and decoding"
    watch.saw_only_deterministic_gradients()


def test_training_computes_its_losses_and_gradients_so(seen: list[str], tmp_path: Path) -> None:
    with Watch() as watch:
        run(replace(CONFIG, steps=1), tmp_path)
    assert seen == ["cpu"]
    watch.saw_only_deterministic_gradients()

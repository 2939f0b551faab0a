"""Where and how networks compute: devices, memory layout, the same bits in every run, precision, threads.

Importing this needs no torch, so that modules which only declare networks stay light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, cast

from mmbench.errors import MMBenchError

if TYPE_CHECKING:
    from torch import nn


Precision = Literal["ieee", "tf32", "bfloat16"]  # of networks' products; sums and what they return are float32
PRECISIONS: tuple[Precision, ...] = ("ieee", "tf32", "bfloat16")


def local_device(device: str) -> str:
    """The device to compute on: "auto" is a GPU if there is one; each process of a launcher gets its own of several.

    A numbered GPU becomes torch's current one, so that waiting for it and measuring its memory mean that GPU.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    rank = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    if device == "cuda" and rank:
        device = f"cuda:{int(rank) % max(torch.cuda.device_count(), 1)}"
    if device.startswith("cuda"):
        _fix_cublas_workspace()
    if device.startswith("cuda:") and torch.cuda.is_available():
        torch.cuda.set_device(device)
    return device


def _fix_cublas_workspace() -> None:
    """Give cuBLAS the workspace with which its sums have one order; it is read once, so before the first product."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def deterministic_kernels(device: str) -> Iterator[None]:
    """Run the block with kernels that give the same bits in every run on one GPU model; a CPU's always do.

    Without it cuDNN may add in any order, or pick its algorithm by timing, and so does the backward pass of attention.

    Args:
        device: Where the block computes, "cpu" or "cuda:1"; on anything but a GPU nothing is changed.

    Raises:
        MMBenchError: An operation of the block has no such kernel; says which.
    """
    import torch

    if not device.startswith("cuda"):
        yield
        return
    _fix_cublas_workspace()
    cudnn, filling = torch.backends.cudnn, cast(Any, torch.utils.deterministic)
    before = (cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory)
    strict, warns = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    try:
        # not torch.backends.cudnn.flags(), which sets TF32 by its old name; nor warnings, for attention's are no cure
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory = True, False, False
        yield
    except RuntimeError as error:
        if "torch.use_deterministic_algorithms" not in str(error):
            raise
        found = str(error).split(", but you set")[0]
        raise MMBenchError(
            f"{found}, so runs on {device} would differ.", "another operation", "--device cpu"
        ) from error
    finally:
        torch.use_deterministic_algorithms(strict, warn_only=warns)
        cudnn.deterministic, cudnn.benchmark, filling.fill_uninitialized_memory = before


def channels_last(module: nn.Module, *, volumes: bool = False) -> None:
    """Lay weights of 2-D convolutions out by channel, as tensor cores read them; activations follow, others stay.

    Args:
        module: Whose weights.
        volumes: Those of 3-D convolutions, too.
    """
    import torch

    layouts = {4: torch.channels_last} | ({5: torch.channels_last_3d} if volumes else {})
    for parameter in module.parameters():
        if parameter.ndim in layouts:
            parameter.data = parameter.data.contiguous(memory_format=layouts[parameter.ndim])


def precision_switches() -> dict[str, Any]:
    """torch's switches of reduced precision in float32 products and convolutions, by name; "ieee" turns each off."""
    import torch

    backends: Any = torch.backends
    return {
        "cuda.matmul": backends.cuda.matmul,
        "cudnn.conv": backends.cudnn.conv,
        "cudnn.rnn": backends.cudnn.rnn,
        "mkldnn.matmul": backends.mkldnn.matmul,
        "mkldnn.conv": backends.mkldnn.conv,
    }


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Run the block with products and convolutions in real float32: no TF32, which is a default on NVIDIA GPUs."""
    with _float32_products({}):
        yield


@contextmanager
def _float32_products(precisions: dict[str, str]) -> Iterator[None]:
    """Run the block with these settings of `precision_switches`, "ieee" for those that are not named."""
    switches = precision_switches()
    before = {name: switch.fp32_precision for name, switch in switches.items()}
    try:
        for name, switch in switches.items():
            switch.fp32_precision = precisions.get(name, "ieee")
        yield
    finally:
        for name, switch in switches.items():
            switch.fp32_precision = before[name]


@contextmanager
def computing_in(precision: Precision, device: str) -> Iterator[None]:
    """Run the block, whatever is switched on around it, in one precision.

    Args:
        precision: "ieee" is float32 throughout. "tf32" lets NVIDIA's tensor cores round factors to 11 significant
            bits; elsewhere it is "ieee". "bfloat16" autocasts to it, with 8 significant bits.
        device: Type of the device, "cpu" or "cuda".
    """
    import torch

    tensor_cores = ("cuda.matmul", "cudnn.conv", "cudnn.rnn")
    switches = dict.fromkeys(tensor_cores, "tf32") if precision == "tf32" else {}
    half = precision == "bfloat16"
    autocast = torch.autocast(device, torch.bfloat16, enabled=half) if device != "meta" else nullcontext()
    with _float32_products(switches), autocast:
        yield


@contextmanager
def exact_float32() -> Iterator[None]:
    """Run the block without autograd and in real float32, whatever generation has switched on."""
    import torch

    with ieee_float32(), torch.inference_mode():
        yield


@contextmanager
def one_thread() -> Iterator[None]:
    """Run the block on one CPU thread: small layers wait longer for other threads than they compute."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

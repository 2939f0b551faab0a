"""Where networks compute and in which precision: devices, memory layout, exact float32, threads.

Importing this needs no torch, so that modules which only declare networks stay light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Literal

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
    if device.startswith("cuda:") and torch.cuda.is_available():
        torch.cuda.set_device(device)
    return device


def channels_last(module: nn.Module) -> None:
    """Lay weights of 2-D convolutions out by channel, as tensor cores read them; activations follow, others stay."""
    import torch

    for parameter in module.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)


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

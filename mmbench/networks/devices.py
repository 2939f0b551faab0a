"""Where networks compute and in which precision: devices, memory layout, exact float32, threads.

Importing this needs no torch, so that modules which only declare networks stay light.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def local_device(device: str) -> str:
    """The device to compute on: "auto" is a GPU if there is one; each process of a launcher gets its own of several."""
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    rank = os.environ.get("LOCAL_RANK") or os.environ.get("SLURM_LOCALID")
    return f"cuda:{int(rank) % max(torch.cuda.device_count(), 1)}" if device == "cuda" and rank else device


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
        "mkldnn.matmul": backends.mkldnn.matmul,
        "mkldnn.conv": backends.mkldnn.conv,
    }


@contextmanager
def ieee_float32() -> Iterator[None]:
    """Run the block with products and convolutions in real float32: no TF32, which is a default on NVIDIA GPUs."""
    switches = precision_switches().values()
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


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

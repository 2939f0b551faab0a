"""What the feature networks share: random weights for runs without the official ones, loading, exact float32."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from mmbench.errors import MMBenchError

if TYPE_CHECKING:
    import torch


def random_array(key: str, shape: tuple[int, ...], salt: str) -> np.ndarray:
    """Standard normal float32 values that depend on the key and the salt alone."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32((salt + key).encode())))
    return generator.standard_normal(shape, dtype=np.float32)


def _recipe(key: str, shape: tuple[int, ...], bias_std: float, salt: str) -> np.ndarray:
    normal = random_array(key, shape, salt)
    if key.endswith("running_var"):
        return 1 + np.float32(0.2) * np.abs(normal)
    if key.endswith("weight") and len(shape) > 1:
        return normal * np.float32(np.sqrt(2 / np.prod(shape[1:])))
    if key.endswith("weight"):  # of a norm
        return 1 + np.float32(0.1) * normal
    return np.float32(bias_std) * normal


def fill_randomly(network: torch.nn.Module, salt: str, bias_std: float = 0.1) -> None:
    """Give a network random weights that keep the scale of activations, whatever the state of global generators.

    Args:
        network: Its floating-point parameters and batch-norm statistics of at least one dimension are replaced.
        salt: Another salt gives other weights.
        bias_std: Standard deviation of biases and everything else that is neither a weight nor a variance.
    """
    import torch

    with torch.no_grad():
        for key, value in network.state_dict(keep_vars=True).items():
            if value.ndim and value.is_floating_point() and not key.endswith("mask"):
                value.copy_(torch.from_numpy(_recipe(key, tuple(value.shape), bias_std, salt)))


def load_needed(network: torch.nn.Module, state: Mapping[str, Any], source: str) -> list[str]:
    """Load the tensors a network needs and give back the names of the others; nothing is copied.

    Raises:
        MMBenchError: A tensor is missing or has another shape.
    """
    need = network.state_dict()
    missing = [key for key in need if key not in state]
    if missing:
        raise MMBenchError(f"{source} lacks {len(missing)} tensors, first {missing[0]}.", "all that the network has")
    for key, value in need.items():
        if state[key].shape != value.shape:
            raise MMBenchError(f"{key} of {source} is {tuple(state[key].shape)}.", f"{tuple(value.shape)}")
    network.load_state_dict({key: state[key] for key in need}, assign=True)
    return [key for key in state if key not in need]


@contextmanager
def exact_float32() -> Iterator[None]:
    """Inference in full float32: no autograd, no TF32, no bfloat16 products, whatever generation has switched on."""
    import torch

    backends: Any = torch.backends
    switches = [backends.cuda.matmul, backends.cudnn.conv, backends.mkldnn.matmul, backends.mkldnn.conv]
    before = [switch.fp32_precision for switch in switches]
    try:
        for switch in switches:
            switch.fp32_precision = "ieee"
        with torch.inference_mode():
            yield
    finally:
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision


@contextmanager
def one_thread() -> Iterator[None]:
    """One CPU thread: layers this small spend longer waiting for each other's threads, fourfold on a busy machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

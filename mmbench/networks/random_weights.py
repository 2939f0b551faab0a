"""Random weights, the same everywhere, for networks whose official weights are not here."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

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

"""Untrained pipelines: built without a word, from weights that depend on their name alone, frozen."""

from __future__ import annotations

import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
import transformers
from torch import nn

from mmbench.networks.random_weights import random_array


def build_untrained(name: str, build: Callable[[], Any]) -> Any:
    """Build a pipeline on the CPU, in evaluation mode; torch's global generator is left as it was.

    Args:
        name: Another name gives other weights.
        build: Makes the pipeline of networks that initialise themselves.
    """
    with quiet(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(zlib.crc32(name.encode()))
        pipeline = build()
    pipeline.set_progress_bar_config(disable=True)
    for part, network in pipeline.components.items():
        if isinstance(network, nn.Module):
            _wake(network.eval().requires_grad_(False), part)
    return pipeline


@contextmanager
def quiet() -> Iterator[None]:
    """Mute warnings of diffusers and transformers, and Python's, inside the block only."""
    logs = diffusers.utils.logging, transformers.utils.logging
    before = [log.get_verbosity() for log in logs]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for log in logs:
                log.set_verbosity_error()
            yield
        finally:
            for log, verbosity in zip(logs, before, strict=True):
                log.set_verbosity(verbosity)


@contextmanager
def without_bars() -> Iterator[None]:
    """Show no progress bars of diffusers and transformers inside the block only."""
    logs = [log for log in (diffusers.utils.logging, transformers.utils.logging) if log.is_progress_bar_enabled()]
    try:
        for log in logs:
            log.disable_progress_bar()
        yield
    finally:
        for log in logs:
            log.enable_progress_bar()


def _wake(network: nn.Module, salt: str) -> None:
    """Fill matrices that start as zeros, or nearly so: they would hide the prompt, the time or the latents."""
    for key, weight in network.named_parameters():
        if weight.ndim > 1 and not weight.is_meta and weight.abs().max() < 1e-3:
            values = torch.from_numpy(random_array(key, tuple(weight.shape), salt))
            weight.copy_(values / weight[0].numel() ** 0.5)

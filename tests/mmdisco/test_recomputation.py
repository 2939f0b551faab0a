"""Blocks that compute their inside again: the same numbers in every pass, and little that is kept."""

from __future__ import annotations

import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import independent, mmdisco_losses
from mmbench.mmdisco.recomputation import recompute, recompute_blocks
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import DESIGNS
from tests.mmdisco.test_training import CONFIG, run, weights
from tests.mmdisco.test_training_step import ALPHAS, batch, quiet, small


def passes(design: str, checkpointing: bool, **given: Any) -> tuple[list[Tensor], int]:
    """Losses and gradients of a step in float64, and the bytes that autograd kept of it."""
    model = Discriminator(small(design)).double()
    fill_randomly(model, "blocks")
    if checkpointing:
        recompute_blocks(model)
    kept = weakref.WeakSet[Any]()

    def keep(tensor: Tensor) -> Tensor:
        kept.add(tensor.untyped_storage())
        return tensor

    base = independent(lambda x, t, c: 0.5 * x, lambda y, t, c: 0.4 * y)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        losses = mmdisco_losses(model, base, ALPHAS, batch(3, 0), batch(3, 1), **given)
    own = {p.untyped_storage() for p in model.parameters()}
    total = sum(storage.nbytes() for storage in kept if storage not in own)
    losses.total.backward()
    gradients = [torch.zeros(()) if p.grad is None else p.grad for p in model.parameters()]
    return [losses.total.detach(), *gradients], total


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize(
    "given", [{"weight_denoising": 0.3}, {"weight_denoising": 0.0}, {"weight_discrimination": 0.0}]
)
def test_both_losses_have_the_gradients_of_blocks_that_keep_everything(design: str, given: dict[str, float]) -> None:
    (kept, most), (again, least) = (passes(design, checkpointing, **given) for checkpointing in (False, True))
    assert len(kept) == len(again)
    for a, b in zip(kept, again, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-9, atol=1e-12)
    assert least < most / 2


def test_a_training_that_keeps_less_is_the_same_training_and_may_begin_in_the_middle(tmp_path: Path) -> None:
    whole = run(CONFIG, tmp_path / "whole", pair=quiet())
    run(replace(CONFIG, steps=4), tmp_path / "parts", pair=quiet())
    parts = run(replace(CONFIG, checkpointing=True, micro_batch=3), tmp_path / "parts", pair=quiet())
    assert (whole.steps, parts.steps, parts.resumed_at) == (6, 6, 4)
    for name, value in weights(tmp_path / "whole").items():
        torch.testing.assert_close(weights(tmp_path / "parts")[name], value, rtol=1e-3, atol=1e-5)


def test_what_is_computed_again_is_as_precise_as_it_was() -> None:
    """In the fake pass under bfloat16, whose backward pass runs after the autocast has ended."""

    def gradient(checkpointing: bool) -> list[Tensor]:
        model = Discriminator(small("res_mlp"))
        fill_randomly(model, "blocks")
        if checkpointing:
            recompute_blocks(model)
        pairs = batch(3, 0)
        video, audio, text, other = (z.float() for z in (*pairs.sample, *pairs.text))
        with torch.autocast("cpu", torch.bfloat16):
            h = model(video, audio, pairs.t, text, other)
        h.float().sum().backward()
        return [z.grad for z in model.parameters() if z.grad is not None]

    whole, again = gradient(False), gradient(True)
    assert len(whole) == len(again)
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


class Counted(nn.Module):
    """A block that counts its passes and has an input and an output that nothing depends on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0, dtype=torch.float64))
        self.calls = 0

    def forward(self, pair: tuple[Tensor, Tensor], unused: Tensor) -> tuple[Tensor, Tensor]:
        self.calls += 1
        return (self.weight * pair[0]).sin() * pair[1], unused.cos()


def test_a_block_is_run_again_once_for_each_pass_of_a_second_gradient() -> None:
    block = Counted()
    recompute(block)
    x, y, unused = (torch.linspace(0, 1, 4, dtype=torch.float64).add(k).requires_grad_() for k in range(3))
    h, _ = block((x, y), unused)
    (by_x,) = torch.autograd.grad(h.sum(), x, create_graph=True)
    assert block.calls == 2
    torch.testing.assert_close(by_x, 2 * (2 * x).cos() * y)
    (by_x.square().sum() + h.sum()).backward()
    assert block.calls == 4
    with torch.no_grad():
        slope = 2 * by_x * ((2 * x).cos() * y - 2 * x * (2 * x).sin() * y) + (2 * x).cos() * x * y
        torch.testing.assert_close(block.weight.grad, slope.sum())
    assert unused.grad is None
    with torch.no_grad():
        block((x, y), unused)
    assert block.calls == 5

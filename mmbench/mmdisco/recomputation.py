"""Computes the inside of a block again whenever a gradient needs it, instead of keeping it: less memory, more time.

torch's own `checkpoint` drops what the forward pass keeps and not what the first gradient keeps for the second, which
is the larger part where a gradient by the sample is trained. Here the first gradient of a block is a node of its own,
which keeps what came into it and computes the rest again, too. So of every block its inputs are kept, and in a
gradient that is trained also the gradient by its outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmbench.mmdisco import fusion, vit
from mmbench.mmdisco.residual import InitialBlock, ResBlock

BLOCKS = (InitialBlock, ResBlock, vit.Block, fusion.Attention, fusion.FeedForward)  # nearly all of the activations
Tensors = Sequence[Tensor | None]


def recompute_blocks(discriminator: nn.Module) -> None:
    """Let a discriminator keep little more than the inputs of its blocks for gradients, and compute the rest again.

    Nothing else changes, but for rounding. A gradient with `create_graph` is by the sample alone then.
    """
    for block in discriminator.modules():
        if isinstance(block, BLOCKS):
            recompute(block)


def recompute(block: nn.Module) -> None:
    """Let a block keep nothing but its inputs for its gradients, from now on; what it computes stays the same.

    A block is a function of tensors, or tuples of them, and of its parameters, without randomness or state. It can be
    differentiated by its inputs, and then by inputs and parameters. A gradient with `create_graph` is by inputs alone:
    none flows to parameters in that pass.
    """
    inside = block.forward
    parameters = tuple(block.parameters())

    def forward(*args: Any) -> Any:
        if not torch.is_grad_enabled():
            return inside(*args)
        sizes = [len(arg) if isinstance(arg, tuple) else None for arg in args]
        flat = [tensor for arg in args for tensor in (arg if isinstance(arg, tuple) else (arg,))]

        def run(*tensors: Tensor) -> tuple[Tensor, ...]:
            rest = iter(tensors)
            out = inside(*(next(rest) if size is None else tuple(next(rest) for _ in range(size)) for size in sizes))
            return out if isinstance(out, tuple) else (out,)

        out = _Block.apply(_Inside(run, flat[0].device.type, parameters), len(flat), *flat, *parameters)
        return out if len(out) > 1 else out[0]

    block.forward = forward


class _Inside:
    """A block as a function of its tensors, run with a graph under the autocast of when it was called first."""

    def __init__(self, run: Callable[..., tuple[Tensor, ...]], device: str, parameters: Sequence[nn.Parameter]) -> None:
        self.run, self.parameters = run, parameters
        self.autocast: AbstractContextManager[Any] = nullcontext()
        if torch.amp.is_autocast_available(device):  # meta tensors have none
            enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
            self.autocast = torch.autocast(device, dtype, enabled)

    def again(self, tensors: Sequence[Tensor], wanted: Sequence[bool]) -> tuple[list[Tensor], tuple[Tensor, ...]]:
        """Fresh leaves, those that are wanted with gradients, and the outputs that they lead to."""
        leaves = [z.detach().requires_grad_(want) for z, want in zip(tensors, wanted, strict=True)]
        with torch.enable_grad(), self.autocast:
            return leaves, self.run(*leaves)


def _gradient(
    outputs: Tensors, by: Sequence[Tensor], grads: Tensors, create_graph: bool = False
) -> list[Tensor | None]:
    """The gradient of those outputs that have one coming in; None by what they do not depend on."""
    pairs = [(z, g) for z, g in zip(outputs, grads, strict=True) if z is not None and g is not None and z.requires_grad]
    if not pairs or not by:
        return [None] * len(by)
    z, g = zip(*pairs, strict=True)
    return list(torch.autograd.grad(z, by, g, create_graph=create_graph, allow_unused=True))


def _in_place(values: Sequence[Tensor | None], wanted: Sequence[bool]) -> list[Tensor | None]:
    """Values of what is wanted, each at its place among all."""
    rest = iter(values)
    return [next(rest) if want else None for want in wanted]


class _Block(torch.autograd.Function):
    """The outputs of a block from `n` tensors and its parameters."""

    @staticmethod
    def forward(ctx: Any, inside: _Inside, n: int, *tensors: Tensor) -> tuple[Tensor, ...]:
        ctx.save_for_backward(*tensors[:n])
        ctx.set_materialize_grads(False)
        ctx.inside = inside
        return inside.run(*tensors[:n])

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> Any:
        inside, tensors, (_, _, *wanted) = ctx.inside, ctx.saved_tensors, ctx.needs_input_grad
        n = len(tensors)
        if torch.is_grad_enabled():  # a gradient that is differentiated again
            by_inputs = _Gradient.apply(inside, n, wanted[:n], *tensors, *grads, *inside.parameters)
            return None, None, *by_inputs, *[None] * len(inside.parameters)
        leaves, outputs = inside.again(tensors, wanted[:n])
        by = [z for z, want in zip((*leaves, *inside.parameters), wanted, strict=True) if want]
        return None, None, *_in_place(_gradient(outputs, by, grads), wanted)


class _Gradient(torch.autograd.Function):
    """The gradient of a block by its inputs, from these, the gradients by its outputs, and its parameters."""

    @staticmethod
    def forward(ctx: Any, inside: _Inside, n: int, wanted: Sequence[bool], *rest: Tensor | None) -> Any:
        end = len(rest) - len(inside.parameters)
        ctx.save_for_backward(*rest[:end])
        ctx.set_materialize_grads(False)
        ctx.inside, ctx.n, ctx.wanted = inside, n, wanted
        leaves, outputs = inside.again(rest[:n], wanted)  # type: ignore[arg-type]
        by = [z for z, want in zip(leaves, wanted, strict=True) if want]
        return tuple(_in_place(_gradient(outputs, by, rest[n:end]), wanted))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *cotangents: Tensor | None) -> Any:
        inside, n = ctx.inside, ctx.n
        leaves, outputs = inside.again(ctx.saved_tensors[:n], ctx.wanted)
        grads = [None if g is None else g.detach().requires_grad_() for g in ctx.saved_tensors[n:]]
        by_inputs = [z for z, want in zip(leaves, ctx.wanted, strict=True) if want]
        with torch.enable_grad():
            first = _in_place(_gradient(outputs, by_inputs, grads, create_graph=True), ctx.wanted)
        everything = [*leaves, *grads, *inside.parameters]
        asked = [z is not None and z.requires_grad for z in everything]
        by = [z for z, want in zip(everything, asked, strict=True) if want and z is not None]
        return None, None, None, *_in_place(_gradient(first, by, cotangents), asked)

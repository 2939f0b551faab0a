"""Counts the floating-point operations of guidance and training, at published size, without weights, data or a GPU.

Networks and inputs are tensors without storage, so what is counted is what would run: products and convolutions of
every pass, a multiply-add as two operations, as `torch.utils.flop_counter` counts each; that counter itself cannot see
into `torch.autograd.grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from mmbench.baselines.kinds.pair import DiffusionPair, Sampling
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.losses import Noised, mmdisco_losses


class _Counter(TorchDispatchMode):
    """Adds up the operations of everything that runs inside."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(function._overloadpacket)
        if count is None and function is not torch.ops.prim.device.default:
            with self:  # operations made of others, as attention may be
                whole = function.decompose(*args, **kwargs)
            if whole is not NotImplemented:
                return whole
        out = function(*args, **kwargs)
        self.total += 0 if count is None else count(*args, **kwargs, out_val=out)
        return out


class _Weightless(TorchFunctionMode):
    """Lets code run on tensors without storage that fetches results to the CPU, or asks whether a mask is all true."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.Tensor.cpu and args[0].is_meta:
            return args[0]
        if function is torch.Tensor.__bool__ and args[0].is_meta:
            return True
        return function(*args, **(kwargs or {}))


@contextmanager
def weightless() -> Iterator[None]:
    """Run the block with new tensors and networks on torch's "meta" device, without storage."""
    with torch.device("meta"), _Weightless():
        yield


def count_flops(work: Callable[[], Any]) -> int:
    """The floating-point operations of `work`, on whatever device its tensors are."""
    with _Counter() as counter:
        work()
    return counter.total


@dataclass(frozen=True)
class GuidanceFlops:
    """Floating-point operations of one guided step of one sample.

    Attributes:
        parameters: Of the discriminator.
        base: Of the base models, both passes where text guides freely.
        forward: Of the discriminator alone, in as many passes.
        gradient: Of the discriminator's gradient as guidance computes it.
    """

    parameters: int
    base: int
    forward: int
    gradient: int


def count_base(pair: DiffusionPair, sampling: Sampling) -> int:
    """Floating-point operations of the base models in one step of one sample."""
    predict, state, t = _predictor(pair, sampling, None)
    return count_flops(lambda: predict(state, t))


def count_guidance(pair: DiffusionPair, sampling: Sampling, base: int, design: str, **sizes: int) -> GuidanceFlops:
    """The operations of guidance by a discriminator of `design` on a weightless pair whose `base` was counted.

    Args:
        pair: Made in `weightless`.
        sampling: Its sampling: whether text guides freely.
        base: Of `count_base`.
        design: Of the discriminator.
        **sizes: channels and num_blocks, where they are not the published ones.
    """
    with weightless():
        model = Discriminator(pair.discriminator(design, **sizes)).requires_grad_(False)
    predict, state, t = _predictor(pair, sampling, model)
    gradient = count_flops(lambda: predict(state, t)) - base
    once = (*state, t, *(predict.guidance.text if predict.guidance else ()))
    passes = 2 if predict.free_scale and model.config.text else 1
    with torch.no_grad():
        forward = passes * count_flops(lambda: model(*once))
    return GuidanceFlops(sum(p.numel() for p in model.parameters()), base, forward, gradient)


def count_training_step(pair: DiffusionPair, design: str, num: int, **sizes: int) -> tuple[int, int]:
    """Operations of the losses and of their backward pass, on `num` real and as many generated pairs.

    Args:
        pair: Made in `weightless`; its own operations are not counted.
        design: Of the discriminator.
        num: Pairs of either kind.
        **sizes: channels and num_blocks, where they are not the published ones.
    """
    with weightless():
        model = Discriminator(pair.discriminator(design, **sizes))
        x, y = (torch.empty(num, *shape) for shape in pair.shapes)
        t, alphas = torch.zeros(num, dtype=torch.long), (torch.ones(1000, dtype=torch.float64),) * 2
        texts = tuple(torch.empty(num, *u.shape) for u in pair.unconditional) if model.config.text else ()
    batch = Noised((x, y), (x, y), t, None, texts)
    losses: list[Any] = []
    forward = count_flops(
        lambda: losses.append(mmdisco_losses(model, lambda *_: (x, y), alphas, batch, batch))  # bases cost nothing
    )
    return forward, count_flops(lambda: losses[0].total.backward())


def _predictor(pair: DiffusionPair, sampling: Sampling, model: Discriminator | None) -> tuple[Any, Any, Any]:
    with weightless():
        texts, empty = (tuple(torch.empty(1, *u.shape) for u in pair.unconditional) for _ in range(2))
        state = tuple(torch.empty(1, *shape) for shape in pair.shapes)
        t = torch.zeros(1, dtype=torch.long)
        alphas = tuple(torch.ones(1000, dtype=torch.float64) for _ in state)
    read = (texts, empty) if model is not None and model.config.text else ((), ())
    guidance = None if model is None else Guidance(model, (1.0, 1.0), *read)
    free = sampling.free_scale if texts else None
    predict = JointPredictor(pair.epsilon, alphas, texts or None, empty or None, free, guidance)  # type: ignore[arg-type]
    return predict, state, t

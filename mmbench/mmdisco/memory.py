"""Predicts the memory that a discriminator's training takes, by running one step on tensors without storage."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.mmdisco.recomputation import recompute_blocks
from mmbench.mmdisco.training_config import TrainConfig

COPIES = 5  # of float32 weights: themselves, gradients, two of Adam, average


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training's parts on one device; the base models are not in it.

    Attributes:
        weights: Weights, gradients, Adam's moments and the average.
        kept: What autograd keeps of a micro-batch for the backward pass, at the end of the losses.
        step: The most that is alive at once of everything else, in the losses or the backward pass.
    """

    weights: int
    kept: int
    step: int

    @property
    def peak(self) -> int:
        """The expected peak."""
        return self.weights + self.step


class _Alive(TorchDispatchMode):
    """Bytes of the storages that were made inside, and the most that there were at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self._known = weakref.WeakSet[Any]()

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                self._see(tensor.untyped_storage())
        return out

    def _see(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known.add(storage)
        self.now += storage.nbytes()
        self.most = max(self.most, self.now)
        weakref.finalize(storage, self._gone, storage.nbytes())

    def _gone(self, nbytes: int) -> None:
        self.now -= nbytes


def predict_training_memory(
    config: TrainConfig, shapes: tuple[Sequence[int], Sequence[int]], texts: Sequence[Sequence[int]] = ()
) -> TrainingMemory:
    """Predicts the memory of a training without weights, data or device.

    A mixed-precision training is counted as float32, which it is where the denoising loss is trained.

    Args:
        config: How to train; memory grows with `micro_batch`, or `batch_size` without one.
        shapes: Of one video and one audio latent.
        texts: Shapes of the texts of one video and one audio; () without.
    """
    size = min(config.micro_batch or config.batch_size, config.batch_size)
    with torch.device("meta"):
        model = Discriminator(config.discriminator)
        x, y = (torch.empty(size, *shape) for shape in shapes)
        embeddings = tuple(torch.empty(size, *shape) for shape in texts)
        batch = Noised((x, y), (x, y), torch.zeros(size, dtype=torch.long), text=embeddings)
        alphas = torch.ones(1000, dtype=torch.float64), torch.ones(1000, dtype=torch.float64)
    if config.checkpointing:
        recompute_blocks(model)
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    kept = weakref.WeakSet[Any]()  # weak, for what a block computes again is kept for a moment only

    def keep(tensor: Tensor) -> Tensor:
        kept.add(tensor.untyped_storage())
        return tensor

    with _Alive() as alive:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            losses = mmdisco_losses(
                model,
                lambda x, y, t, condition: (x, y),
                alphas,
                batch,
                replace(batch),
                weight_discrimination=float(config.loss != "denoise"),
                weight_denoising=config.weight_denoising if config.loss != "disc" else 0.0,
            )
        own = {p.untyped_storage() for p in model.parameters()}
        total = sum(storage.nbytes() for storage in kept if storage not in own)
        losses.total.backward(inputs=list(model.parameters()))
    return TrainingMemory(COPIES * weights, total, alive.most)

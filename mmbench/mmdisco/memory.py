"""Predicts the memory that a discriminator's training takes, by running one step on tensors without storage."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import Noised, mmdisco_losses
from mmbench.mmdisco.training_config import TrainConfig

BACKWARD = 1.5  # peak of the backward pass over what the forward pass keeps; measured: results/speed
COPIES = 5  # of float32 weights: themselves, gradients, two of Adam, average


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of a training's parts on one device; the base models are not in it.

    Attributes:
        weights: Weights, gradients, Adam's moments and the average.
        kept: What autograd keeps of a micro-batch for the backward pass, at the end of the losses.
    """

    weights: int
    kept: int

    @property
    def peak(self) -> int:
        """The expected peak."""
        return self.weights + round(BACKWARD * self.kept)


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
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    kept: dict[int, torch.UntypedStorage] = {}  # storages stay referenced, so that no id is used twice

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        mmdisco_losses(
            model,
            lambda x, y, t, condition: (x, y),
            alphas,
            batch,
            replace(batch),
            weight_discrimination=float(config.loss != "denoise"),
            weight_denoising=config.weight_denoising if config.loss != "disc" else 0.0,
        )
    own = {p.untyped_storage()._cdata for p in model.parameters()}
    total = sum(storage.nbytes() for key, storage in kept.items() if key not in own)
    return TrainingMemory(COPIES * weights, total)

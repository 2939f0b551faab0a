"""The settings of a discriminator's training, and which of them a training that goes on may change."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.types import Loss

Precision = Literal["float32", "bfloat16", "float16"]
DenoisingReduction = Literal["mean", "sum"]
FREE_TO_CHANGE = (
    "batch_size",
    "micro_batch",
    "checkpointing",
    "epochs",
    "steps",
    "checkpoint_every",
    "log_every",
    "workers",
    "tensorboard",
)


@dataclass(frozen=True)
class TrainConfig:
    """The settings of a training: everything but the data and the base models.

    Attributes:
        discriminator: What to train.
        loss: "all", or one term alone: "disc" or "denoise".
        weight_denoising: lambda of Eq. 16.
        denoising_reduction: Whether the denoising loss is the "mean" over the elements of each modality or their
            "sum", as Eq. 13 is printed.
        batch_size: Real pairs, and as many generated ones, per step and process.
        micro_batch: Pairs of either kind that are in memory at once; their gradients add up to those of the whole
            batch, to rounding; a base model that draws numbers as it runs draws for each part. None for all.
        checkpointing: Compute the inside of the discriminator's blocks again for every gradient instead of keeping
            it; the numbers are the same, to rounding.
        epochs: Passes over the real pairs.
        steps: Steps, instead of epochs.
        learning_rate: Adam's.
        text_drop: Share of pairs whose texts are replaced by the unconditional ones.
        max_gradient_norm: Longer gradients are scaled down to this.
        ema_decay: Of the exponential average of the weights, approached gradually; 0 keeps the last weights instead.
        precision: Of the base models, and of the discriminator's passes whose gradient by the sample is not part of
            the loss; those whose is stay in float32, for second gradients are small differences.
        seed: Of weights, order, timesteps, noises and dropped texts.
        checkpoint_every: Steps between checkpoints.
        log_every: Steps between reports.
        workers: Processes that read pairs ahead.
        tensorboard: Write event files to the output folder.
    """

    discriminator: DiscriminatorConfig
    loss: Loss = "all"
    weight_denoising: float = 1.0
    denoising_reduction: DenoisingReduction = "mean"
    batch_size: int = 16
    micro_batch: int | None = None
    checkpointing: bool = False
    epochs: float = 100.0
    steps: int | None = None
    learning_rate: float = 1e-3
    text_drop: float = 0.1
    max_gradient_norm: float = 1.0
    ema_decay: float = 0.999
    precision: Precision = "float32"
    seed: int = 0
    checkpoint_every: int = 500
    log_every: int = 50
    workers: int = 0
    tensorboard: bool = False

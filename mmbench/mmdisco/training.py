"""Trains a discriminator on real pairs against a pool of generated ones (arXiv 2405.17842, Algorithm 1).

Runs on a CPU, one GPU, several, or several machines that share a folder, under `accelerate launch` (GPUs) or `torchrun`
(CPUs too). Neither the number of processes nor a kill and resume changes what is trained. Gradients are averaged by
hand: the losses differentiate the network inside the step, which `DistributedDataParallel` does not support.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor
from torch.utils.data import DataLoader

from mmbench.errors import NonFiniteError, UsageError
from mmbench.mmdisco.checkpoint import CHECKPOINT, WEIGHTS, load_checkpoint, save_card, save_checkpoint, save_weights
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import Epsilon, JointEpsilon, Noised, Pair, independent, mmdisco_losses
from mmbench.mmdisco.pairs import Batches, PairSource, entropy
from mmbench.mmdisco.reporting import reporter
from mmbench.mmdisco.schedule import NoiseSchedule

Precision = Literal["float32", "bfloat16", "float16"]
DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
FREE_TO_CHANGE = ("batch_size", "epochs", "steps", "checkpoint_every", "log_every", "workers", "tensorboard")


@dataclass(frozen=True)
class TrainConfig:
    """How to train; everything but the data, the base models and the schedules.

    Attributes:
        discriminator: What to train.
        loss: "all", or one term alone: "disc" or "denoise".
        weight_denoising: lambda of Eq. 16.
        batch_size: Real pairs, and as many generated ones, per step and process.
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
    loss: Literal["all", "disc", "denoise"] = "all"
    weight_denoising: float = 1.0
    batch_size: int = 16
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


@dataclass(frozen=True)
class TrainResult:
    """Where the weights are, how many steps they had, where this run took over, and the reported losses."""

    weights: Path
    steps: int
    resumed_at: int
    losses: list[dict[str, float]] = field(default_factory=list)


def train(
    config: TrainConfig,
    real: PairSource,
    fake: PairSource,
    epsilon_x: Epsilon,
    epsilon_y: Epsilon,
    schedule_x: NoiseSchedule,
    schedule_y: NoiseSchedule,
    out_dir: Path,
    *,
    unconditional: tuple[Tensor, ...] = (),
    joint: JointEpsilon | None = None,
    trained_on: str = "",
    pairs: Sequence[str] = (),
) -> TrainResult:
    """Train, or resume, and leave weights, card and checkpoints in `out_dir`. Reseeds the global generators.

    Args:
        config: How.
        real: Pairs of the data.
        fake: Pairs of which the base models generated each half on its own.
        epsilon_x: (x_t, t, video_text or None) -> predicted noise; frozen, on this process's device, and called for
            the denoising loss only.
        epsilon_y: The same for audio.
        schedule_x: Noise schedule of the video.
        schedule_y: Noise schedule of the audio; as many timesteps.
        out_dir: Folder; the checkpoint in it, if any, is resumed.
        unconditional: (video_text, audio_text) of the empty prompt, without a batch axis; with text only.
        joint: (x_t, y_t, t, condition) -> both predictions, of base models that cannot be called one by one.
        trained_on: Dataset and base models in words, for the card.
        pairs: What tells these pairs from others, such as digests; a checkpoint of others is refused.

    Raises:
        UsageError: If data, config and checkpoint do not belong together.
        NonFiniteError: If a loss or a gradient becomes NaN or infinite; the last good checkpoint stays.
    """
    _check(config, real, fake, schedule_x, schedule_y, unconditional)
    accelerator = Accelerator()
    world, main = accelerator.num_processes, accelerator.is_main_process
    global_batch_size = config.batch_size * world
    steps = config.steps or math.ceil(config.epochs * len(real) / global_batch_size)
    record = {
        "config": {k: v for k, v in asdict(config).items() if k not in FREE_TO_CHANGE},
        "global_batch_size": global_batch_size,
        "num_real": len(real),
        "num_fake": len(fake),
        "pairs": list(pairs),
        "schedules": [asdict(schedule_x), asdict(schedule_y)],
        "trained_on": trained_on,
    }
    epsilon = joint or independent(epsilon_x, epsilon_y)
    training = _Training(config, accelerator, epsilon, (schedule_x, schedule_y))
    resumed_at = training.restore(out_dir, record)
    if main:
        out_dir.mkdir(parents=True, exist_ok=True)
    place = {"rank": accelerator.process_index, "world": world}
    drawn = (config.seed, config.batch_size, schedule_x.num_train_timesteps, config.text_drop, unconditional)
    batches = Batches(real, fake, *drawn, **place)
    pinned = accelerator.device.type == "cuda"
    todo: Any = range(resumed_at, steps)
    loader = DataLoader(batches, None, sampler=todo, num_workers=config.workers, pin_memory=pinned)
    events = out_dir if config.tensorboard else None
    report = reporter(resumed_at, steps, global_batch_size, events) if main else None
    for real_batch, fake_batch in loader:
        set_seed(entropy(config.seed, "step", training.step))  # base models may draw from the global generators
        losses = training.update(real_batch.on(accelerator.device), fake_batch.on(accelerator.device), out_dir)
        if training.step % config.log_every == 0 or training.step == steps:
            training.losses.append({"step": training.step, **losses})
            if report:
                report(training.step, losses)
        if training.step % config.checkpoint_every == 0 or training.step == steps:
            accelerator.wait_for_everyone()
            if main:
                save_checkpoint(out_dir, training.state(record))
    if main:
        save_weights(out_dir, training.average or training.model.state_dict(), config.discriminator)
        count = sum(p.numel() for p in training.model.parameters())
        save_card(out_dir, record | {"steps": training.step, "num_parameters": count, "losses": training.losses})
    accelerator.wait_for_everyone()
    return TrainResult(out_dir / WEIGHTS, training.step, resumed_at, training.losses)


def _check(
    config: TrainConfig,
    real: PairSource,
    fake: PairSource,
    schedule_x: NoiseSchedule,
    schedule_y: NoiseSchedule,
    unconditional: tuple[Tensor, ...],
) -> None:
    if config.loss not in ("all", "disc", "denoise"):
        raise UsageError(f"Unknown loss {config.loss!r}.", "all, disc or denoise")
    if schedule_x.num_train_timesteps != schedule_y.num_train_timesteps:
        found = f"{schedule_x.num_train_timesteps} and {schedule_y.num_train_timesteps}"
        raise UsageError(f"The schedules have {found} timesteps.", "as many, for both modalities share t")
    for name, source in (("real", real), ("fake", fake)):
        if not len(source):
            raise UsageError(f"There are no {name} pairs.", "at least one")
        texts = sum(text is not None for text in source[0][2:])
        if not texts == len(unconditional) == (2 if config.discriminator.text else 0):
            raise UsageError(
                f"{name} pairs have {texts} texts, {len(unconditional)} unconditional texts are given, and the "
                f"discriminator reads {'two' if config.discriminator.text else 'none'}.",
                "two each, or none at all",
            )


class _Training:
    """The network with all that changes from step to step."""

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        epsilon: JointEpsilon,
        schedules: tuple[NoiseSchedule, NoiseSchedule],
    ) -> None:
        self.config, self.accelerator, self._epsilon = config, accelerator, epsilon
        self.device = accelerator.device
        x, y = (schedule.alphas_cumprod.to(self.device) for schedule in schedules)
        self.alphas_cumprod: Pair = (x, y)
        set_seed(entropy(config.seed, "weights"))  # the same on every process
        self.model = Discriminator(config.discriminator).to(self.device).train()
        self.parameters = list(self.model.parameters())
        self.optimizer = torch.optim.Adam(self.parameters, config.learning_rate)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "float16")
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()} if config.ema_decay else {}
        self.step, self.losses = 0, list[dict[str, float]]()

    def state(self, record: dict[str, Any]) -> dict[str, Any]:
        """Everything a resumed training needs; what is random is a function of the step."""
        parts = {"model": self.model, "optimizer": self.optimizer, "scaler": self.scaler}
        rest = {"step": self.step, "losses": self.losses, "average": self.average, "record": json.dumps(record)}
        return rest | {name: part.state_dict() for name, part in parts.items()}  # type: ignore[attr-defined]

    def restore(self, out_dir: Path, record: dict[str, Any]) -> int:
        """Continue from the folder's checkpoint, if it has one and belongs to the same training; returns its step."""
        state = load_checkpoint(out_dir)
        if state is None:
            return 0
        stored, wanted = json.loads(state["record"]), json.loads(json.dumps(record))
        for a, b in ((stored, wanted), (stored["config"], wanted["config"])):
            keys = [key for key in b if key not in ("config", "trained_on") and a.get(key) != b[key]]
            changed = [f"{key} is {a.get(key)!r}, now {b[key]!r}" for key in keys]
            if changed:
                raise UsageError(
                    f"{out_dir / CHECKPOINT} belongs to another training: {'; '.join(changed)}.",
                    f"the same settings (but for {', '.join(FREE_TO_CHANGE)})",
                    "another output folder",
                )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.average = {name: value.to(self.device) for name, value in state["average"].items()}
        self.step, self.losses = state["step"], state["losses"]
        return self.step

    def cast(self, gradient_matters: bool = False) -> AbstractContextManager[Any]:
        """Autocast, except where the gradient by the sample is part of the loss."""
        dtype = DTYPES.get(self.config.precision)
        return nullcontext() if dtype is None or gradient_matters else torch.autocast(self.device.type, dtype)

    def discriminator(self, x_t: Tensor, *rest: Tensor) -> Tensor:
        with self.cast(gradient_matters=x_t.requires_grad):
            return self.model(x_t, *rest).float()

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Tensor, condition: Any) -> Pair:
        with self.cast():
            x, y = self._epsilon(x_t, y_t, t, condition)
        return x.float(), y.float()

    def update(self, real: Noised, fake: Noised, out_dir: Path) -> dict[str, float]:
        """One step on this process's batch and everybody's mean gradient; returns everybody's mean losses."""
        config = self.config
        terms = mmdisco_losses(
            self.discriminator,
            self.epsilon,
            self.alphas_cumprod,
            real,
            fake,
            weight_discrimination=float(config.loss != "denoise"),
            weight_denoising=config.weight_denoising if config.loss != "disc" else 0.0,
        )
        self.optimizer.zero_grad()
        self.scaler.scale(terms.total).backward(inputs=self.parameters)
        named = {k: v.detach() for k, v in vars(terms).items() if v is not None}
        losses = dict(zip(named, self._average_over_processes(list(named.values())), strict=True))
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.max_gradient_norm).item()
        overflow = self.scaler.is_enabled() and self.scaler.get_scale() > 1  # float16's: skip the step, lower the scale
        if not (math.isfinite(losses["total"]) and (math.isfinite(norm) or overflow)):
            raise NonFiniteError(
                f"Step {self.step + 1}: loss {losses}, gradient norm {norm}.",
                f"finite numbers; {out_dir / CHECKPOINT}, if there is one, is from before",
                "a lower learning_rate, precision float32, or a look at the pairs",
            )
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.step += 1
        decay = min(config.ema_decay, self.step / (10 + self.step))
        for name, value in self.model.state_dict().items() if self.average else ():
            self.average[name].lerp_(value, 1 - decay)
        return losses

    def _average_over_processes(self, losses: list[Tensor]) -> list[float]:
        """Replace gradients by their mean over processes, in one message with the losses; returns mean losses."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        tensors = [*gradients, *losses]
        flat = self.accelerator.reduce(torch.cat([z.flatten() for z in tensors]), "mean")
        mean = flat.split([z.numel() for z in tensors])
        for p, values in zip(self.parameters, mean, strict=False):
            p.grad = values.view_as(p)
        return [float(value) for value in mean[len(gradients) :]]

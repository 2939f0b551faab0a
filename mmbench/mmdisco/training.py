"""Trains a discriminator on real pairs against a pool of generated ones (arXiv 2405.17842, Algorithm 1).

Runs on a CPU, one GPU, several, or several machines that share a folder, under `accelerate launch` (GPUs) or `torchrun`
(CPUs too). Neither the number of processes nor a kill and resume changes what is trained. Gradients are averaged by
hand: the losses differentiate the network inside the step, which `DistributedDataParallel` does not support.
"""

from __future__ import annotations

import math
import signal
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor
from torch.utils.data import DataLoader

from mmbench.errors import StoppedError, UsageError
from mmbench.files import make_folder
from mmbench.mmdisco.batches import Batches
from mmbench.mmdisco.checkpoint import WEIGHTS, save_card, save_checkpoint, save_weights
from mmbench.mmdisco.losses import Pair
from mmbench.mmdisco.noising import Noising
from mmbench.mmdisco.pairs import PairSource, entropy
from mmbench.mmdisco.reporting import reporter
from mmbench.mmdisco.schedule import Schedule
from mmbench.mmdisco.seen import view_of
from mmbench.mmdisco.stored import StoredDraws
from mmbench.mmdisco.trainer import Trainer
from mmbench.mmdisco.training_config import FREE_TO_CHANGE, TrainConfig
from mmbench.types import LOSSES


class BasePair(Protocol):
    """The two frozen base models that a discriminator is trained to join; their weights are on this process's device.

    Attributes:
        schedules: Noise schedules of video and audio, of as many timesteps.
        unconditional: (video_text, audio_text) of the empty prompt, without a batch axis; () for models without text.
    """

    @property
    def schedules(self) -> tuple[Schedule, Schedule]: ...

    @property
    def unconditional(self) -> tuple[Tensor, ...]: ...

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Any, condition: Any) -> Pair:
        """Predicted noises of n noised pairs at timesteps t (n,); `condition` is None or (video_text, audio_text).

        Called without gradient, and for the denoising loss only; not at all where predictions are stored. A pairing of
        levels other than "index" makes t a pair, (t_video, t_audio).
        """
        ...


@dataclass(frozen=True)
class TrainResult:
    """The result of a training.

    Attributes:
        weights: Path of the finished weights.
        steps: Steps that they had.
        resumed_at: Step from which this run went on; 0 for a new training.
        losses: The reported ones, by step.
    """

    weights: Path
    steps: int
    resumed_at: int
    losses: list[dict[str, float]] = field(default_factory=list)


def train(
    config: TrainConfig,
    pair: BasePair,
    real: PairSource,
    fake: PairSource,
    out_dir: Path,
    *,
    device: str = "auto",
    trained_on: str = "",
    pairs: Sequence[str] = (),
    stored: StoredDraws | None = None,
    stop: Callable[[], str] = str,
) -> TrainResult:
    """Trains a discriminator, or resumes, and leaves weights, card and checkpoints in `out_dir`.

    The global generators are reseeded.

    Args:
        config: How to train.
        pair: The base models.
        real: Pairs of the data.
        fake: Pairs whose video and audio the base models generated independently.
        out_dir: Folder; the checkpoint in it, if any, is resumed.
        device: Of the base models, where the discriminator is trained, too; "auto" leaves the choice to accelerate.
        trained_on: Dataset and base models in words, for the card.
        pairs: What tells these pairs from others, such as digests; a checkpoint of others is refused.
        stored: Draws of the real pairs with the predictions of the base models, which then are not asked; they are of
            the same timesteps, dropped texts and pairing as `config` says. None to draw anew in every step.
        stop: Asked after each step for the name of the signal that wants an end, "" for none; it is enough that one
            process has heard of one.

    Raises:
        StoppedError: A signal ended it before its last step; a checkpoint of the step is there.
        UsageError: If data, config, base models and checkpoint do not belong together.
        NonFiniteError: If a loss or a gradient becomes NaN or infinite; the last good checkpoint stays.
    """
    _refuse_mismatches(config, pair, real, fake)
    timesteps, pairing = pair.schedules[0].num_train_timesteps, config.discriminator.pairing
    noising = Noising(timesteps, config.text_drop, pair.unconditional, pairing)
    if stored is not None:
        _refuse_other_draws(stored, noising)
    accelerator = _accelerator(device)
    world, main = accelerator.num_processes, accelerator.is_main_process
    global_batch_size = config.batch_size * world
    steps = config.steps or math.ceil(config.epochs * len(real) / global_batch_size)
    record = {
        "config": {k: v for k, v in asdict(config).items() if k not in FREE_TO_CHANGE},
        "global_batch_size": global_batch_size,
        "num_real": len(real),
        "num_fake": len(fake),
        "pairs": list(pairs),
        "schedules": [schedule.record() for schedule in pair.schedules],
        "trained_on": trained_on,
    }
    training = Trainer(config, accelerator, pair.epsilon, pair.schedules, view_of(pair))
    resumed_at = training.restore(out_dir, record)
    if main:
        make_folder(out_dir)
    batches = Batches(real, fake, config.seed, config.batch_size, noising, accelerator.process_index, world, stored)
    pinned = accelerator.device.type == "cuda"
    todo: Any = range(resumed_at, steps)
    loader = DataLoader(
        batches,
        None,
        sampler=todo,
        num_workers=config.workers,
        pin_memory=pinned,
        worker_init_fn=_leave_signals_to_parent,
    )
    events = out_dir if config.tensorboard else None
    report = reporter(resumed_at, steps, global_batch_size, events) if main else None
    for real_batch, fake_batch in loader:
        set_seed(entropy(config.seed, "step", training.step))  # base models may draw from the global generators
        losses = training.update(real_batch.on(accelerator.device), fake_batch.on(accelerator.device), out_dir)
        finite = all(map(math.isfinite, losses.values()))  # not so in a step that float16 had to skip
        if finite and (training.step % config.log_every == 0 or training.step == steps):
            training.losses.append({"step": training.step, **losses})
            if report:
                report(training.step, losses)
        stopped = _is_heard_by_any(accelerator, stop())
        if stopped or training.step % config.checkpoint_every == 0 or training.step == steps:
            accelerator.wait_for_everyone()
            if main:
                save_checkpoint(out_dir, training.state(record))
        if stopped and training.step < steps:
            found = f"Stopped by a signal after step {training.step} of {steps}; a checkpoint of it is stored."
            raise StoppedError(found, "", "the same command again continues")
    if main:
        save_weights(out_dir, training.average or training.model.state_dict(), config.discriminator)
        count = sum(p.numel() for p in training.model.parameters())
        save_card(out_dir, record | {"steps": training.step, "num_parameters": count, "losses": training.losses})
    accelerator.wait_for_everyone()
    return TrainResult(out_dir / WEIGHTS, training.step, resumed_at, training.losses)


def _accelerator(device: str) -> Accelerator:
    """The processes that share the training, on `device`: accelerate takes the current GPU unless told otherwise."""
    kind, _, number = device.partition(":")
    if kind == "cuda" and number:
        torch.cuda.set_device(int(number))
    return Accelerator(cpu=kind == "cpu" and torch.cuda.is_available())


def _is_heard_by_any(accelerator: Accelerator, name: str) -> bool:
    """Whether a process has heard of a signal: all end after the same step."""
    if accelerator.num_processes == 1:
        return bool(name)
    if name:
        accelerator.set_trigger()
    return bool(accelerator.check_trigger())


def _leave_signals_to_parent(_: int) -> None:
    """Let a process that makes batches go on until its parent has finished its step."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _refuse_other_draws(stored: StoredDraws, noising: Noising) -> None:
    """Refuse stored draws that were noised by another rule than the training's."""
    rules = [(rule.num_timesteps, rule.text_drop, rule.pairing) for rule in (stored.noising, noising)]
    if rules[0] != rules[1]:
        found = f"The stored draws have (timesteps, share of dropped texts, pairing) {rules[0]}."
        raise UsageError(found, f"{rules[1]}, as the training has", "draws that were made with the training's settings")


def _refuse_mismatches(config: TrainConfig, pair: BasePair, real: PairSource, fake: PairSource) -> None:
    """Refuse a config, base models and pairs that do not belong together."""
    if config.loss not in LOSSES:
        raise UsageError(f"Unknown loss {config.loss!r}.", ", ".join(LOSSES))
    if config.denoising_reduction not in ("mean", "sum"):
        raise UsageError(
            f"Unknown reduction {config.denoising_reduction!r}.", "mean or sum", "--denoising-reduction mean"
        )
    if config.micro_batch is not None and config.micro_batch < 1:
        raise UsageError(f"A micro-batch of {config.micro_batch} pairs.", "at least one", "--micro-batch 1")
    timesteps = [schedule.num_train_timesteps for schedule in pair.schedules]
    if len(set(timesteps)) > 1:
        found = f"The schedules have {' and '.join(map(str, timesteps))} timesteps."
        raise UsageError(found, "as many, for both modalities share t")
    for name, source in (("real", real), ("fake", fake)):
        if not len(source):
            raise UsageError(f"There are no {name} pairs.", "at least one")
        texts = sum(text is not None for text in source[0][2:])
        if not texts == len(pair.unconditional) == (2 if config.discriminator.text else 0):
            raise UsageError(
                f"{name} pairs have {texts} texts, {len(pair.unconditional)} unconditional texts are given, and the "
                f"discriminator reads {'two' if config.discriminator.text else 'none'}.",
                "two each, or none at all",
            )

"""The state of a training, and one step of it: network, optimizer, average of the weights, course of the losses."""

from __future__ import annotations

import json
import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed
from torch import Tensor

from mmbench.errors import NonFiniteError, UsageError
from mmbench.mmdisco.checkpoint import CHECKPOINT, load_checkpoint
from mmbench.mmdisco.design import DiscriminatorConfig
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.losses import JointEpsilon, Noised, Pair, Times, mmdisco_losses
from mmbench.mmdisco.pairs import entropy
from mmbench.mmdisco.recomputation import recompute_blocks
from mmbench.mmdisco.schedule import Schedule
from mmbench.mmdisco.seen import View, seen_by
from mmbench.mmdisco.training_config import FREE_TO_CHANGE, Precision, TrainConfig
from mmbench.networks.devices import deterministic_kernels, ieee_float32

DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def cast_to(precision: Precision, device: str) -> AbstractContextManager[Any]:
    """Autocast to a training's precision on a type of device; nothing for float32."""
    dtype = DTYPES.get(precision)
    return nullcontext() if dtype is None else torch.autocast(device, dtype)


def _defaults(config: type) -> dict[str, Any]:
    """What the fields of a configuration are where they are not said."""
    return {f.name: f.default for f in fields(config) if f.default is not MISSING}


class Trainer:
    """The discriminator in training, with all that changes from step to step.

    Args:
        config: How to train.
        accelerator: The processes that share a step.
        epsilon: Predicts the noise of both modalities with the frozen base models, on this process's device.
        schedules: Of video and audio.
        view: What the discriminator sees of the models' latents and texts; None for all as they are.
    """

    def __init__(
        self,
        config: TrainConfig,
        accelerator: Accelerator,
        epsilon: JointEpsilon,
        schedules: tuple[Schedule, Schedule],
        view: View | None = None,
    ) -> None:
        self.config, self.accelerator, self._epsilon = config, accelerator, epsilon
        self.device = accelerator.device
        x, y = (schedule.alphas_cumprod.to(self.device) for schedule in schedules)
        self.alphas_cumprod: Pair = (x, y)
        set_seed(entropy(config.seed, "weights"))  # the same on every process
        self.model = Discriminator(config.discriminator).to(self.device).train()
        if config.checkpointing:
            recompute_blocks(self.model)
        self._logit = seen_by(self.model, view)
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
        stored["config"] = _defaults(TrainConfig) | stored["config"]  # for settings younger than the checkpoint
        stored["config"]["discriminator"] = _defaults(DiscriminatorConfig) | stored["config"]["discriminator"]
        configs = [of["config"] for of in (stored, wanted)]
        for a, b in ((stored, wanted), configs, [config["discriminator"] for config in configs]):
            nested = ("config", "discriminator", "trained_on")
            keys = [key for key in b if key not in nested and a.get(key) != b[key]]
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
        return nullcontext() if gradient_matters else cast_to(self.config.precision, self.device.type)

    def discriminator(self, x_t: Tensor, *rest: Any) -> Tensor:
        with self.cast(gradient_matters=x_t.requires_grad):
            return self._logit(x_t, *rest).float()

    def epsilon(self, x_t: Tensor, y_t: Tensor, t: Times, condition: Any) -> Pair:
        with self.cast():
            x, y = self._epsilon(x_t, y_t, t, condition)
        return x.float(), y.float()

    def update(self, real: Noised, fake: Noised, out_dir: Path) -> dict[str, float]:
        """One step on this process's batch and everybody's mean gradient; returns everybody's mean losses."""
        config = self.config
        self.optimizer.zero_grad()
        named: dict[str, Tensor] = {}
        size = config.micro_batch or len(real)
        for parts in zip(real.split(size), fake.split(size), strict=True):
            share = len(parts[0]) / len(real)  # both losses are means over pairs, so this sums to the whole batch
            for name, value in self._accumulate(*parts, share).items():
                named[name] = named[name] + value if name in named else value
        losses = dict(zip(named, self._average_over_processes(list(named.values())), strict=True))
        overflow = self.scaler.is_enabled() and self.scaler.get_scale() > 1  # float16's: skip the step, lower the scale
        if overflow and not math.isfinite(losses["total"]) and self.parameters[0].grad is not None:
            self.parameters[0].grad.fill_(math.inf)  # the scaler looks at gradients alone
        self.scaler.unscale_(self.optimizer)
        norm = torch.nn.utils.clip_grad_norm_(self.parameters, config.max_gradient_norm).item()
        if not (overflow or (math.isfinite(losses["total"]) and math.isfinite(norm))):
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

    def _accumulate(self, real: Noised, fake: Noised, share: float) -> dict[str, Tensor]:
        """Add the gradient of `share` times the losses of some pairs to the parameters; returns such losses.

        What is float32 is so throughout: the backward pass, too, for its kernels read torch's switches when they run.
        """
        config = self.config
        with deterministic_kernels(self.device.type), ieee_float32():
            terms = mmdisco_losses(
                self.discriminator,
                self.epsilon,
                self.alphas_cumprod,
                real,
                fake,
                weight_discrimination=float(config.loss != "denoise"),
                weight_denoising=config.weight_denoising if config.loss != "disc" else 0.0,
                reduction=config.denoising_reduction,
            )
            self.scaler.scale(share * terms.total).backward(inputs=self.parameters)
        return {name: share * value.detach() for name, value in vars(terms).items() if value is not None}

    def _average_over_processes(self, losses: list[Tensor]) -> list[float]:
        """Replace gradients by their mean over processes, in one message with the losses; returns mean losses."""
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in self.parameters]
        if self.accelerator.num_processes > 1:
            tensors = [*gradients, *losses]
            flat = self.accelerator.reduce(torch.cat([z.flatten() for z in tensors]), "mean")
            mean = flat.split([z.numel() for z in tensors])
            gradients = [values.view_as(p) for p, values in zip(self.parameters, mean, strict=False)]
            losses = list(mean[len(gradients) :])
        for p, gradient in zip(self.parameters, gradients, strict=True):
            p.grad = gradient
        return [float(value) for value in losses]

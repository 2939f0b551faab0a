"""Times steps of training and batches of generated pairs, part by part.

Everything that is compared is timed in one process, in turn, round after round, after a round that does not count; a
GPU is waited for at both ends of an interval. A timing counts only if what was made passes a check.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from mmbench.baselines.kinds.pair import GuidableSystem
from mmbench.errors import MMBenchError
from mmbench.runs.usage import Usage
from mmbench.types import Request

PROMPT = "a dog barks at the sea"
Lap = Callable[[str], None]


@dataclass
class Stopwatch:
    """Intervals by name, one per round, and the peak memory within them.

    Args:
        clock: Seconds that have passed; `time.process_time` on a machine that others use, too.
    """

    clock: Callable[[], float] = time.perf_counter
    seconds: dict[str, list[float]] = field(default_factory=dict)
    memory: dict[str, dict[str, int]] = field(default_factory=dict)
    _begin: float = field(default=0.0, init=False)
    _usage: Usage = field(default_factory=Usage, init=False)

    def start(self) -> None:
        """Begin the next interval."""
        wait_for_gpu()
        self._usage = Usage()
        self._begin = self.clock()

    def lap(self, name: str) -> None:
        """End the interval, whose name this is ("" for none), and begin the next."""
        wait_for_gpu()
        end = self.clock()
        if name:
            self.seconds.setdefault(name, []).append(end - self._begin)
            peaks, before = self._usage.report(), self.memory.setdefault(name, {})
            before |= {k: max(v, before.get(k, 0)) for k, v in peaks.items() if k.startswith("peak")}
        self.start()


def wait_for_gpu() -> None:
    """Waits until the GPU, if there is one, has done what it was given."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def time_inference(system: Any, requests: Sequence[Request], runs: int, watch: Stopwatch) -> None:
    """Times batches: `sample` and `sample guided` to clean latents, `decode` to clips; `generate` of what is no pair.

    Raises:
        MMBenchError: Too few clips came, or guidance changed nothing.
    """
    import torch

    for k in range(runs + 1):
        lap: Lap = watch.lap if k else lambda _: watch.start()
        watch.start()
        if not (isinstance(system, GuidableSystem) and system.guided):
            clips = list(system.generate(requests))
            lap("generate")
        else:
            pair = system.pair()
            alone = pair.sample(requests)
            lap("sample")
            guided = pair.sample(requests, system.guide)
            lap("sample guided")
            clips = pair.decode(*alone, requests)
            lap("decode")
            if all(map(torch.equal, alone, guided)) or not all(z.isfinite().all() for z in (*alone, *guided)):
                raise MMBenchError("Guidance changed nothing, or a latent is not finite.", "two different samples")
        if len(clips) != len(requests):
            raise MMBenchError(f"{len(clips)} clips were made.", f"{len(requests)}")


def time_training(
    pair: Any, design: str, loss: str, batch_size: int, runs: int, watch: Stopwatch, **sizes: int
) -> None:
    """Times steps of training: of the base models themselves, and of a discriminator on frozen ones.

    `base_forward` is without a graph, as a discriminator's step has it; `base_graph` and `base_backward` make a step of
    the bases; `disc_forward` includes the first gradient that the denoising loss needs.

    Args:
        pair: A `DiffusionPair`.
        design: Of the discriminator.
        loss: "all", "disc" or "denoise".
        batch_size: Pairs of a batch; a discriminator sees as many generated ones, too.
        runs: Rounds that count.
        watch: Takes the times.
        **sizes: channels and num_blocks of the discriminator.

    Raises:
        MMBenchError: No gradient came.
    """
    import torch
    import torch.nn.functional as F

    from mmbench.mmdisco.discriminator import Discriminator
    from mmbench.mmdisco.losses import Noised, mmdisco_losses

    device = pair.device
    model = Discriminator(pair.discriminator(design, **sizes)).to(device)
    num_timesteps = pair.schedules[0].num_train_timesteps
    alphas = tuple(schedule.alphas_cumprod.to(device) for schedule in pair.schedules)
    texts = tuple(text.clone().to(device) for text in pair.texts([PROMPT] * batch_size))

    def batch() -> Noised:
        x, y, noise_x, noise_y = (torch.randn(batch_size, *shape, device=device) for shape in 2 * pair.shapes)
        t = torch.randint(num_timesteps, (batch_size,), device=device)
        return Noised((x, y), (noise_x, noise_y), t, texts or None, texts if model.config.text else ())

    def predict(at: Noised) -> Any:
        with nullcontext() if pair.dtype is None else torch.autocast(torch.device(device).type, pair.dtype):
            return pair.epsilon(*at.at(alphas), at.t, at.condition)

    weights = float(loss != "denoise"), float(loss != "disc")
    trained = [p for module in pair.denoisers for p in module.parameters()]
    try:
        for k in range(runs + 1):
            lap: Lap = watch.lap if k else lambda _: watch.start()
            real, fake = batch(), batch()
            watch.start()
            with torch.no_grad():
                predicted = predict(real)
            lap("base_forward")
            for p in trained:
                p.requires_grad_(True)
            watch.start()
            errors = [F.mse_loss(z.float(), eps) for z, eps in zip(predict(real), real.noise, strict=True)]
            error = torch.stack(errors).sum()  # what the bases were trained on
            lap("base_graph")
            error.backward()
            lap("base_backward")
            has_gradient = any(p.grad is not None for p in trained)
            for p in trained:
                p.grad = None
                p.requires_grad_(False)
            watch.start()
            bases = partial(_return_predicted, predicted)
            losses = mmdisco_losses(
                model, bases, alphas, real, fake, weight_discrimination=weights[0], weight_denoising=weights[1]
            )
            lap("disc_forward")
            losses.total.backward()
            lap("disc_backward")
            learns = any(p.grad is not None for p in model.parameters())
            if not (has_gradient and learns and losses.total.isfinite()):
                raise MMBenchError("A step trained nothing.", "gradients of the bases and of the discriminator")
            model.zero_grad()
    finally:
        for p in trained:
            p.grad = None
            p.requires_grad_(False)


def _return_predicted(predicted: Any, *_: Any) -> Any:
    """The base models' predictions, made before."""
    return predicted

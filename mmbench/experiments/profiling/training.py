"""Times steps of training: of the base models themselves, and of a discriminator on frozen ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.experiments.profiling.inference import PROMPT
from mmbench.experiments.profiling.stopwatch import Arm, Lap, Stopwatch, time_arms
from mmbench.networks.random_weights import fill_randomly


def time_training(
    pair: Any,
    design: str,
    loss: str,
    batch_size: int,
    runs: int,
    watch: Stopwatch,
    warm_up: float = 0.0,
    checkpointed: int = 0,
    **sizes: int,
) -> None:
    """Times steps of training: of the base models themselves, and of a discriminator on frozen ones.

    `base_forward` is without a graph, as a discriminator's step has it; `base_graph` and `base_backward` make a step
    of the bases, of pairs whose networks can be trained; `disc_forward` includes the first gradient that the
    denoising loss needs. The discriminator's weights are random and nowhere zero: a fresh one's last layers are zero,
    and products with zeros take a GPU less power.

    Args:
        pair: A `DiffusionPair`.
        design: Of the discriminator.
        loss: "all", "disc" or "denoise".
        batch_size: Pairs of a batch; a discriminator sees as many generated ones, too.
        runs: Rounds that count.
        watch: Takes the times.
        warm_up: Seconds of each arm before.
        checkpointed: How many of the base models, the video's first, compute activations anew in the backward pass.
        **sizes: channels and num_blocks of the discriminator.

    Raises:
        MMBenchError: No gradient came.
    """
    with _checkpointing(pair.denoisers[:checkpointed]):
        time_arms(_arms(pair, design, loss, batch_size, sizes), runs, watch, warm_up)


def _arms(pair: Any, design: str, loss: str, batch_size: int, sizes: dict[str, int]) -> dict[str, Arm]:
    import torch
    import torch.nn.functional as F

    from mmbench.mmdisco.discriminator import Discriminator
    from mmbench.mmdisco.losses import Noised, mmdisco_losses
    from mmbench.mmdisco.seen import seen_by, view_of

    device = pair.device
    model = Discriminator(pair.discriminator(design, **sizes)).to(device)
    fill_randomly(model, "profile")
    logit = seen_by(model, view_of(pair))
    num_timesteps = pair.schedules[0].num_train_timesteps
    alphas = tuple(schedule.alphas_cumprod.to(device) for schedule in pair.schedules)
    texts = tuple(text.clone().to(device) for text in pair.texts([PROMPT] * batch_size))
    trained = [p for module in pair.denoisers for p in module.parameters()]

    def batch() -> Noised:
        x, y, noise_x, noise_y = (torch.randn(batch_size, *shape, device=device) for shape in 2 * pair.shapes)
        t = torch.randint(num_timesteps, (batch_size,), device=device)
        return Noised((x, y), (noise_x, noise_y), t, texts or None, texts if model.config.text else ())

    def predict(at: Noised) -> Any:
        with nullcontext() if pair.dtype is None else torch.autocast(torch.device(device).type, pair.dtype):
            return pair.epsilon(*at.at(alphas), at.t, at.condition)

    def bases(lap: Lap) -> None:
        real = batch()
        try:
            for p in trained:
                p.requires_grad_(True)
            lap("")
            errors = [F.mse_loss(z.float(), eps) for z, eps in zip(predict(real), real.noise, strict=True)]
            error = torch.stack(errors).sum()  # what the bases were trained on
            lap("base_graph")
            error.backward()
            lap("base_backward")
            if not any(p.grad is not None for p in trained):
                raise MMBenchError("A step of the bases trained nothing.", "gradients")
        finally:
            for p in trained:
                p.grad = None
                p.requires_grad_(False)

    def discriminator(lap: Lap) -> None:
        real, fake = batch(), batch()
        lap("")
        with torch.no_grad():
            predicted = predict(real)
        lap("base_forward")
        losses = mmdisco_losses(
            logit,
            lambda *_: predicted,
            alphas,
            real,
            fake,
            weight_discrimination=float(loss != "denoise"),
            weight_denoising=float(loss != "disc"),
        )
        lap("disc_forward")
        losses.total.backward()
        lap("disc_backward")
        learns = any(p.grad is not None for p in model.parameters())
        model.zero_grad()
        if not (learns and losses.total.isfinite()):
            raise MMBenchError("A step of the discriminator trained nothing.", "gradients, and a finite loss")

    arms: dict[str, Arm] = {"bases": bases} if trained else {}
    return {**arms, "discriminator": discriminator}


@contextmanager
def _checkpointing(modules: Any) -> Iterator[None]:
    """Run the block with activations inside the blocks of these U-Nets computed anew in the backward pass.

    diffusers' own switch does not reach UNet3DConditionModel, which VideoCrafter2 is.
    """
    from functools import partial

    from torch.utils.checkpoint import checkpoint

    groups = [getattr(module, name, ()) for module in modules for name in ("down_blocks", "up_blocks")]
    blocks = [*(b for group in groups for b in group), *(m.mid_block for m in modules if hasattr(m, "mid_block"))]
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
    try:
        yield
    finally:
        for block in blocks:
            del block.forward  # the class's own is below

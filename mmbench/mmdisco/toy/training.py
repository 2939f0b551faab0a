"""Training in the 1-D experiment: base models in their own kind, discriminators with the paper's losses."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Epsilon, Noised, independent, mmdisco_losses, per_sample
from mmbench.mmdisco.toy.bases import BaseKind, Bases, levels_of, training_target
from mmbench.mmdisco.toy.config import ToyConfig, draw, draw_indices, draw_timesteps, generators
from mmbench.mmdisco.toy.data import SCHEDULE, marginal, target
from mmbench.mmdisco.toy.models import AdaptiveMLP, MemberDiscriminator
from mmbench.mmdisco.toy.sampling import sample

LOSSES = {"disc": (1.0, 0.0), "denoise": (0.0, 1.0), "all": (1.0, 1.0)}  # weights of L_disc and L_denoise


def optimise(parameters: Iterator[Tensor], lr: float, num_steps: int, loss: Callable[[], Tensor]) -> None:
    """Adam with a learning rate that falls to 0 along a cosine; `loss` is the sum of the members' own losses."""
    optimizer = torch.optim.Adam(parameters, lr, fused=True)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5 + 0.5 * math.cos(math.pi * i / num_steps))
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        decay.step()


def train_base(sigma: float, seeds: Sequence[int], config: ToyConfig, kind: BaseKind = "eps") -> AdaptiveMLP:
    """Train the 1-D diffusion model on `num_points` points, one member per seed."""
    points = torch.stack([marginal(sigma).sample(config.num_points, g)[:, 0] for g in generators(seeds, "base data")])
    net = AdaptiveMLP(generators(seeds, "base weights"), 1, (16, 64, 256, 64, 16), features=256, branch=256)
    gs, k = generators(seeds, "base training"), config.distinct_timesteps
    levels = torch.tensor([(level.a, level.b) for level in levels_of(kind).levels], dtype=torch.float64)
    r = config.batch_size // k

    def loss() -> Tensor:
        x = points.gather(1, draw_indices(config.num_points, (k * r,), gs)).flatten()
        t, noise = draw_timesteps(config, gs), draw(torch.randn, (k * r,), gs).flatten()
        a, b = (per_sample(z, x) for z in levels[t.repeat_interleave(r, 1).flatten()].unbind(-1))
        x_t = a * x + b * noise
        predicted = net(x_t.view(len(seeds), k, r, 1), net.modulate(t)).flatten()
        return (predicted - training_target(kind, x, noise, a, b)).square().mean() * len(seeds)

    optimise(net.parameters(), config.base_lr, config.base_steps, loss)
    return net.requires_grad_(False)


def train_discriminator(
    bases: Bases, setting: str, loss_name: str, sigma: float, seeds: Sequence[int], config: ToyConfig
) -> MemberDiscriminator:
    """Train one discriminator per seed with "disc", "denoise" or both losses ("all"), at the levels of `bases`."""
    n, k, m = config.num_points, config.distinct_timesteps, len(seeds)
    r = config.batch_size // k
    real = torch.stack([target(setting, sigma).sample(n, g) for g in generators(seeds, setting, "real")])
    fake = torch.stack(sample(bases, None, n, seeds, config, stream="fake"), -1)
    net = AdaptiveMLP(generators(seeds, "weights"), 2, (64, 32, 8), features=64, branch=256)
    gs = generators(seeds, setting, "training")
    weight_discrimination, weight_denoising = LOSSES[loss_name]

    def batch(pairs: Tensor, t: Tensor, repair: bool) -> Noised:
        first = draw_indices(n, (k * r,), gs)
        second = draw_indices(n, (k * r,), gs) if repair else first
        x, y = pairs[..., 0].gather(1, first), pairs[..., 1].gather(1, second)
        noise = draw(torch.randn, (2, k * r), gs)
        steps = t.repeat_interleave(r, 1).flatten()
        return Noised((x.flatten(), y.flatten()), (noise[:, 0].flatten(), noise[:, 1].flatten()), steps)

    def loss() -> Tensor:
        t = draw_timesteps(config, gs)
        modulation = net.modulate(t)

        def logit(x_t: Tensor, y_t: Tensor, _: Tensor) -> Tensor:
            return net(torch.stack([x_t, y_t], -1).view(m, k, r, 2), modulation).flatten()

        def epsilon(axis: int) -> Epsilon:
            return lambda x_t, _, condition: bases[axis].epsilon(x_t.view(m, k, r), t, condition).flatten()

        total = mmdisco_losses(
            logit,
            independent(epsilon(0), epsilon(1)),
            (bases[0].alphas_cumprod, bases[1].alphas_cumprod),
            batch(real, t, False),
            batch(fake, t, config.repair_fakes),
            weight_discrimination=weight_discrimination,
            weight_denoising=weight_denoising,
        ).total
        return total * m

    optimise(net.parameters(), config.lr, config.steps, loss)
    return MemberDiscriminator(net.requires_grad_(False), SCHEDULE.num_train_timesteps)

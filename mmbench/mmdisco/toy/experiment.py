"""The 1-D experiment of MMDisCo (arXiv 2405.17842, 4.1, A.3, A.5; Table 1): does guidance reach the joint target?

One diffusion model of five Gaussians serves both axes; a discriminator trained on 500 points of a joint target and 500
pairs of the model's own guides it there. All seeds train side by side, each on its own draws.
Where the paper is silent (training steps, learning-rate decay, sampler variance, pairing of fakes) the choices are
those of `ToyConfig`; results/toy/README.md records which of them matter.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor

from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.losses import Discriminator, Epsilon, Noised, add_noise, independent, mmdisco_losses
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler, sample_pair
from mmbench.mmdisco.toy.data import SCHEDULE, TARGETS, describe, exact_epsilon, marginal, optimal_logit, target
from mmbench.mmdisco.toy.figures import save_figure
from mmbench.mmdisco.toy.models import AdaptiveMLP, MemberDiscriminator, TabulatedEpsilon

LOSSES = {"disc": (1.0, 0.0), "denoise": (0.0, 1.0), "all": (1.0, 1.0)}  # weights of L_disc and L_denoise
Generators = list[torch.Generator]


@dataclass(frozen=True)
class ToyConfig:
    """Sizes and schedules of training and sampling.

    Attributes:
        num_points: Real and fake training pairs, and training points of the base model.
        repair_fakes: Combine any fake x with any fake y, anew in each batch, instead of fixed pairs.
        batch_size: Pairs per step, of either kind.
        distinct_timesteps: Timesteps per batch, one in each of as many equal parts of the schedule.
        base_steps: Training steps of the base model.
        base_lr: Its Adam learning rate at the start; both fall to 0 along a cosine.
        steps: Training steps of a discriminator.
        lr: Its Adam learning rate at the start.
        variance: Of the ancestral sampler: "fixed_large" is beta_t. "fixed_small" draws points too close together.
        num_inference_steps: Its steps; the whole schedule by default.
        num_samples: Points whose NLL is taken.
    """

    num_points: int = 500
    repair_fakes: bool = True
    batch_size: int = 512
    distinct_timesteps: int = 64
    base_steps: int = 3000
    base_lr: float = 2e-3
    steps: int = 6000
    lr: float = 1e-3
    variance: str = "fixed_large"
    num_inference_steps: int = SCHEDULE.num_train_timesteps
    num_samples: int = 4000


def generators(seeds: Sequence[int], *stream: str) -> Generators:
    """One generator per seed for a named stream: no draw of one stream or seed moves another."""
    return [torch.Generator().manual_seed(crc32("/".join([str(seed), *stream]).encode())) for seed in seeds]


def draw(function: Callable[..., Tensor], shape: tuple[int, ...], gs: Generators) -> Tensor:
    """(members, *shape) random numbers, each member's from its own generator."""
    return torch.stack([function(shape, generator=g) for g in gs])


def draw_indices(n: int, shape: tuple[int, ...], gs: Generators) -> Tensor:
    """(members, *shape) integers below n."""
    return torch.stack([torch.randint(n, shape, generator=g) for g in gs])


def draw_timesteps(config: ToyConfig, gs: Generators) -> Tensor:
    """(members, k) timesteps, one uniform in each of k equal parts of the schedule."""
    k, total = config.distinct_timesteps, SCHEDULE.num_train_timesteps
    return ((torch.arange(k) + draw(torch.rand, (k,), gs)) / k * total).long().clamp(max=total - 1)


def optimise(parameters: Iterator[Tensor], lr: float, num_steps: int, loss: Callable[[], Tensor]) -> None:
    """Adam with a learning rate that falls to 0 along a cosine; `loss` is the sum of the members' own losses."""
    optimizer = torch.optim.Adam(parameters, lr, fused=True)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: 0.5 + 0.5 * math.cos(math.pi * i / num_steps))
    for _ in range(num_steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
        decay.step()


def train_base(sigma: float, seeds: Sequence[int], config: ToyConfig) -> AdaptiveMLP:
    """Train the 1-D diffusion model on `num_points` points, one member per seed."""
    points = torch.stack([marginal(sigma).sample(config.num_points, g)[:, 0] for g in generators(seeds, "base data")])
    net = AdaptiveMLP(generators(seeds, "base weights"), 1, (16, 64, 256, 64, 16), features=256, branch=256)
    gs, k = generators(seeds, "base training"), config.distinct_timesteps
    alphas_cumprod, r = SCHEDULE.alphas_cumprod, config.batch_size // config.distinct_timesteps

    def loss() -> Tensor:
        x = points.gather(1, draw_indices(config.num_points, (k * r,), gs)).flatten()
        t, noise = draw_timesteps(config, gs), draw(torch.randn, (k * r,), gs).flatten()
        x_t = add_noise(x, noise, alphas_cumprod[t.repeat_interleave(r, 1).flatten()])
        predicted = net(x_t.view(len(seeds), k, r, 1), net.modulate(t)).flatten()
        return (predicted - noise).square().mean() * len(seeds)

    optimise(net.parameters(), config.base_lr, config.base_steps, loss)
    return net.requires_grad_(False)


def train_discriminator(
    base: Epsilon, setting: str, loss_name: str, sigma: float, seeds: Sequence[int], config: ToyConfig
) -> MemberDiscriminator:
    """Train one discriminator per seed with "disc", "denoise" or both losses ("all")."""
    n, k, m = config.num_points, config.distinct_timesteps, len(seeds)
    r = config.batch_size // k
    real = torch.stack([target(setting, sigma).sample(n, g) for g in generators(seeds, setting, "real")])
    fake = torch.stack(sample(base, None, n, seeds, config, "fake"), -1)
    net = AdaptiveMLP(generators(seeds, "weights"), 2, (64, 32, 8), features=64, branch=256)
    gs, alphas_cumprod = generators(seeds, setting, "training"), SCHEDULE.alphas_cumprod
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

        def epsilon(x_t: Tensor, _: Tensor, condition: object) -> Tensor:
            return base(x_t.view(m, k, r), t, condition).flatten()

        total = mmdisco_losses(
            logit,
            independent(epsilon, epsilon),
            (alphas_cumprod, alphas_cumprod),
            batch(real, t, False),
            batch(fake, t, config.repair_fakes),
            weight_discrimination=weight_discrimination,
            weight_denoising=weight_denoising,
        ).total
        return total * m

    optimise(net.parameters(), config.lr, config.steps, loss)
    return MemberDiscriminator(net.requires_grad_(False), SCHEDULE.num_train_timesteps)


def sample(
    epsilon: Epsilon,
    discriminator: Discriminator | None,
    n: int,
    seeds: Sequence[int],
    config: ToyConfig,
    stream: str = "sampling",
) -> tuple[Tensor, Tensor]:
    """(members, n) x and y by ancestral sampling; the same noise whatever the guidance."""
    abar = SCHEDULE.alphas_cumprod
    guidance = None if discriminator is None else Guidance(discriminator)
    predict = JointPredictor(independent(epsilon, epsilon), (abar, abar), guidance=guidance)

    def scheduler() -> Any:
        return make_scheduler("ddpm", SCHEDULE, variance_type=config.variance, steps_offset=0)

    noise = generators(seeds, stream, "x"), generators(seeds, stream, "y")
    x, y = sample_pair(
        predict, [(n,), (n,)], noise, SchedulerSampler((scheduler, scheduler), config.num_inference_steps)
    )
    return x, y


@contextmanager
def one_thread() -> Iterator[None]:
    """These networks are too small to share among threads; run settings in processes instead."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def run_toy(
    sigma: float = 0.25,
    settings: Sequence[str] = tuple(TARGETS),
    losses: Sequence[str] = tuple(LOSSES),
    seeds: Sequence[int] = range(5),
    config: ToyConfig = ToyConfig(),
    on_record: Callable[[dict[str, Any], Tensor], None] = lambda record, points: None,
    figures: Path | None = None,
) -> list[dict[str, Any]]:
    """Train, sample and score everything.

    Args:
        sigma: Standard deviation of every Gaussian; 0.25 gives the printed ground truth, 0.1 is what the text states.
        settings: Of "ind", "ood".
        losses: Of "disc", "denoise", "all".
        seeds: Each with its own data, weights and noise.
        config: Sizes and schedules.
        on_record: Called with each record and its (n, 2) points as soon as they exist.
        figures: Folder for the scatter plots of the first seed; None draws none.

    Returns:
        One record per setting, method and seed. Methods besides the losses: "gt" (points of the target itself),
        "real" (the training pairs, whose own excess no training can see), "exact" (exact scores throughout: what the
        sampler alone costs), "no_joint" (the base models alone), "optimal" (they, guided by the exact logit).
    """
    records = []
    with one_thread():
        base = TabulatedEpsilon(train_base(sigma, seeds, config), SCHEDULE.num_train_timesteps)
        for setting in settings:
            mixture, shown = target(setting, sigma), {}
            truths = [mixture.sample(config.num_samples, g) for g in generators(seeds, setting, "truth")]
            for method in ("gt", "real", "exact", "no_joint", "optimal", *losses):
                if method in ("gt", "real"):
                    n = config.num_samples if method == "gt" else config.num_points
                    points = torch.stack([mixture.sample(n, g) for g in generators(seeds, setting, method)])
                else:
                    guide: Discriminator | None = optimal_logit(setting, sigma)
                    if method == "no_joint":
                        guide = None
                    elif method in LOSSES:
                        guide = train_discriminator(base, setting, method, sigma, seeds, config)
                    epsilon = exact_epsilon(sigma) if method == "exact" else base
                    points = torch.stack(sample(epsilon, guide, config.num_samples, seeds, config), -1)
                shown[method] = points[0]
                for seed, member, truth in zip(seeds, points, truths, strict=True):
                    head = {"setting": setting, "sigma": sigma, "method": method, "seed": seed}
                    records.append({**head, **describe(member, mixture, truth), "config": asdict(config)})
                    on_record(records[-1], member)
            if figures is not None:
                save_figure(shown, setting, sigma, figures)
    return records

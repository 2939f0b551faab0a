"""How near the gradient of trained discriminators is to the exact one, level by level, where the exact one is known.

    python results/toy/gradients.py > results/toy/gradients.md

"cosine": of the learned gradient (over x and y of all points at once) and that of h* = log q(x_t, y_t) - log p(x_t) -
log p(y_t). "factor": what the learned gradient is best multiplied by, <g, g*> / <g, g>; 1 where it is as long as it
should be. "left": what then remains of the exact one, |g* - factor g| / |g*|. Points are noised pairs of the target
("real") and noised points of either axis alone ("apart", where sampling begins). "log SNR": log(abar / (1 - abar)).
Mean and standard error of seeds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Discriminator, Pair, add_noise, logit_and_gradient
from mmbench.mmdisco.toy.config import DEFAULT, generators
from mmbench.mmdisco.toy.data import SCHEDULE, TARGETS, marginal, optimal_logit, target
from mmbench.mmdisco.toy.experiment import make_bases
from mmbench.mmdisco.toy.models import TabulatedBase
from mmbench.mmdisco.toy.training import LOSSES, train_base, train_discriminator

SIGMA, SEEDS, POINTS = 0.25, range(3), 4000
LEVELS = (5, 20, 50, 100, 150, 200, 250, 300, 400, 490)


def noised(setting: str, kind: str, t: int) -> Pair:
    """(members, n) x_t and y_t of the target's pairs or of points of either axis alone."""
    axes = list(zip(*(generators(SEEDS, "gradients", kind, name) for name in "xy"), strict=True))
    rows = [_pairs(setting, kind, gx, gy) for gx, gy in axes]
    x, y = (torch.stack(side) for side in zip(*rows, strict=True))
    noise = [torch.stack([torch.randn(POINTS, generator=g) for g in side]) for side in zip(*axes, strict=True)]
    abar = SCHEDULE.alphas_cumprod[t].expand(len(x))
    return add_noise(x, noise[0], abar), add_noise(y, noise[1], abar)


def _pairs(setting: str, kind: str, gx: torch.Generator, gy: torch.Generator) -> Pair:
    if kind == "real":
        pairs = target(setting, SIGMA).sample(POINTS, gx)
        return pairs[:, 0], pairs[:, 1]
    return marginal(SIGMA).sample(POINTS, gx)[:, 0], marginal(SIGMA).sample(POINTS, gy)[:, 0]


def gradient(logit: Discriminator, state: Pair, t: int) -> Tensor:
    """(members, 2 n) of both axes."""
    times = torch.full((len(state[0]),), t)
    return torch.cat(logit_and_gradient(logit, *state, times, (), create_graph=False)[1], dim=1)


def compare(learned: Tensor, exact: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Cosine, best factor and what is left, (members,) each."""
    product, own, goal = (learned * exact).sum(1), learned.square().sum(1), exact.square().sum(1)
    cosine = product / (own * goal).sqrt()
    return cosine, product / own, (1 - cosine.square()).clamp(min=0).sqrt()


def shown(values: Tensor) -> str:
    """Mean ± standard error."""
    return f"{values.mean():.3f} ± {values.std() / len(values) ** 0.5:.3f}"


def rows() -> Iterator[list[str]]:
    """Cells of the table."""
    base = TabulatedBase(train_base(SIGMA, SEEDS, DEFAULT), SCHEDULE.num_train_timesteps)
    bases = make_bases(("eps", "eps"), {"eps": base})
    for setting in TARGETS:
        optimal = optimal_logit(setting, SIGMA)
        for loss in LOSSES:
            trained = train_discriminator(bases, setting, loss, SIGMA, SEEDS, DEFAULT)
            for t in LEVELS:
                cells = []
                for kind in ("real", "apart"):
                    state = noised(setting, kind, t)
                    cells += map(shown, compare(gradient(trained, state, t), gradient(optimal, state, t)))
                abar = SCHEDULE.alphas_cumprod[t]
                yield [setting, loss, str(t), f"{(abar / (1 - abar)).log():+.1f}", *cells]


def main() -> None:
    """Print the page."""
    torch.set_num_threads(1)
    start = time.process_time()
    names = [f"{kind}: {what}" for kind in ("real", "apart") for what in ("cosine", "factor", "left")]
    head = ["setting", "loss", "t", "log SNR", *names]
    print("# Learned and exact gradients of the 1-D experiment\n")
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for cells in rows():
        print("| " + " | ".join(cells) + " |", flush=True)
    print(f"\n{time.process_time() - start:.0f} s of one thread; sigma {SIGMA}, seeds 0 to {len(SEEDS) - 1}.")


if __name__ == "__main__":
    main()

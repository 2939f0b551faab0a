"""Paths through pairs of noise levels, as samplers on known grids take them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.guidance import Guidance, JointPredictor
from mmbench.mmdisco.losses import Times, by_modality, independent
from mmbench.mmdisco.pairing import PATHS, Path
from mmbench.mmdisco.paths import movers_of, walk
from mmbench.mmdisco.samplers import SchedulerSampler, make_scheduler, sample_pair
from tests.mmdisco.gaussians import ALPHAS_CUMPROD, RHO, SCHEDULES, epsilon_x, epsilon_y

INF = float("inf")


def sampler(name: str, steps: int, path: Path) -> SchedulerSampler:
    makers = tuple((lambda s=s: make_scheduler(name, s)) for s in SCHEDULES)  # type: ignore[misc, arg-type]
    return SchedulerSampler(makers, steps, path=path)


def generators() -> tuple[list[torch.Generator], list[torch.Generator]]:
    return tuple([torch.Generator().manual_seed(10 * m + i) for i in (1, 2)] for m in (1, 2))  # type: ignore[return-value]


def logit(x_t: Tensor, y_t: Tensor, t: Times) -> Tensor:
    """The optimal logit of many independent pairs per sample at any two levels, up to a constant: (n, k) -> (n,)."""
    abar_x, abar_y = (abar[s][:, None] for abar, s in zip(ALPHAS_CUMPROD, by_modality(t), strict=True))
    r = RHO * (abar_x * abar_y).sqrt().float()
    return -((r**2 * (x_t**2 + y_t**2) - 2 * r * x_t * y_t) / (2 * (1 - r**2))).sum(1)


@pytest.mark.parametrize(
    ("path", "visits"),
    [
        ("fraction", [([0, 0], [0, 1]), ([1, 1], [0, 1])]),
        ("video_first", [([0, 0], [0]), ([1, 0], [0]), ([2, 0], [1]), ([2, 1], [1])]),
        ("audio_first", [([0, 0], [1]), ([0, 1], [1]), ([0, 2], [0]), ([1, 2], [0])]),
        ("log_snr", [([0, 0], [1]), ([0, 1], [0]), ([1, 1], [0]), ([2, 1], [1])]),
    ],
)
def test_a_walk_visits_the_pairs_of_its_path(path: Path, visits: list[Any]) -> None:
    assert walk(path, [[-3.0, 0.5], [-4.0, 1.0]]) == visits


def test_an_unknown_path_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match="sideways") as refusal:
        movers_of("sideways")  # type: ignore[arg-type]
    assert refusal.value.expected == f"one of {', '.join(PATHS)}"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", ["ddpm", "ddim", "dpmsolver++2m", "sde-dpmsolver++2m"])
def test_exact_guidance_joins_gaussians_on_every_path(name: str, path: Path) -> None:
    predict = JointPredictor(
        independent(epsilon_x, epsilon_y), ALPHAS_CUMPROD, guidance=Guidance(logit), halves=(epsilon_x, epsilon_y)
    )
    x, y = sample_pair(predict, [(5000,), (5000,)], generators(), sampler(name, 50, path))
    reached = torch.corrcoef(torch.stack([x.flatten(), y.flatten()]))[0, 1].item()
    assert reached == pytest.approx(RHO, abs=0.04)
    assert (x.std().item(), y.std().item()) == pytest.approx((1, 1), abs=0.08)  # 50 ancestral steps lose 0.06


@pytest.mark.parametrize("path", PATHS)
def test_alone_any_path_gives_the_same_bits_and_asks_each_model_once_a_step(path: Path) -> None:
    asked = [0, 0]

    def counted(i: int, epsilon: Any) -> Any:
        def ask(*inputs: Any) -> Tensor:
            asked[i] += 1
            return epsilon(*inputs)

        return ask

    halves = (counted(0, epsilon_x), counted(1, epsilon_y))
    predict = JointPredictor(independent(*halves), ALPHAS_CUMPROD, halves=halves)
    for name in ("ddpm", "dpmsolver++2m", "sde-dpmsolver++2m"):
        asked[:] = 0, 0
        found = sample_pair(predict, [(6,), (3,)], generators(), sampler(name, 8, path))
        assert asked == [8, 8]
        expected = sample_pair(predict, [(6,), (3,)], generators(), sampler(name, 8, "fraction"))
        assert all(map(torch.equal, found, expected))


def test_a_half_that_has_ended_is_seen_clean_and_one_that_waits_at_its_first_step() -> None:
    seen: list[tuple[int, int]] = []

    def discriminator(x_t: Tensor, y_t: Tensor, t: Times) -> Tensor:
        video, audio = by_modality(t)
        seen.append((int(video[0]), int(audio[0])))
        return (x_t * y_t).sum(1)

    predict = JointPredictor(independent(epsilon_x, epsilon_y), ALPHAS_CUMPROD, guidance=Guidance(discriminator))
    sample_pair(predict, [(2,), (2,)], generators(), sampler("ddpm", 3, "video_first"))
    assert seen == [(667, 667), (334, 667), (1, 667), (0, 667), (0, 334), (0, 1)]

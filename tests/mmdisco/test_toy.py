"""The 1-D experiment: exact densities, what the sampler alone costs, batched members, and a short run end to end."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from mmbench.errors import UsageError
from mmbench.mmdisco.losses import logit_and_gradient
from mmbench.mmdisco.toy.config import ToyConfig, draw_timesteps, generators
from mmbench.mmdisco.toy.data import (
    SCHEDULE,
    TARGETS,
    Mixture,
    describe,
    exact_epsilon,
    marginal,
    optimal_logit,
    target,
)
from mmbench.mmdisco.toy.experiment import make_bases, run_toy
from mmbench.mmdisco.toy.models import AdaptiveMLP, TabulatedBase, timestep_features
from mmbench.mmdisco.toy.sampling import sample
from mmbench.mmdisco.toy.table import PAPER_NLL, SOURCE, lay_out_table, name_winners
from mmbench.mmdisco.toy.training import LOSSES, train_base, train_discriminator

SMALL = ToyConfig(
    base_steps=20,
    steps=10,
    num_samples=50,
    num_points=60,
    batch_size=64,
    distinct_timesteps=8,
    num_inference_steps=10,
)


def exact(mixture: Mixture, seed: int) -> torch.Tensor:
    """4000 points of the mixture."""
    return mixture.sample(4000, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("sigma", [0.1, 0.25])
@pytest.mark.parametrize("setting", TARGETS)
def test_entropy_is_the_closed_form_of_separated_gaussians(setting: str, sigma: float) -> None:
    closed = math.log(5) + math.log(2 * math.pi * sigma**2) + 1
    assert target(setting, sigma).entropy() == pytest.approx(closed, abs=1e-4)


def test_entropy_of_overlapping_gaussians_equals_the_nll_of_many_points() -> None:
    mixture = target("ood", 1.5)
    points = mixture.sample(200_000, torch.Generator().manual_seed(0)).double()
    assert mixture.entropy() == pytest.approx(-mixture.log_prob(points).mean().item(), abs=0.01)
    assert mixture.entropy() < math.log(5) + math.log(2 * math.pi * 1.5**2) + 1 - 0.1


def test_density_integrates_to_one_at_every_noise_level() -> None:
    grid = torch.linspace(-12, 12, 6001, dtype=torch.float64)
    for abar in (1.0, 0.5, 0.01):
        density = marginal(0.25).log_prob(grid[:, None], abar).exp()
        assert torch.trapezoid(density, grid).item() == pytest.approx(1, abs=1e-6)


def test_mean_nll_of_4000_exact_points_has_standard_error_0_016() -> None:
    mixture = target("ind", 0.25)
    record = describe(exact(mixture, 0), mixture, exact(mixture, 1))
    assert record["nll_stderr"] == pytest.approx(4000**-0.5, rel=0.05)  # Var(-log q) = d / 2 = 1 within a mode
    assert abs(record["excess"]) < 3.5 * record["nll_stderr"]
    assert record["spread"] == pytest.approx(1, abs=0.03)
    assert record["stray"] < 0.002
    assert record["least_mode"] == pytest.approx(0.2, abs=0.02)
    assert record["mode_error"] < 0.03
    assert abs(record["energy"]) < 0.02


def test_describe_sees_what_nll_rewards() -> None:
    mixture = target("ind", 0.25)
    means = torch.tensor(mixture.means)
    record = describe(means[:4].repeat(100, 1), mixture, exact(mixture, 1))
    assert record["excess"] < -0.9
    assert record["spread"] == 0
    assert record["least_mode"] == 0
    assert record["mode_error"] == pytest.approx(0.2)
    assert record["energy"] > 5 * record["energy_stderr"] > 0, "it is not deceived"
    assert describe(means + 2, mixture, exact(mixture, 1))["stray"] == 1


def test_optimal_logit_adds_the_difference_of_scores() -> None:
    t = torch.tensor([10, 300])
    x, y = torch.randn(2, 2, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    _, (grad_x, _) = logit_and_gradient(optimal_logit("ood", 0.25), x, y, t, (), create_graph=False)
    abar, step = SCHEDULE.alphas_cumprod[t][:, None], 1e-6
    joint, base = target("ood", 0.25), marginal(0.25)

    def h(x: torch.Tensor) -> torch.Tensor:
        return joint.log_prob(torch.stack([x, y], -1), abar[..., None]) - base.log_prob(x[..., None], abar[..., None])

    torch.testing.assert_close(grad_x, (h(x + step) - h(x - step)) / (2 * step), rtol=1e-5, atol=1e-5)


@pytest.mark.e2e
def test_exact_scores_reach_the_target_with_the_default_sampler() -> None:
    bases = make_bases(("eps", "eps"), {"eps": exact_epsilon(0.25)})
    x, y = sample(bases, optimal_logit("ood", 0.25), 2000, [0], ToyConfig())
    record = describe(torch.stack([x[0], y[0]], -1), target("ood", 0.25), exact(target("ood", 0.25), 1))
    assert abs(record["excess"]) < 0.05 + 2 * record["nll_stderr"]
    assert record["spread"] == pytest.approx(1, abs=0.04)
    assert record["least_mode"] > 0.17


def test_members_equal_networks_of_their_own() -> None:
    gs = generators([0, 1], "weights")
    net = AdaptiveMLP(gs, 2, (6, 4), features=8, branch=5)
    torch.nn.init.normal_(net.modulation.weight, generator=torch.Generator().manual_seed(0))
    t, x = torch.tensor([[3, 70], [5, 9]]), torch.randn(2, 2, 3, 2)
    out = net(x, net.modulate(t))
    assert out.shape == (2, 2, 3)

    def linear(layer, z, m):
        return z @ layer.weight[m] + layer.bias[m, 0]

    for m in range(2):
        e = F.silu(linear(net.time_in, timestep_features(t[m], 8), m))
        mod = linear(net.modulation, F.silu(linear(net.time_out, e, m)), m)[:, None]
        z = F.layer_norm(linear(net.layers[0], x[m], m), (6,)) * (1 + mod[..., :6]) + mod[..., 6:12]
        z = F.layer_norm(linear(net.layers[1], F.silu(z), m), (4,)) * (1 + mod[..., 12:16]) + mod[..., 16:]
        torch.testing.assert_close(out[m], linear(net.out, F.silu(z), m)[..., 0])


def test_table_equals_the_network_between_its_nodes_and_beyond() -> None:
    net = AdaptiveMLP(generators([0, 1], "base"), 1, (16, 8), features=16, branch=16).requires_grad_(False)
    tabulated = TabulatedBase(net, 20)
    t, x = torch.tensor([4, 17]), torch.linspace(-5.9, 5.9, 501).expand(2, -1)
    want = net(x[:, None, :, None], net.modulate(t[:, None]))[:, 0]
    torch.testing.assert_close(tabulated(x, t, None), want, rtol=0, atol=1e-3)
    grouped = tabulated(x[:, :500].reshape(2, 5, 100), t[:, None].expand(2, 5), None)
    torch.testing.assert_close(grouped.flatten(1), tabulated(x[:, :500], t, None))
    edge = tabulated(torch.tensor([[6.0, 7.0, 8.0]]).expand(2, -1), t, None)
    torch.testing.assert_close(edge[:, 2] - edge[:, 1], edge[:, 1] - edge[:, 0], rtol=1e-3, atol=1e-4)


def test_timesteps_are_one_in_each_part_of_the_schedule() -> None:
    t = draw_timesteps(ToyConfig(distinct_timesteps=50), generators([0, 1, 2], "t"))
    assert torch.equal(t // 10, torch.arange(50).expand(3, -1))
    assert len(torch.unique(t % 10)) == 10


def test_streams_and_seeds_draw_apart() -> None:
    draws = {
        torch.rand(1, generator=g).item()
        for stream in (("ind", "real"), ("ood", "real"), ("ind", "training"), ("weights",), ("sampling", "x"))
        for g in generators(range(5), *stream)
    }
    assert len(draws) == 25


def test_a_seed_trains_alike_alone_and_in_company() -> None:
    both, alone = train_base(0.25, [3, 4], SMALL), train_base(0.25, [4], SMALL)
    t = torch.tensor([[0, 499]])
    torch.testing.assert_close(both.modulate(t.expand(2, -1))[1], alone.modulate(t)[0], rtol=1e-3, atol=1e-4)
    bases = make_bases(("eps", "eps"), {"eps": lambda x, t, c: 0.3 * x})
    discriminators = [train_discriminator(bases, "ind", "all", 0.25, seeds, SMALL) for seeds in ([3, 4], [4])]
    torch.testing.assert_close(discriminators[0].modulation[1], discriminators[1].modulation[0], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(discriminators[0].modulation[0], discriminators[0].modulation[1], atol=1e-2)


@pytest.mark.e2e
def test_run_gives_a_record_per_setting_method_and_seed_and_the_table_counts_them(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    seen = []
    records = run_toy(0.25, ["ood"], ["all"], [0, 1], SMALL, lambda record, points: seen.append(points.shape), tmp_path)
    assert [r["method"] for r in records] == [
        m for m in ("gt", "real", "exact", "no_joint", "optimal", "all") for _ in range(2)
    ]
    assert seen == [(50, 2)] * 2 + [(60, 2)] * 2 + [(50, 2)] * 8
    assert [f.name for f in tmp_path.iterdir()] == ["figure4_ood_sigma0.25.png"]
    rows = lay_out_table(records)
    assert [(row["method"], row["seeds"]) for row in rows][-1] == ("all", 2)
    last = [r["excess"] for r in records[-2:]]
    assert rows[-1]["excess"] == pytest.approx(sum(last) / 2)
    assert rows[-1]["excess_stderr"] == pytest.approx(abs(last[0] - last[1]) / 2)
    assert rows[-1]["paper_excess"] == pytest.approx(0.86)
    assert rows[2]["paper_nll"] is None


def test_names_are_checked_and_the_paper_has_a_number_for_each_loss() -> None:
    with pytest.raises(UsageError, match="Unknown setting"):
        target("in", 0.25)
    assert all({*LOSSES, "gt", "no_joint"} == set(column) for column in PAPER_NLL.values())
    assert Mixture(((0.0,),), 2.0).entropy() == pytest.approx(0.5 * math.log(2 * math.pi * math.e * 4))


def test_winners_are_named_by_each_score_and_shared_where_errors_do_not_tell() -> None:
    def row(method: str, excess: float, energy: float, spread: float) -> dict[str, object]:
        values = {"excess": excess, "energy": energy, "spread": spread, "mode_error": 0.01}
        errors = {f"{name}_stderr": 0.01 for name in values}
        return {"sigma": 0.25, "setting": "ind", "method": method, **SOURCE, **values, **errors}

    rows = [
        row("gt", 0, 0, 1),
        row("disc", -0.5, 0.3, 0.7),
        row("denoise", 0.02, 0.2, 1.2),
        row("all", 0.2, 0.02, 1.05),
    ]
    (said,) = name_winners(rows)
    assert said == "sigma 0.25, ind: best by excess denoise, energy all, mode error disc (or denoise), spread all."
    assert name_winners(rows[:2]) == []

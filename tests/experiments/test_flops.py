"""Operations that are counted: by hand on small networks, and of the published systems."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from mmbench.experiments.profiling.flops import count_base, count_flops, count_guidance, weightless
from mmbench.experiments.profiling.flops_table import count_systems
from mmbench.experiments.profiling.precision import round_to_tf32, rounding_factors
from mmbench.experiments.profiling.profile import make_profiled_system, profiled_dataset
from mmbench.mmdisco.kernels.attention import attend
from mmbench.mmdisco.losses import logit_and_gradient
from mmbench.mmdisco.schedule import NoiseSchedule, ScaledNoiseSchedule
from tests.commands import mmbench_here


def test_products_convolutions_and_attention_are_counted_as_by_hand() -> None:
    x, w = torch.empty(3, 5, device="meta"), torch.empty(5, 7, device="meta")
    assert count_flops(lambda: x @ w) == 2 * 3 * 5 * 7
    image, kernel = torch.empty(2, 4, 8, 8, device="meta"), torch.empty(6, 4, 3, 3, device="meta")
    assert count_flops(lambda: F.conv2d(image, kernel)) == 2 * 2 * 6 * 6 * 6 * 4 * 9
    tokens = torch.empty(2, 10, 16, device="meta")
    assert count_flops(lambda: attend(tokens, tokens, tokens, 4)) == 2 * (2 * 4) * 10 * 10 * 4 * 2


def test_a_gradient_by_the_input_costs_a_forward_pass_more_and_no_weight_gradient() -> None:
    with weightless():
        layers = nn.ModuleList(nn.Linear(8, 8, bias=False) for _ in range(3)).requires_grad_(False)
        x, y = torch.empty(2, 8), torch.empty(2, 8)

    def h(x: Any, y: Any, t: Any) -> Any:
        for layer in layers:
            x = torch.tanh(layer(x))
        return x.sum(1) + y.sum(1)

    once = 3 * 2 * 2 * 8 * 8
    assert count_flops(lambda: h(x, y, None)) == once
    assert count_flops(lambda: logit_and_gradient(h, x, y, torch.zeros(2), (), create_graph=False)) == 2 * once


def test_counting_computes_what_runs_and_leaves_results_alone() -> None:
    a = torch.ones(2, 2)
    out: list[Any] = []
    assert count_flops(lambda: out.append(a @ a)) == 2 * 8
    assert torch.equal(out[0], 2 * a)


PUBLISHED = {  # TFLOP of a step of the base, and percent of it that res_mlp and vit_mlp take
    "audioldm_animatediff": (8.296, 18.1, 0.3),
    "auffusion_vc2": (11.381, 13.2, 0.2),
    "mm_diffusion": (1.268, 31.4, 0.9),
}


@pytest.mark.e2e
@pytest.mark.parametrize("system", [pytest.param(system, marks=pytest.mark.thorough) for system in PUBLISHED])
def test_published_sizes_cost_what_was_counted_elsewhere(system: str) -> None:
    base, res, vit = PUBLISHED[system]
    rows = {row["design"]: row for row in count_systems([system], ["res_mlp", "vit_mlp"], num=8)}
    assert rows["res_mlp"]["base"] == pytest.approx(base, rel=1e-3)
    assert 100 * rows["res_mlp"]["share"] == pytest.approx(res, abs=0.06)
    assert 100 * rows["vit_mlp"]["share"] == pytest.approx(vit, abs=0.06)
    third = 7 / 20 if system == "mm_diffusion" else 17 / 50  # of the evaluations, the first among them
    assert rows["res_mlp"]["share -fast"] == pytest.approx(third * rows["res_mlp"]["share"])
    step = (4.772, 9.541) if system == "mm_diffusion" else (9.0, 18.0)
    assert (rows["res_mlp"]["step forward"], rows["res_mlp"]["step backward"]) == pytest.approx(step, rel=1e-3)


@pytest.mark.e2e
@pytest.mark.thorough
@pytest.mark.parametrize(
    ("system", "design", "percent"),
    [
        ("audioldm_animatediff", "res_mlp", 4.5),
        ("auffusion_vc2", "res_naive", 3.3),
    ],
)
def test_released_sizes_cost_a_quarter(system: str, design: str, percent: float) -> None:
    (row,) = count_systems([system], [design], {"channels": 128})
    assert 100 * row["share"] == pytest.approx(percent, abs=0.06)


def test_a_backward_pass_of_guidance_costs_as_much_as_its_forward_pass() -> None:
    with weightless():
        place = profiled_dataset("auffusion_vc2", None)
        pair = make_profiled_system("auffusion_vc2", "res_mlp", place, ["size=tiny"], device="meta").pair()
    counted = count_guidance(pair, pair.sampling, count_base(pair, pair.sampling), "res_mlp")
    assert counted.gradient == pytest.approx(2 * counted.forward, rel=0.01), "no gradient by weights is computed"


def test_schedules_that_are_first_read_while_counting_keep_their_numbers() -> None:
    with weightless():
        schedules = NoiseSchedule("linear", 1e-4, 0.02), ScaledNoiseSchedule("scaled_linear", 1e-3, 0.012)
        tables = [schedules[0].alphas_cumprod, schedules[1].magnitude, schedules[1].betas]
    assert [table.device.type for table in tables] == ["cpu"] * 3


@pytest.mark.thorough
@pytest.mark.e2e
def test_the_command_gives_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "profile", "flops", "-s", "mm_diffusion", "--set", "size=tiny", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)
    assert [row["design"] for row in rows][:2] == ["res_mlp", "res_naive"]
    assert 0 < rows[0]["base"] < 0.1
    missing = mmbench_here(capsys, "profile", "inference")
    assert missing.returncode == 2
    assert "mmbench profile inference -s tiny" in missing.stderr


def test_tf32_has_11_significant_bits() -> None:
    z = torch.tensor([1 + 2**-10, 1 + 2**-11, 1 + 2**-12, -1 - 2**-11, 3e38, 0.0])
    want = torch.tensor([1 + 2**-10, 1 + 2**-10, 1, -1 - 2**-10, 3e38, 0.0])
    assert torch.equal(round_to_tf32(z)[:4], want[:4])
    torch.testing.assert_close(round_to_tf32(z), want, rtol=2**-11, atol=0)
    assert round_to_tf32(z.double()).dtype == torch.float64
    with rounding_factors():
        assert (z[1:2, None] @ torch.ones(1, 1)).item() == 1 + 2**-10
        assert (z[1:2] + 0).item() == 1 + 2**-11, "sums are float32"


def test_the_error_of_every_precision_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "profile", "precision", "-s", "tiny", "--device", "cpu", "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["precision"]: row for row in json.loads(done.stdout)}
    errors = {precision: max(row["video"], row["audio"]) for precision, row in rows.items()}
    assert errors["ieee"] < 1e-5
    assert 1e-4 < errors["tf32"] < errors["bfloat16"] / 4 < 0.05
    assert [row["device"] for row in rows.values()] == ["cpu", "cpu, rounded", "cpu"]


@pytest.mark.parametrize("what", ["flops", "precision"])
@pytest.mark.parametrize("system", ["ground_truth", "tiny_cascade"])
def test_what_no_discriminator_guides_is_refused(what: str, system: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "profile", what, "-s", system)
    assert done.returncode == 2
    assert f"{system} is no pair" in done.stderr
    assert "mmbench list systems" in done.stderr


def test_operations_are_counted_for_the_format_and_options_asked_for() -> None:
    (full,) = count_systems(["mm_diffusion"], ["vit_mlp"], options=["size=tiny"])
    (as_published,) = count_systems(["mm_diffusion"], ["vit_mlp"])
    assert 10 * full["base"] < as_published["base"]

"""The operations with gradients of their own, against finite differences and against torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from mmbench.mmdisco.kernels.attention import attend
from mmbench.mmdisco.kernels.convolution import Geometry, convolve
from mmbench.mmdisco.kernels.normalization import normalize_modulate_silu


def normal(*shape: int, seed: int = 0) -> Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=g, dtype=torch.float64).requires_grad_()


@pytest.mark.parametrize("per_sample", [True, False])
@pytest.mark.parametrize("channels", [32, 64])
def test_norm(per_sample: bool, channels: int) -> None:
    rows, shape = normal(2, 3, 1, channels), (2, channels) if per_sample else (channels,)
    scale, shift = normal(*shape, seed=1), normal(*shape, seed=2)
    normed = F.group_norm(rows.flatten(1, 2).transpose(1, 2), 32).transpose(1, 2).view_as(rows)
    broadcast = (2, 1, 1, channels) if per_sample else (channels,)
    want = F.silu(normed * scale.view(broadcast) + shift.view(broadcast))
    assert torch.allclose(normalize_modulate_silu(rows, scale, shift), want, rtol=1e-12, atol=1e-13)
    assert gradgradcheck(normalize_modulate_silu, (rows, scale, shift), fast_mode=True)
    assert gradcheck(normalize_modulate_silu, (rows, scale, shift), fast_mode=True)


def test_norm_of_a_large_mean() -> None:
    rows = 1000 + normal(1, 500, 32).detach()
    exact = normalize_modulate_silu(rows, torch.ones(32).double(), torch.zeros(32).double())
    rounded = normalize_modulate_silu(rows.float(), torch.ones(32), torch.zeros(32))
    assert torch.allclose(rounded.double(), exact, atol=1e-3)  # the rows themselves are rounded to 6e-5


GEOMETRIES = [
    (Geometry(), (3, 1)),
    (Geometry(padding=(1, 1)), (3, 3)),
    (Geometry(padding=(4, 0), dilation=(4, 1)), (3, 1)),
    (Geometry(stride=(2, 2), padding=(1, 1)), (4, 4)),
    (Geometry(stride=(1, 2), padding=(1, 1)), (3, 4)),
]


@pytest.mark.parametrize(("geometry", "kernel"), GEOMETRIES)
def test_convolution(geometry: Geometry, kernel: tuple[int, int]) -> None:
    rows, weight, bias = normal(2, 7, 6, 3), normal(4, 3, *kernel, seed=1), normal(4, seed=2)

    def derivatives(y: Tensor) -> list[Tensor]:
        g = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view_as(y)
        first = torch.autograd.grad(y, (rows, weight, bias), g, retain_graph=True)
        (by_rows,) = torch.autograd.grad(y.square().sum(), rows, create_graph=True)
        return [y, *first, *torch.autograd.grad(by_rows.square().sum(), (rows, weight, bias))]

    reference = F.conv2d(rows.permute(0, 3, 1, 2), weight, bias, *geometry).permute(0, 2, 3, 1)
    for ours, torchs in zip(derivatives(convolve(rows, weight, bias, geometry)), derivatives(reference), strict=True):
        assert torch.allclose(ours, torchs, rtol=1e-10, atol=1e-12)


def test_convolution_computes_only_the_gradients_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, weight, bias = normal(1, 4, 4, 2), normal(2, 2, 3, 3), normal(2)
    y = convolve(rows, weight, bias, Geometry(padding=(1, 1)))
    masks: list[Any] = []
    backward = torch.ops.aten.convolution_backward
    monkeypatch.setattr(torch.ops.aten, "convolution_backward", lambda *a: masks.append(a[-1]) or backward(*a))
    torch.autograd.grad(y.sum(), rows, retain_graph=True)
    assert masks == [[True, False, False]]
    masks.clear()
    torch.autograd.grad(y.sum(), weight)
    assert [False, True, True] in masks


def test_what_is_not_supported_is_an_error_rather_than_wrong() -> None:
    rows, weight = normal(1, 4, 4, 2), normal(2, 2, 3, 3)
    y = convolve(rows, weight, None, Geometry())
    (by_weight,) = torch.autograd.grad(y.square().sum(), weight, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        by_weight.sum().backward()


def test_attention() -> None:
    q, k, v = normal(1, 3, 8), normal(1, 4, 8, seed=1), normal(1, 4, 8, seed=2)
    assert gradcheck(lambda *x: attend(*x, 2), (q, k, v), fast_mode=True)
    assert gradgradcheck(lambda *x: attend(*x, 2), (q, k, v), fast_mode=True)

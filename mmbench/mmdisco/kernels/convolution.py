"""2-D convolution on channels-last rows whose second gradient is as cheap as its first.

Autograd differentiates a convolution's backward with a convolution whose kernel is the whole image, and computes it
even for layers whose second gradient is two ordinary convolutions. A convolution is bilinear in its input and its
weight, so its derivatives of every order are three operations: itself, its transpose and its weight gradient. Here
each is the vendor's own kernel. (The same is done for GANs in NVlabs/stylegan3@c233a91:torch_utils/ops/
conv2d_gradfix.py, for NCHW and with a global switch where this has two nodes.)

Rows are (n, h, w, c): memory of every convolution, norm and pointwise layer alike, so nothing is ever copied between
layouts; (b, f, h, w, c) video becomes (b f, h, w, c) or (b, f, h w, c) as a view.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

Size = tuple[int, int]


class Geometry(NamedTuple):
    """Stride, padding and dilation of a kernel over (h, w)."""

    stride: Size = (1, 1)
    padding: Size = (0, 0)
    dilation: Size = (1, 1)


def convolve(rows: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
    """(n, h, w, i) rows with an (o, i, kh, kw) weight to (n, h', w', o) rows, like `F.conv2d` (autocast included).

    Differentiable twice: by the input, and then by input and weight. The gradient by the weight is final.
    """
    device = rows.device.type
    if torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device):  # meta tensors have none
        dtype = torch.get_autocast_dtype(device)
        rows, weight = rows.to(dtype), weight.to(dtype)
        bias = bias if bias is None else bias.to(dtype)
    x = rows.permute(0, 3, 1, 2)
    y = _Convolution.apply(x, weight, bias, geometry)
    if torch.is_grad_enabled() and weight.requires_grad:
        y = _Join.apply(y, _WeightPath.apply(x.detach(), weight, bias, y.shape, geometry))
    return y.permute(0, 2, 3, 1).contiguous()


def _backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry, mask: tuple[bool, bool, bool]
) -> tuple[Tensor, Tensor, Tensor]:
    sizes = None if bias is None else list(bias.shape)
    return torch.ops.aten.convolution_backward(grad, x, weight, sizes, *geometry, False, [0, 0], 1, list(mask))


class _Convolution(torch.autograd.Function):
    """y = x * w + b, differentiable by x here; the gradient by w and b comes through `_WeightPath`.

    Two nodes, because autograd runs a node whenever any of its inputs needs a gradient, and a node written in Python
    cannot see that only grad_x is wanted: it would compute (and throw away) every weight gradient on the way to
    grad_x h. The edge from here to w only serves the second gradient.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(weight)
        ctx.shape, ctx.geometry = x.shape, geometry
        return F.conv2d(x, weight, bias, *geometry)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        (weight,) = ctx.saved_tensors
        grad_x = _Transpose.apply(grad, weight, ctx.shape, ctx.geometry) if ctx.needs_input_grad[0] else None
        return grad_x, None, None, None


class _Transpose(torch.autograd.Function):
    """grad_x of a convolution, from grad_y and w; itself bilinear."""

    @staticmethod
    def forward(ctx: Any, grad: Tensor, weight: Tensor, shape: torch.Size, geometry: Geometry) -> Tensor:
        ctx.save_for_backward(grad, weight)
        ctx.geometry = geometry
        x = torch.empty(shape, dtype=grad.dtype, device=grad.device, memory_format=torch.channels_last)  # never read
        return _backward(grad, x, weight, None, geometry, (True, False, False))[0]

    @staticmethod
    def backward(ctx: Any, v: Tensor) -> Any:
        grad, weight = ctx.saved_tensors
        geometry = ctx.geometry
        by_grad = convolve(v.permute(0, 2, 3, 1), weight, None, geometry).permute(0, 3, 1, 2)
        by_weight = _backward(grad, v, weight, None, geometry, (False, True, False))[1]
        return by_grad, by_weight, None, None


class _WeightPath(torch.autograd.Function):
    """Zero, with the gradient of the convolution by w and b."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None, shape: torch.Size, geometry: Geometry
    ) -> Tensor:
        ctx.save_for_backward(x, weight, bias)
        ctx.geometry = geometry
        return x.new_zeros(1).expand(shape)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Any:
        x, weight, bias = ctx.saved_tensors
        _, by_weight, by_bias = _backward(grad, x, weight, bias, ctx.geometry, (False, True, bias is not None))
        return None, by_weight, by_bias, None, None


class _Join(torch.autograd.Function):
    """y + zero without touching y."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, zero: Tensor) -> Tensor:
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return grad, grad

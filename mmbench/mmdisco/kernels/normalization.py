"""GroupNorm, scale and shift, and SiLU as one operation on channels-last rows, with its first and second gradient.

Composed of library calls, the second gradient of this alone takes about as long as that of the convolutions around it:
every step is a pass over memory, with a graph for the next. Written out, everything but a few elementwise products is a
sum over rows. With x̂ = (x - mean) rstd, u = scale x̂ + shift, y = silu(u), means m(.) over a group and p = g silu'(u):

    grad_x = rstd (q - m(q) - x̂ m(q x̂)),  q = scale p;   grad_scale = sum p x̂;   grad_shift = sum p

and for the second gradient the same projection, which is its own adjoint, applied to the incoming v.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

NUM_GROUPS = 32
EPS = 1e-5


def normalize_modulate_silu(rows: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """silu(group_norm(rows) * scale + shift), groups over everything but the batch; twice differentiable.

    The channel axis is always the last one, so a video with as many frames as channels is nothing special. Computed in
    float32 at least.

    Args:
        rows: (b, ..., c).
        scale: (c,), or (b, c) for a scale per sample.
        shift: Like scale.
    """
    dtype = torch.promote_types(rows.dtype, torch.float32)
    b, c = len(rows), rows.shape[-1]
    flat = rows.reshape(b, -1, c).to(dtype)
    y = _NormSilu.apply(flat, scale.to(dtype).expand(b, c), shift.to(dtype).expand(b, c))
    return y.reshape(rows.shape).to(rows.dtype)


def _of_group(per_channel: Tensor) -> Tensor:
    """Mean over the channels of each group, back on every channel: (b, c) to (b, c)."""
    groups = per_channel.unflatten(1, (NUM_GROUPS, -1))
    return groups.mean(2, keepdim=True).expand_as(groups).flatten(1)


class _Rows:
    """The reductions of x (b, n, c) that both gradients need: statistics per channel (b, c), u, and sums over n."""

    def __init__(self, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, rstd: Tensor) -> None:
        self.x, self.n, self.mean, self.rstd = x, x.shape[1], mean, rstd
        self.gain = scale * rstd
        self.u = self.affine(shift, scale)

    def affine(self, constant: Tensor, slope: Tensor) -> Tensor:
        """constant + slope x̂, (b, n, c)."""
        slope = slope * self.rstd
        return torch.addcmul((constant - slope * self.mean)[:, None], self.x, slope[:, None])

    def sums(self, a: Tensor) -> tuple[Tensor, Tensor]:
        """sum a and sum a x̂ over n."""
        total = a.sum(1)
        return total, self.rstd * ((a * self.x).sum(1) - self.mean * total)


class _NormSilu(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        mean = _of_group(x.mean(1))
        centred = x - mean[:, None]
        rstd = torch.rsqrt(_of_group(centred.square().mean(1)) + EPS)
        ctx.save_for_backward(x, scale, shift, mean, rstd)
        return F.silu(torch.addcmul(shift[:, None], centred, (scale * rstd)[:, None], out=centred), inplace=True)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Any:
        return _NormSiluGradient.apply(grad, *ctx.saved_tensors)


class _NormSiluGradient(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, grad: Tensor, x: Tensor, scale: Tensor, shift: Tensor, mean: Tensor, rstd: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.save_for_backward(grad, x, scale, shift, mean, rstd)
        ctx.set_materialize_grads(False)
        rows = _Rows(x, scale, shift, mean, rstd)
        p = torch.ops.aten.silu_backward(grad, rows.u)
        sum_p, sum_p_hat = rows.sums(p)
        m_q, m_q_hat = _of_group(scale * sum_p) / rows.n, _of_group(scale * sum_p_hat) / rows.n
        grad_x = rows.affine(-rows.rstd * m_q, -rows.rstd * m_q_hat).addcmul_(p, rows.gain[:, None])
        return grad_x, sum_p_hat, sum_p

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, v: Tensor | None, by_scale: Tensor | None, by_shift: Tensor | None) -> Any:
        grad, x, scale, shift, mean, rstd = ctx.saved_tensors
        zero = torch.zeros_like(scale)
        v = torch.zeros_like(x) if v is None else v
        by_scale, by_shift = (zero if a is None else a for a in (by_scale, by_shift))
        rows = _Rows(x, scale, shift, mean, rstd)
        n, r, gain, u = rows.n, rows.rstd, rows.gain, rows.u
        p = torch.ops.aten.silu_backward(grad, u)
        (sum_p, sum_p_hat), (sum_v, sum_v_hat), sum_vp = rows.sums(p), rows.sums(v), (v * p).sum(1)
        m_q, m_q_hat = _of_group(scale * sum_p) / n, _of_group(scale * sum_p_hat) / n
        m_v, m_v_hat = _of_group(sum_v) / n, _of_group(sum_v_hat) / n

        by_p = rows.affine(by_shift - gain * m_v, by_scale - gain * m_v_hat).addcmul_(v, gain[:, None])
        sigmoid = torch.sigmoid(u)
        curvature = sigmoid.mul(-2).add_(1).mul_(u).add_(2).mul_(by_p).mul_(grad)
        by_u = torch.ops.aten.sigmoid_backward(curvature, sigmoid)  # by_p grad silu''(u)
        sum_u, sum_u_hat = rows.sums(by_u)

        by_hat = scale * sum_u + by_scale * sum_p - r * (sum_v * m_q_hat + scale * sum_p * m_v_hat)
        by_hat_hat = scale * sum_u_hat + by_scale * sum_p_hat - r * (sum_v_hat * m_q_hat + scale * sum_p_hat * m_v_hat)
        by_rstd = _of_group(scale * sum_vp) / n - m_v * m_q - m_v_hat * m_q_hat
        grad_x = rows.affine(-r * _of_group(by_hat) / n, -r * (_of_group(by_hat_hat) / n + r * by_rstd))
        grad_x.addcmul_(by_u, gain[:, None]).addcmul_(v, (-r * r * m_q_hat)[:, None])
        grad_x.addcmul_(p, (r * (by_scale - gain * m_v_hat))[:, None])
        grad_scale = sum_u_hat + r * (sum_vp - m_v * sum_p - m_v_hat * sum_p_hat)
        return torch.ops.aten.silu_backward(by_p, u), grad_x, grad_scale, sum_u, None, None

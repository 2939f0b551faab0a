"""Small networks of the 1-D experiment (arXiv 2405.17842, A.3), several seeds side by side in one batched product.

Every weight has a leading axis of `members`: one independent network per seed. A batch is (members, k, r, width): k
distinct timesteps of r points each, so that the timestep branch, by far the widest part, runs on k rows instead of k r.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def timestep_features(t: Tensor, width: int) -> Tensor:
    """(..., width) float32: cosines and sines of t at `width / 2` frequencies from 1 to 1e-4."""
    frequencies = torch.exp(-math.log(1e4) * torch.arange(width // 2) / (width // 2))
    angles = t[..., None].float() * frequencies
    return torch.cat([angles.cos(), angles.sin()], -1)


class MemberLinear(nn.Module):
    """One `nn.Linear` per member, initialised as nn.Linear is, each from its own generator."""

    def __init__(self, generators: Sequence[torch.Generator], fan_in: int, fan_out: int, *, zero: bool = False) -> None:
        super().__init__()
        bound = 0.0 if zero else fan_in**-0.5
        draws = [torch.rand(fan_in + 1, fan_out, generator=g) * 2 * bound - bound for g in generators]
        stacked = torch.stack(draws)
        self.weight = nn.Parameter(stacked[:, 1:].clone())
        self.bias = nn.Parameter(stacked[:, :1].clone())

    def forward(self, x: Tensor) -> Tensor:
        """(members, ..., fan_in) -> (members, ..., fan_out)."""
        out = torch.baddbmm(self.bias, x.reshape(x.shape[0], -1, x.shape[-1]), self.weight)
        return out.reshape(*x.shape[:-1], -1)


class AdaptiveMLP(nn.Module):
    """Linear, LayerNorm modulated by the timestep, SiLU, for each hidden width; then a linear output.

    With hidden widths 16-64-256-64-16, 256 timestep features and a branch of 1024 (fourfold, as in diffusion U-Nets)
    one member has 2,200,833 parameters, the paper's 2.2M, of which 98 % see nothing but t. A branch of 256: 380,673.

    Args:
        generators: One per member, for its initial weights.
        inputs: Width of the input.
        hidden: Widths of the hidden layers.
        features: Sines and cosines that tell the timestep.
        branch: Width of the two layers between them and the modulation.
    """

    def __init__(
        self, generators: Sequence[torch.Generator], inputs: int, hidden: Sequence[int], features: int, branch: int
    ) -> None:
        super().__init__()
        self.features, self.hidden = features, tuple(hidden)
        self.time_in = MemberLinear(generators, features, branch)
        self.time_out = MemberLinear(generators, branch, branch)
        self.modulation = MemberLinear(generators, branch, 2 * sum(hidden), zero=True)
        widths = [inputs, *hidden]
        self.layers = nn.ModuleList(MemberLinear(generators, a, b) for a, b in pairwise(widths))
        self.out = MemberLinear(generators, widths[-1], 1)

    def modulate(self, t: Tensor) -> Tensor:
        """(members, k) timesteps -> (members, k, 2 sum(hidden)) scales and shifts of all layers."""
        features = timestep_features(t, self.features)
        return self.modulation(F.silu(self.time_out(F.silu(self.time_in(features)))))

    def forward(self, x: Tensor, modulation: Tensor) -> Tensor:
        """(members, k, r, inputs) and `modulate(t)` -> (members, k, r)."""
        parts = iter(modulation[:, :, None].split([w for w in self.hidden for _ in range(2)], -1))
        for layer, width in zip(self.layers, self.hidden, strict=True):
            scale, shift = next(parts), next(parts)
            x = F.silu(torch.addcmul(shift, F.layer_norm(layer(x), (width,)), 1 + scale))
        return self.out(x)[..., 0]


class TabulatedBase:
    """A trained base model of one variable as a table, linear between nodes: 20 times cheaper, equal to about 1e-4.

    Discriminators and samplers evaluate the same 1-D function some 10^8 times.

    Args:
        net: One input, frozen.
        num_timesteps: T.
        limit: The table covers [-limit, limit]; beyond, the outermost pieces extend.
        pieces_per_unit: Its resolution.
    """

    def __init__(self, net: AdaptiveMLP, num_timesteps: int, limit: float = 6.0, pieces_per_unit: int = 128) -> None:
        members = net.out.weight.shape[0]
        self.limit, self.scale, self.num_timesteps = limit, pieces_per_unit, num_timesteps
        self.nodes = int(2 * limit * pieces_per_unit) + 1
        grid = torch.linspace(-limit, limit, self.nodes).expand(members, 1, -1)[..., None]
        modulation = net.modulate(torch.arange(num_timesteps).expand(members, -1))
        rows = [net(grid, modulation[:, t : t + 1])[:, 0] for t in range(num_timesteps)]
        self.table = torch.stack(rows, 1)  # (members, T, nodes)

    def __call__(self, x_t: Tensor, t: Tensor, condition: object) -> Tensor:
        """x_t (members, n) with t (members,), or (members, k, r) with (members, k), to predictions like x_t."""
        member = torch.arange(len(t)).view(-1, *[1] * (t.ndim - 1))
        row = ((member * self.num_timesteps + t) * self.nodes)[..., None]
        position = (x_t + self.limit) * self.scale
        piece = position.long().clamp(0, self.nodes - 2)
        left = row + piece
        flat = self.table.view(-1)
        return torch.lerp(flat[left], flat[left + 1], position - piece)


class MemberDiscriminator:
    """Trained discriminators as a `Discriminator` of (members, n) points, summed over each member's points."""

    def __init__(self, net: AdaptiveMLP, num_timesteps: int) -> None:
        self.net = net
        members = net.out.weight.shape[0]
        self.modulation = net.modulate(torch.arange(num_timesteps).expand(members, -1))

    def __call__(self, x_t: Tensor, y_t: Tensor, t: Tensor) -> Tensor:
        """(members, n), (members, n), (members,) -> (members,)."""
        modulation = self.modulation[torch.arange(len(t)), t][:, None]
        return self.net(torch.stack([x_t, y_t], -1)[:, None], modulation).sum((1, 2))

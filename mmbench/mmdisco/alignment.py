"""Guidance by an embedding of both modalities, without training (after arXiv 2402.17723).

    x_0 = (x_t - sqrt(1 - abar_t) eps) / sqrt(abar_t),   g = grad_{x_t} cos(e_x(x_0), e_y(y_0)),
    eps_hat = eps - s sqrt(1 - abar_t) g / rms(g)

Of each modality. The gradient passes through the decoder and the embedding alone: eps is held, as in
yzxing87/Seeing-and-Hearing@75cdbbc:v2a/audioldm/pipelines/pipeline_audioldm.py. That code moves x_t by a step of Adam,
whose size does not depend on that of the gradient, from a fifth of the sampler on. So each sample's gradient is divided
by its root mean square here, and one weight serves all noise levels.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from dataclasses import dataclass

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Pair, per_sample
from mmbench.networks.devices import Precision, computing_in

Agreement = Callable[[Tensor, Tensor], Tensor]  # clean (x_0, y_0) -> cosine of their embeddings (n,), with graph
WARM_UP = 0.2  # of the evaluations, which are not guided: x_0 is a blur


@dataclass(frozen=True, eq=False)
class Alignment:
    """An embedding of both modalities and how its cosine guides.

    Args:
        agreement: The cosine that is to rise.
        scale: Weights of the gradient on x and y.
        steps: Evaluations of the sampler, counted from 0, that are guided; None for all.
        every: Of these, each `every`-th computes the gradient; those between use the last one.
        precision: Of the gradient: "ieee" float32, "tf32" products, or "bfloat16" autocast.
    """

    agreement: Agreement
    scale: tuple[float, float]
    steps: Container[int] | None = None
    every: int = 1
    precision: Precision = "ieee"

    def gradient(self, state: Pair, clean: Callable[[Pair], Pair]) -> Pair:
        """g / rms(g) of each sample in both modalities; 0 where the cosine does not depend on it.

        Args:
            state: x_t and y_t.
            clean: From x_t and y_t to predicted clean latents, with graph; what the models predict is held.
        """
        x_t, y_t = (z.detach().requires_grad_() for z in state)
        with torch.enable_grad(), computing_in(self.precision, x_t.device.type):
            x, y = torch.autograd.grad(self.agreement(*clean((x_t, y_t))).sum(), (x_t, y_t))
        return unit_rms(x), unit_rms(y)


def unit_rms(gradient: Tensor) -> Tensor:
    """A gradient (n, ...) whose samples have a root mean square of 1, or are 0."""
    rms = gradient.flatten(1).square().mean(1).sqrt()
    return torch.where(per_sample(rms, gradient) > 0, gradient / per_sample(rms, gradient), 0.0)

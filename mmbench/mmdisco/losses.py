"""The two losses of MMDisCo (arXiv 2405.17842, Eqs. 9-16), on a pair of modalities x and y.

Everything random (timesteps, noises, which texts are dropped) comes in as tensors; nothing here draws. A base model is
a callable `epsilon(x_t, t, condition)`; `independent` makes a `JointEpsilon` of two. A discriminator is a callable
`discriminator(x_t, y_t, t, *text) -> logit (n,)` with `text` either empty or (text_x, text_y). Where modalities have
timesteps of their own, t is a pair for joint models and discriminators alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Pair = tuple[Tensor, Tensor]  # one tensor per modality, (x, y); in MMDisCo x is video, y is audio
Epsilon = Callable[[Tensor, Tensor, Any], Tensor]  # (x_t, t, condition) -> predicted noise, shaped like x_t
Times = Tensor | Pair  # (n,) timesteps that both modalities share, or (t_x, t_y)
JointEpsilon = Callable[[Tensor, Tensor, Any, Any], Pair]  # (x_t, y_t, times, condition) -> predicted noises
Discriminator = Callable[..., Tensor]  # (x_t, y_t, times, *text) -> logit h = log D / (1 - D), (n,)


@dataclass(frozen=True)
class Noised:
    """A batch of pairs with the noise that goes onto them.

    Attributes:
        sample: Clean x and y, (n, ...) floats.
        noise: Standard normal numbers of the same shapes, independent between x and y.
        t: (n,) integer timesteps, one per pair, or (t_x, t_y) where each modality has its own.
        condition: What the base models take besides x_t and t: None or a tuple of tensors of n rows.
        text: What the discriminator takes besides x_t, y_t and t: () or (text_x, text_y).
        predicted: What the base models predict of the noise, if that is known; else they are asked.
    """

    sample: Pair
    noise: Pair
    t: Times
    condition: Any = None
    text: tuple[Tensor, ...] = ()
    predicted: Pair | None = None

    def __len__(self) -> int:
        return len(self.sample[0])

    def levels(self, alphas_cumprod: Pair) -> Pair:
        """abar_t of x and y, (n,) each."""
        t_x, t_y = by_modality(self.t)
        return alphas_cumprod[0][t_x], alphas_cumprod[1][t_y]

    def at(self, alphas_cumprod: Pair) -> Pair:
        """x_t and y_t, each under its own schedule."""
        (x, y), (noise_x, noise_y), (abar_x, abar_y) = self.sample, self.noise, self.levels(alphas_cumprod)
        return add_noise(x, noise_x, abar_x), add_noise(y, noise_y, abar_y)

    def split(self, size: int) -> list[Noised]:
        """Consecutive parts of at most `size` pairs."""

        def rows(z: Any, first: int) -> Any:
            if isinstance(z, tuple):
                return tuple(rows(part, first) for part in z)
            return None if z is None else z[first : first + size]

        columns = {field.name: getattr(self, field.name) for field in fields(self)}
        return [Noised(**{k: rows(z, first) for k, z in columns.items()}) for first in range(0, len(self), size)]


@dataclass(frozen=True)
class Losses:
    """Both terms, each a scalar with a graph, and their weighted sum; a term that was not asked for is None."""

    discrimination: Tensor | None
    denoising: Tensor | None
    total: Tensor


def independent(epsilon_x: Epsilon, epsilon_y: Epsilon) -> JointEpsilon:
    """Two base models that know nothing of each other, as one; its condition is None or (condition_x, condition_y)."""

    def epsilon(x_t: Tensor, y_t: Tensor, t: Times, condition: Any) -> Pair:
        condition_x, condition_y = (None, None) if condition is None else condition
        t_x, t_y = by_modality(t)
        return epsilon_x(x_t, t_x, condition_x), epsilon_y(y_t, t_y, condition_y)

    return epsilon


def by_modality(t: Times) -> Pair:
    """(t_x, t_y) of timesteps that are shared or are such a pair."""
    return t if isinstance(t, tuple) else (t, t)


def per_sample(values: Tensor, like: Tensor) -> Tensor:
    """(n,) values shaped and cast to multiply an (n, ...) tensor; computed upstream in float64, rounded once here."""
    return values.to(like).reshape(-1, *[1] * (like.ndim - 1))


def add_noise(sample: Tensor, noise: Tensor, alpha_cumprod: Tensor) -> Tensor:
    """z_t = sqrt(abar_t) z + sqrt(1 - abar_t) eps, with abar_t (n,)."""
    return per_sample(alpha_cumprod.sqrt(), sample) * sample + per_sample((1 - alpha_cumprod).sqrt(), sample) * noise


def drop_text(text: Tensor, unconditional: Tensor, drop: Tensor) -> Tensor:
    """Replace the text of dropped samples by the unconditional one.

    Args:
        text: (n, ...) embeddings.
        unconditional: (n, ...), (1, ...) or (...) embeddings of the empty text.
        drop: (n,) bool, e.g. `torch.rand(n, generator=g) < 0.1`; use one mask for both modalities and for the bases.
    """
    return torch.where(drop.reshape(-1, *[1] * (text.ndim - 1)), unconditional, text)


def logit_and_gradient(
    discriminator: Discriminator, x_t: Tensor, y_t: Tensor, t: Times, text: tuple[Tensor, ...], *, create_graph: bool
) -> tuple[Tensor, Pair]:
    """h (n,) and (grad_x h, grad_y h), each sample's own; with `create_graph` they can be differentiated again."""
    with torch.enable_grad():
        x_t, y_t = x_t.detach().requires_grad_(), y_t.detach().requires_grad_()
        h = discriminator(x_t, y_t, t, *text)
        grad_x, grad_y = torch.autograd.grad(h.sum(), (x_t, y_t), create_graph=create_graph)
    return h, (grad_x, grad_y)


def discrimination_loss(logit_real: Tensor, logit_fake: Tensor) -> Tensor:
    """-E log D(real) - E log(1 - D(fake)) (Eqs. 9, 10), from the logit: finite and exact however sure D is.

    Eq. 10 is printed with the two targets exchanged; this is the cross entropy whose optimum, log q(real) / q(fake),
    Appendix A.1 uses.

    Args:
        logit_real: (n,) logits of noised real pairs.
        logit_fake: (m,) logits of noised pairs whose two parts the base models generated independently.

    Returns:
        Scalar; 2 log 2 for a discriminator that knows nothing.
    """
    return F.softplus(-logit_real).mean() + F.softplus(logit_fake).mean()


def denoising_loss(
    noise: Pair, epsilon: Pair, gradient: Pair, alpha_cumprod: Pair, reduction: Literal["mean", "sum"] = "mean"
) -> Tensor:
    """|| eps_x - eps_phi(x_t, t) + sqrt(1 - abar_t^x) grad_x h ||^2, plus the same for y (Eqs. 13-15).

    By default the squared norm is the mean over the elements of each modality, as in the training of diffusion models,
    so that neither modality nor this loss as a whole weighs more for having more elements.

    Args:
        noise: The noise on x and y.
        epsilon: What the base models predict of it; no gradient flows into them.
        gradient: (grad_x h, grad_y h), with graph.
        alpha_cumprod: abar_t of either modality, (n,).
        reduction: "mean" over elements, or their "sum" as printed; the mean over pairs either way.
    """
    return sum(
        F.mse_loss(predicted.detach() - per_sample((1 - abar).sqrt(), grad) * grad, eps)
        * (1 if reduction == "mean" else eps[0].numel())
        for eps, predicted, grad, abar in zip(noise, epsilon, gradient, alpha_cumprod, strict=True)
    )  # type: ignore[return-value]


def mmdisco_losses(
    discriminator: Discriminator,
    epsilon: JointEpsilon,
    alphas_cumprod: Pair,
    real: Noised,
    fake: Noised,
    *,
    weight_discrimination: float = 1.0,
    weight_denoising: float = 1.0,
    reduction: Literal["mean", "sum"] = "mean",
) -> Losses:
    """L_disc + lambda L_denoise (Eq. 16), with one pass of the discriminator over the real pairs for both terms.

    Args:
        discriminator: The network in training.
        epsilon: The frozen base models, called without gradient and only if the denoising loss is wanted and what they
            predict of the real pairs is not known.
        alphas_cumprod: (T,) per modality, float64, on the device of the batches.
        real: Pairs of the data.
        fake: Pairs whose two parts the base models generated independently.
        weight_discrimination: 0 leaves L_disc out (the ablation "denoise").
        weight_denoising: lambda; 0 leaves L_denoise out (the ablation "disc").
        reduction: Of L_denoise over the elements of a modality.
    """
    x_t, y_t = real.at(alphas_cumprod)
    discrimination = denoising = None
    if weight_denoising:
        predicted = real.predicted
        if predicted is None:
            with torch.no_grad():
                predicted = epsilon(x_t, y_t, real.t, real.condition)
        h, gradient = logit_and_gradient(discriminator, x_t, y_t, real.t, real.text, create_graph=True)
        denoising = denoising_loss(real.noise, predicted, gradient, real.levels(alphas_cumprod), reduction)
    else:
        h = discriminator(x_t, y_t, real.t, *real.text)
    if weight_discrimination:
        discrimination = discrimination_loss(h, discriminator(*fake.at(alphas_cumprod), fake.t, *fake.text))
    terms = [
        weight * loss
        for weight, loss in ((weight_discrimination, discrimination), (weight_denoising, denoising))
        if loss is not None
    ]
    if not terms:
        raise ValueError("both weights are 0; at least one of the losses is needed")
    return Losses(discrimination, denoising, torch.stack(terms).sum())

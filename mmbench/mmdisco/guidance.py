"""Joint guidance (arXiv 2405.17842, Algorithm 2): a discriminator's gradient added to what two base models predict.

    eps_hat_m = eps_m(x_t, t) - s_m sqrt(1 - abar_t^m) grad_m h(x_t, y_t, t),   m = x, y

With text, classifier-free guidance applies to the bases and, with the same weights, to the gradient, as in
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/networks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.alignment import Alignment
from mmbench.mmdisco.dpm_solver import State
from mmbench.mmdisco.losses import (
    Discriminator,
    Epsilon,
    JointEpsilon,
    Pair,
    Times,
    by_modality,
    independent,
    logit_and_gradient,
    per_sample,
)
from mmbench.networks.devices import Precision, computing_in


def release_logit(h: Tensor) -> Tensor:
    """log(p + 1e-5) - log(1 - p + 1e-5) with p = sigmoid(h): the logit of the released code, flat where |h| > 11."""
    p = torch.sigmoid(h)
    return torch.log(p + 1e-5) - torch.log1p(-p + 1e-5)


def twice(z: Tensor) -> Tensor:
    """A batch followed by itself."""
    return torch.cat([z, z])


def twice_times(t: Times) -> Times:
    """Timesteps, shared or not, followed by themselves."""
    return (twice(t[0]), twice(t[1])) if isinstance(t, tuple) else twice(t)


def free(both: Pair, scale: tuple[float, float]) -> Pair:
    """Classifier-free guidance u + w (c - u) of batches whose first halves u are without text."""
    passes = [z.chunk(2) for z in both]
    x, y = (u + w * (c - u) for (u, c), w in zip(passes, scale, strict=True))
    return x, y


def join(unconditional: Any, conditional: Any) -> Any:
    """Concatenate two conditions along the batch: tensors, or tuples, lists and dicts of them; None stays None."""
    if isinstance(conditional, Tensor):
        return torch.cat([unconditional, conditional])
    if isinstance(conditional, dict):
        return {key: join(unconditional[key], conditional[key]) for key in conditional}
    if isinstance(conditional, tuple | list):
        return type(conditional)(join(u, c) for u, c in zip(unconditional, conditional, strict=True))
    if conditional != unconditional:
        raise TypeError(f"cannot join conditions {unconditional!r} and {conditional!r}; expected tensors")
    return conditional


@dataclass(frozen=True, eq=False)
class Guidance:
    """A trained discriminator and how to use it.

    The gradient is computed in `precision`, whatever the base models run in. In IEEE float32 its error relative to
    float64 stays below 1e-5, where a bfloat16 pass makes errors above 1e-3 (`tests/mmdisco/test_guidance.py` measures
    both: 5e-7 and 1e-2 on its network).

    Args:
        discriminator: (x_t, y_t, t, *text) -> logit h (n,).
        scale: s_x and s_y.
        text: () or (text_x, text_y), (n, ...) each.
        unconditional_text: The same of the empty text; needed for classifier-free guidance.
        logit: Applied to h before the gradient; `release_logit` for equality with the released code.
        steps: Evaluations of the sampler, counted from 0, that are guided; None for all.
        every: Of the guided evaluations, each `every`-th computes the gradient; those between use the last one, with
            their own weight. Of a singlestep solver of order k, `every=k` computes one per outer step.
        precision: Of the gradient: "ieee" float32, "tf32" products, or "bfloat16" autocast.
    """

    discriminator: Discriminator
    scale: tuple[float, float] = (1.0, 1.0)
    text: tuple[Tensor, ...] = ()
    unconditional_text: tuple[Tensor, ...] = ()
    logit: Callable[[Tensor], Tensor] | None = None
    steps: Container[int] | None = None
    every: int = 1
    precision: Precision = "ieee"

    def gradient(self, x_t: Tensor, y_t: Tensor, t: Times, text: tuple[Tensor, ...]) -> Pair:
        """(grad_x h, grad_y h), float32 (float64 stays)."""

        def logit(*inputs: Tensor) -> Tensor:
            h = self.discriminator(*inputs)
            return h if self.logit is None else self.logit(h)

        x_t, y_t = (z if z.dtype == torch.float64 else z.float() for z in (x_t, y_t))
        with computing_in(self.precision, x_t.device.type):
            return logit_and_gradient(logit, x_t, y_t, t, text, create_graph=False)[1]

    def free_gradient(self, x_t: Tensor, y_t: Tensor, t: Times, free_scale: tuple[float, float] | None) -> Pair:
        """The gradient with classifier-free weights, for a discriminator that reads text; else the plain one."""
        if free_scale is None or not self.text:
            return self.gradient(x_t, y_t, t, self.text)
        text = join(self.unconditional_text, self.text)
        return free(self.gradient(twice(x_t), twice(y_t), twice_times(t), text), free_scale)


def _at_rest(z_t: Tensor, t: Tensor, condition: Any) -> Tensor:
    """What nobody asks of a model whose half does not move."""
    return torch.zeros_like(z_t)


@dataclass
class KeptGradient:
    """The gradient of a run of the sampler, the last of which may be used again.

    Attributes:
        pair: The last one, joint scale and sigma not applied; None before the first.
        uses: Guided evaluations since it was computed.
    """

    pair: Pair | None = None
    uses: int = 0

    def at(self, step: int, guidance: Guidance | Alignment, compute: Callable[[], Pair]) -> Pair | None:
        """The gradient by which evaluation `step` is guided, computed or kept; None where it is not guided."""
        if step == 0:
            self.pair = None
        if guidance.steps is not None and step not in guidance.steps:
            return None
        if guidance.every == 1:
            return compute()
        self.uses += 1
        if self.pair is None or self.uses >= guidance.every:
            self.pair, self.uses = compute(), 0
        return self.pair


@dataclass(frozen=True, eq=False)
class JointPredictor:
    """Predicts the noise in both modalities: what a sampler calls. One serves one run of a sampler at a time.

    Args:
        epsilon: The base models.
        alphas_cumprod: (T,) per modality, float64, on the device of the samples.
        condition: What the base models take besides x_t and t, for n samples.
        unconditional: The same without text; both then go through the models in one call on 2 n samples, the
            unconditional ones first.
        free_scale: Classifier-free weights of x and y; None for a single, conditional pass.
        guidance: The discriminator, or an embedding; None samples the bases alone.
        dtype: Precision the base models are autocast to; None leaves them alone.
        halves: Either base model by itself, so that one rests while the other moves; None evaluates both at all times.
        kept: The gradient that is used again; a run starts anew at evaluation 0.
    """

    epsilon: JointEpsilon
    alphas_cumprod: Pair
    condition: Any = None
    unconditional: Any = None
    free_scale: tuple[float, float] | None = None
    guidance: Guidance | Alignment | None = None
    dtype: torch.dtype | None = None
    halves: tuple[Epsilon, Epsilon] | None = None
    kept: KeptGradient = field(default_factory=KeptGradient, repr=False)

    def __call__(self, state: State, t: Times, step: int = 0, moving: Sequence[int] = (0, 1)) -> State:
        """Predicted noises of (x_t, y_t) at integer timesteps (n,), in evaluation `step` of the sampler.

        Args:
            state: (n, ...) noised latents.
            t: Timesteps of both modalities, or (t_x, t_y).
            step: From 0.
            moving: The modalities whose noises are asked for; those of another may be anything.
        """
        x_t, y_t = state
        predicted = self._base(x_t, y_t, t, moving)
        g = self.guidance
        if g is None:
            return predicted
        gradient = self.kept.at(step, g, lambda: self._gradient(g, (x_t, y_t), t, predicted))
        if gradient is None:
            return predicted
        out = []
        everything = zip(predicted, gradient, g.scale, self.alphas_cumprod, by_modality(t), strict=True)
        for eps, grad, scale, abar, t_m in everything:
            sigma = (1 - abar[t_m.long()]).sqrt()
            out.append(eps - per_sample(scale * sigma, grad) * grad)
        return tuple(out)

    def _base(self, x_t: Tensor, y_t: Tensor, t: Times, moving: Sequence[int]) -> Pair:
        epsilon = self.epsilon
        if len(moving) == 1 and self.halves is not None and not isinstance(self.guidance, Alignment):
            epsilon = independent(*(half if i in moving else _at_rest for i, half in enumerate(self.halves)))
        cast = nullcontext() if self.dtype is None else torch.autocast(x_t.device.type, self.dtype)
        with torch.no_grad(), cast:
            if self.free_scale is None:
                x, y = epsilon(x_t, y_t, t, self.condition)
            else:
                condition = join(self.unconditional, self.condition)
                x, y = epsilon(twice(x_t), twice(y_t), twice_times(t), condition)
            x, y = (
                x.to(x_t.dtype),
                y.to(y_t.dtype),
            )  # guidance weights amplify rounding: combine at the samples' precision
            return (x, y) if self.free_scale is None else free((x, y), self.free_scale)

    def _gradient(self, g: Guidance | Alignment, state: Pair, t: Times, predicted: Pair) -> Pair:
        if isinstance(g, Alignment):
            return g.gradient(state, lambda noised: self._clean(noised, t, predicted))
        return g.free_gradient(*state, t, self.free_scale)

    def _clean(self, noised: Pair, t: Times, predicted: Pair) -> Pair:
        """What the predicted noises say of clean latents, with the graph of x_t and y_t."""
        x_0, y_0 = (
            (z - per_sample((1 - abar[s.long()]).sqrt(), z) * eps) / per_sample(abar[s.long()].sqrt(), z)
            for z, eps, abar, s in zip(noised, predicted, self.alphas_cumprod, by_modality(t), strict=True)
        )
        return x_0, y_0

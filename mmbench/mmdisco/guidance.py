"""Joint guidance (arXiv 2405.17842, Algorithm 2): a discriminator's gradient added to what two base models predict.

    eps_hat_m = eps_m(x_t, t) - s_m sqrt(1 - abar_t^m) grad_m h(x_t, y_t, t),   m = x, y

With text, classifier-free guidance applies to the bases and, with the same weights, to the gradient, as in
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/networks.py.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.alignment import Alignment
from mmbench.mmdisco.dpm_solver import State
from mmbench.mmdisco.losses import Discriminator, JointEpsilon, Pair, logit_and_gradient, per_sample
from mmbench.networks.devices import Precision, computing_in


def release_logit(h: Tensor) -> Tensor:
    """log(p + 1e-5) - log(1 - p + 1e-5) with p = sigmoid(h): the logit of the released code, flat where |h| > 11."""
    p = torch.sigmoid(h)
    return torch.log(p + 1e-5) - torch.log1p(-p + 1e-5)


def twice(z: Tensor) -> Tensor:
    """A batch followed by itself."""
    return torch.cat([z, z])


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

    def gradient(self, x_t: Tensor, y_t: Tensor, t: Tensor, text: tuple[Tensor, ...]) -> Pair:
        """(grad_x h, grad_y h), float32 (float64 stays)."""

        def logit(*inputs: Tensor) -> Tensor:
            h = self.discriminator(*inputs)
            return h if self.logit is None else self.logit(h)

        x_t, y_t = (z if z.dtype == torch.float64 else z.float() for z in (x_t, y_t))
        with computing_in(self.precision, x_t.device.type):
            return logit_and_gradient(logit, x_t, y_t, t, text, create_graph=False)[1]


@dataclass
class KeptGradient:
    """The last gradient of a run of the sampler, to be used again.

    Attributes:
        pair: The gradient, joint scale and sigma not applied; None before the first.
        uses: Guided evaluations since it was computed.
    """

    pair: Pair | None = None
    uses: int = 0


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
        kept: The gradient that is used again; a run starts anew at evaluation 0.
    """

    epsilon: JointEpsilon
    alphas_cumprod: Pair
    condition: Any = None
    unconditional: Any = None
    free_scale: tuple[float, float] | None = None
    guidance: Guidance | Alignment | None = None
    dtype: torch.dtype | None = None
    kept: KeptGradient = field(default_factory=KeptGradient, repr=False)

    def __call__(self, state: State, t: Tensor, step: int = 0) -> State:
        """Predicted noises of (x_t, y_t) at integer timesteps t (n,), in evaluation `step` of the sampler."""
        x_t, y_t = state
        predicted = self._base(x_t, y_t, t)
        if step == 0:
            self.kept.pair = None
        g = self.guidance
        if g is None or (g.steps is not None and step not in g.steps):
            return predicted
        out = []
        for eps, grad, scale, abar in zip(
            predicted, self._fresh_or_kept(g, x_t, y_t, t, predicted), g.scale, self.alphas_cumprod, strict=True
        ):
            sigma = (1 - abar[t.long()]).sqrt()
            out.append(eps - per_sample(scale * sigma, grad) * grad)
        return tuple(out)

    def _free(self, both: Pair) -> Pair:
        """u + w (c - u) of the halves u, c of a doubled batch."""
        assert self.free_scale is not None
        passes = [z.chunk(2) for z in both]
        x, y = (u + w * (c - u) for (u, c), w in zip(passes, self.free_scale, strict=True))
        return x, y

    def _base(self, x_t: Tensor, y_t: Tensor, t: Tensor) -> Pair:
        cast = nullcontext() if self.dtype is None else torch.autocast(x_t.device.type, self.dtype)
        with torch.no_grad(), cast:
            if self.free_scale is None:
                x, y = self.epsilon(x_t, y_t, t, self.condition)
            else:
                condition = join(self.unconditional, self.condition)
                x, y = self.epsilon(twice(x_t), twice(y_t), twice(t), condition)
            x, y = (
                x.to(x_t.dtype),
                y.to(y_t.dtype),
            )  # guidance weights amplify rounding: combine at the samples' precision
            return (x, y) if self.free_scale is None else self._free((x, y))

    def _fresh_or_kept(self, g: Guidance | Alignment, x_t: Tensor, y_t: Tensor, t: Tensor, predicted: Pair) -> Pair:
        kept = self.kept
        if g.every == 1:
            return self._gradient(g, x_t, y_t, t, predicted)
        kept.uses += 1
        if kept.pair is None or kept.uses >= g.every:
            kept.pair, kept.uses = self._gradient(g, x_t, y_t, t, predicted), 0
        return kept.pair

    def _gradient(self, g: Guidance | Alignment, x_t: Tensor, y_t: Tensor, t: Tensor, predicted: Pair) -> Pair:
        if isinstance(g, Alignment):
            return g.gradient((x_t, y_t), predicted, t, self.alphas_cumprod)
        if self.free_scale is None or not g.text:
            return g.gradient(x_t, y_t, t, g.text)
        text = join(g.unconditional_text, g.text)
        return self._free(g.gradient(twice(x_t), twice(y_t), twice(t), text))

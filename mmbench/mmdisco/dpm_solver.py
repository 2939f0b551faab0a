"""DPM-Solver and DPM-Solver++ (arXiv 2206.00927, 2211.01095) on one or several modalities stepped together.

MM-Diffusion and MMDisCo use the singlestep solver of order 3 on 20 evaluations, evenly spaced in log SNR, on predicted
samples with dynamic thresholding; Diff-Foley the multistep solver of order 2 in 25. Reproduces
SonyResearch/MMDisCo@3b9f84f:mmdisco/models/diffusion/mmdiffusion/multimodal_dpm_solver_plus.py (`nodes="shared"`) and
luosiallen/Diff-Foley@0ba1e8a:diff_foley/models/diffusion/dpm_solver/dpm_solver.py (`nodes="respaced"`).

Times are those of `schedule.LogSNR`. All coefficients are float64; they depend on the times alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise
from typing import Any, Literal

import torch
from torch import Tensor

from mmbench.errors import UsageError
from mmbench.mmdisco.schedule import LogSNR
from mmbench.progress import report_step

State = tuple[Tensor, ...]  # one (n, ...) tensor per modality
Predict = Callable[..., State]  # (state, t, number of the evaluation[, halves that move]) -> predicted noises


def dynamic_threshold(sample: Tensor, quantile: float = 0.995, floor: float = 1.0) -> Tensor:
    """Clamp each sample to its own quantile of |x|, at least `floor`, and scale that to 1 (arXiv 2205.11487)."""
    limit = torch.quantile(sample.abs().flatten(1).float(), quantile, dim=1).clamp_min(floor).to(sample)
    limit = limit.reshape(-1, *[1] * (sample.ndim - 1))
    return sample.clamp(-limit, limit) / limit


def singlestep_orders(num_steps: int, order: int) -> list[int]:
    """Orders of the outer steps: as many of `order` as fit, then lower ones, using `num_steps` evaluations in all."""
    full, rest = divmod(num_steps, order)
    if order == 3 and rest == 0:
        return [3] * (full - 1) + [2, 1]
    return [order] * full + ([rest] if rest else [])


@dataclass(frozen=True, eq=False)
class DPMSolver:
    """A solver with its settings; `sample` integrates from s = 1 to the first step of the schedule.

    Args:
        alphas_cumprod: (T,) per modality, one T for all. Times are spaced by the first.
        num_inference_steps: Evaluations of the model.
        order: 1, 2 or 3.
        method: "singlestep" spends `order` evaluations on a step, "multistep" remembers the last ones.
        spacing: Evenly in "logSNR", in time, or in the square root of time.
        predict_sample: Integrate predicted samples (DPM-Solver++) instead of predicted noise (DPM-Solver).
        thresholding: Apply `dynamic_threshold` to predicted samples.
        lower_order_final: Let the multistep order fall at the end of runs of fewer than 15 steps.
        nodes: Where singlestep evaluates between: "shared" on one grid of all evaluations (MM-Diffusion),
            "respaced" inside each outer step (original DPM-Solver).
        integer_times: Hand the model truncated int64 times, as MM-Diffusion does, instead of float32 ones.
    """

    alphas_cumprod: tuple[Tensor, ...]
    num_inference_steps: int = 20
    order: int = 3
    method: Literal["singlestep", "multistep"] = "singlestep"
    spacing: Literal["logSNR", "time_uniform", "time_quadratic"] = "logSNR"
    predict_sample: bool = True
    thresholding: bool = False
    lower_order_final: bool = True
    nodes: Literal["shared", "respaced"] = "shared"
    integer_times: bool = True

    def __post_init__(self) -> None:
        if self.order not in (1, 2, 3) or self.num_inference_steps < self.order:
            raise UsageError(
                f"DPM-Solver of order {self.order} in {self.num_inference_steps} steps.",
                "order 1, 2 or 3 and at least as many steps",
            )
        if self.thresholding and not self.predict_sample:
            raise UsageError("Thresholding needs predicted samples.", "predict_sample=True")

    @cached_property
    def log_snr(self) -> list[LogSNR]:
        """lambda of each modality, float64."""
        return [LogSNR(abar.double().cpu()) for abar in self.alphas_cumprod]

    def _space(self, start: float, end: float, num: int) -> Tensor:
        """(num + 1,) float32 times from `start` to `end`: the official precision, which decides truncated times."""
        if self.spacing == "time_uniform":
            return torch.linspace(start, end, num + 1)
        if self.spacing == "time_quadratic":
            return torch.linspace(start**0.5, end**0.5, num + 1) ** 2
        log_snr = LogSNR(self.alphas_cumprod[0].float().cpu())
        first, last = (log_snr(torch.tensor([s])).item() for s in (start, end))
        return log_snr.inverse(torch.linspace(first, last, num + 1))

    def times(self) -> list[list[float]]:
        """Times of each outer step: its start, the nodes inside, its end."""
        end, num = 1 / len(self.alphas_cumprod[0]), self.num_inference_steps
        if self.method == "multistep":
            grid = self._space(1.0, end, num).tolist()
            return [list(ends) for ends in pairwise(grid)]
        orders = singlestep_orders(num, self.order)
        if self.nodes == "respaced" and self.spacing == "logSNR":
            outer = self._space(1.0, end, len(orders)).tolist()
        else:
            grid, starts = self._space(1.0, end, num).tolist(), list(accumulate(orders, initial=0))
            if self.nodes == "shared":
                return [grid[i : j + 1] for i, j in pairwise(starts)]
            outer = [grid[i] for i in starts]
        return [self._space(s, t, k).tolist() for (s, t), k in zip(pairwise(outer), orders, strict=True)]

    def sample(self, predict: Predict, state: State, generators: Any = None) -> State:
        """Integrate from `state`, standard normal noise, to samples; draws nothing, so `generators` are not used.

        Args:
            predict: Predicts the noise in every modality of `state`.
            state: (n, ...) tensors, one per schedule.
            generators: Accepted so that solvers and stochastic samplers are called alike.
        """
        history: list[tuple[float, State]] = []
        count, steps, num_train_timesteps = 0, self.times(), len(self.alphas_cumprod[0])

        def evaluate(x: State, s: float) -> State:
            nonlocal count
            model_time = (torch.tensor(s) - 1 / num_train_timesteps) * num_train_timesteps
            model_time = model_time.long() if self.integer_times else model_time
            noise = predict(x, model_time.to(x[0].device).expand(len(x[0])), count)
            count += 1
            if not self.predict_sample:
                return noise
            out = []
            for z, eps, log_snr in zip(x, noise, self.log_snr, strict=True):
                log_alpha = log_snr.log_alpha(torch.tensor([s], dtype=torch.float64)).item()
                clean = (z - (-math.expm1(2 * log_alpha)) ** 0.5 * eps) / math.exp(log_alpha)
                out.append(dynamic_threshold(clean) if self.thresholding else clean)
            return tuple(out)

        for k, nodes in enumerate(steps):
            report_step(k, len(steps))
            ends = (nodes[0], nodes[-1])
            if self.method == "multistep":
                order = min(self.order, k + 1)
                if self.lower_order_final and self.num_inference_steps < 15:
                    order = min(order, len(steps) - k)
                history = [(nodes[0], evaluate(state, nodes[0])), *history][: self.order]
                state = self._step(state, ends, *zip(*history[:order], strict=True), second=order == 2)
                continue
            models = [evaluate(state, nodes[0])]
            for inner in range(1, len(nodes) - 1):
                middle = self._step(state, (nodes[0], nodes[inner]), nodes[:inner], models)
                models.append(evaluate(middle, nodes[inner]))
            state = self._step(state, ends, nodes[: len(models)], models, second=len(models) == 2)
        return state

    def _step(
        self,
        state: State,
        ends: tuple[float, float],
        times: Sequence[float],
        models: Sequence[State],
        *,
        second: bool = False,
    ) -> State:
        """One exponential-integrator step between `ends`; models[i] was evaluated at times[i].

        With z the difference of lambda, negated for predicted samples, phi = expm1(z) and psi = phi / z - 1:
        a x - b (phi m + psi m' + (psi / z - 1/2) m''), m', m'' finite differences in lambda; a `second`-order step
        has phi / 2 in place of psi, as in both official solvers.
        """
        out = []
        for j, (x, log_snr) in enumerate(zip(state, self.log_snr, strict=True)):
            at = torch.tensor([*ends, *times], dtype=torch.float64)
            (start, end, *known), log_alpha = log_snr(at).tolist(), log_snr.log_alpha(at).tolist()
            h = end - start
            if self.predict_sample:
                z, a, b = -h, math.exp(log_alpha[1] - log_alpha[0] - h), math.exp(log_alpha[1])
            else:
                z, a, b = h, math.exp(log_alpha[1] - log_alpha[0]), math.exp(log_alpha[1] - end)
            phi = math.expm1(z)
            psi = phi / z - 1
            r = [(lambda_ - start) / h for lambda_ in known]
            m = [model[j] for model in models]
            x = a * x - b * phi * m[0]
            if self.method == "multistep" and len(m) == 3:
                near, far = (m[1] - m[0]) / r[1], (m[2] - m[1]) / (r[2] - r[1])
                curvature = (far - near) / r[2]
                x = x - b * psi * (near - r[1] * curvature) - b * (psi / z - 0.5) * curvature
            elif len(m) > 1:
                x = x - b * (phi / 2 if second else psi) * (m[-1] - m[0]) / r[len(m) - 1]
            out.append(x)
        return tuple(out)

"""Noise levels of diffusers' schedulers, read from their state: where a step is, and what a prediction means there.

Source: diffusers 0.42.1: src/diffusers/schedulers. What is read is not believed until a scheduler is seen to keep to
it (`mmbench.mmdisco.scheduler_check`).
"""

from __future__ import annotations

from typing import Any

from mmbench.errors import UsageError
from mmbench.mmdisco.levels import Kind, Level, level_of_kind

KIND_OF: dict[str, Kind] = {"epsilon": "epsilon", "sample": "sample", "v_prediction": "v", "flow_prediction": "flow"}

DISTILLED = "it samples distilled models in few steps, whose outputs are no score of noised data"
BACKWARDS = "it runs from clean latents to noise"
OTHERWISE = "its steps take more than a prediction, a timestep and latents of one noise level"
REFUSED = {
    "CMStochasticIterativeScheduler": DISTILLED,
    "FlowMapEulerDiscreteScheduler": DISTILLED,
    "FlowMatchLCMScheduler": DISTILLED,
    "HeliosDMDScheduler": DISTILLED,
    "LCMScheduler": DISTILLED,
    "PiflowScheduler": DISTILLED,
    "SCMScheduler": DISTILLED,
    "TCDScheduler": DISTILLED,
    "DDIMInverseScheduler": BACKWARDS,
    "DPMSolverMultistepInverseScheduler": BACKWARDS,
    "HeliosScheduler": OTHERWISE,
    "RePaintScheduler": OTHERWISE,
    "UnCLIPScheduler": OTHERWISE,
}


def reason_against(scheduler: Any) -> str | None:
    """Why predictions between the steps of a scheduler cannot be guided, if its class says so; None if it may."""
    if reason := REFUSED.get(type(scheduler).__name__):
        return reason
    if not hasattr(scheduler, "step"):
        return OTHERWISE
    if getattr(scheduler, "order", 1) != 1:
        return "a solver of second order, it also steps at points between those of its grid"
    return None


def require_readable(scheduler: Any) -> None:
    """Refuse a scheduler by its class.

    Raises:
        UsageError: The class is refused; `reason_against` says why.
    """
    if reason := reason_against(scheduler):
        raise UsageError(f"{type(scheduler).__name__} cannot be guided: {reason}.", EXPECTED, NEXT)


def level_of(scheduler: Any, t: Any) -> Level:
    """The noise level at which `scheduler.step(prediction, t, sample)`, called next, takes its sample.

    Args:
        scheduler: A scheduler of diffusers whose timesteps are set.
        t: The timestep that the step is given.

    Raises:
        UsageError: The class is of no known family, or is refused (`reason_against`).
    """
    require_readable(scheduler)
    if getattr(scheduler, "sigmas", None) is not None:
        return level_of_sigma(scheduler, float(scheduler.sigmas[step_index(scheduler, t)]))
    if hasattr(scheduler, "alphas_cumprod"):
        return level_of_alpha_cumprod(scheduler, float(scheduler.alphas_cumprod[int(t)]))
    raise _unknown(scheduler)


def last_level(scheduler: Any) -> Level:
    """The noise level of what a scheduler's last step returns: without noise, or with the little that it leaves."""
    if getattr(scheduler, "sigmas", None) is not None:
        return level_of_sigma(scheduler, float(scheduler.sigmas[-1]))
    return level_of_alpha_cumprod(scheduler, float(getattr(scheduler, "final_alpha_cumprod", 1.0)))


def step_index(scheduler: Any, t: Any) -> int:
    """Position on the grid of the step that comes next, counted or, at the first one, found by its timestep."""
    for index in (getattr(scheduler, "step_index", None), getattr(scheduler, "begin_index", None)):
        if index is not None:
            return int(index)
    return int(scheduler.index_for_timestep(t))


def is_flow(scheduler: Any) -> bool:
    """Whether a scheduler mixes x_t = (1 - sigma) x_0 + sigma eps."""
    config = scheduler.config
    named = hasattr(scheduler, "scale_noise") or type(scheduler).__name__ == "LTXEulerAncestralRFScheduler"
    return named or bool(config.get("use_flow_sigmas")) or config.get("prediction_type") == "flow_prediction"


def level_of_sigma(scheduler: Any, sigma: float) -> Level:
    """The level that a scheduler's sigma stands for: of a flow, of EDM, or of noise relative to signal."""
    config = scheduler.config
    kind = KIND_OF.get(config.get("prediction_type", "epsilon"))
    if kind is None:
        raise _unknown(scheduler)
    if is_flow(scheduler):
        if "prediction_type" in config:
            return level_of_kind(kind, 1 - sigma, sigma)
        if config.get("invert_sigmas"):
            return level_of_kind("inverse_flow", sigma, 1 - sigma)
        towards_data = type(scheduler).__name__ == "MiniMaxH3Scheduler"
        return level_of_kind("inverse_flow" if towards_data else "flow", 1 - sigma, sigma)
    if hasattr(scheduler, "precondition_outputs"):
        return level_of_kind("edm_v" if kind == "v" else "edm_epsilon", 1.0, sigma, config.sigma_data)
    if hasattr(scheduler, "_sigma_to_alpha_sigma_t"):
        signal = (sigma**2 + 1) ** -0.5
        return level_of_kind(kind, signal, sigma * signal)
    if hasattr(scheduler, "is_scale_input_called"):
        return level_of_kind(kind, 1.0, sigma)
    raise _unknown(scheduler)


def level_of_alpha_cumprod(scheduler: Any, alpha_cumprod: float) -> Level:
    """The level of a variance-preserving scheduler at abar."""
    kind = KIND_OF.get(scheduler.config.get("prediction_type", "epsilon"))
    if kind is None:
        raise _unknown(scheduler)
    return level_of_kind(kind, alpha_cumprod**0.5, max(1 - alpha_cumprod, 0.0) ** 0.5)


def lives_on_training_steps(scheduler: Any) -> bool:
    """Whether the model was trained at the steps of a noise schedule that the scheduler holds, as DDPM is."""
    return hasattr(scheduler, "alphas_cumprod") and not is_flow(scheduler)


EXPECTED = "a scheduler of first order whose levels are known: of flows, DDPM, DDIM, DPM-Solver, UniPC, Euler, EDM"
NEXT = "pipe.scheduler = FlowMatchEulerDiscreteScheduler or DDIMScheduler.from_config(pipe.scheduler.config)"


def _unknown(scheduler: Any) -> UsageError:
    kind = scheduler.config.get("prediction_type")
    said = f" with prediction_type {kind!r}" if kind is not None else ""
    return UsageError(f"The noise levels of {type(scheduler).__name__}{said} are not known.", EXPECTED, NEXT)

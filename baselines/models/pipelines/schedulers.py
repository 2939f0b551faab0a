"""Schedulers of published text-to-video and text-to-audio models, as their checkpoints configure them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import diffusers

STABLE_DIFFUSION: Mapping[str, Any] = MappingProxyType(
    {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012}
)


def wan() -> Any:
    """UniPC on flow sigmas with shift 3, for 480 lines; Wan-AI/Wan2.1-T2V-1.3B-Diffusers."""
    return diffusers.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=3.0)


def ltx() -> Any:
    """Euler on flow sigmas whose shift grows with the length, ended at 0.1; Lightricks/LTX-Video."""
    return diffusers.FlowMatchEulerDiscreteScheduler(
        **{"use_dynamic_shifting": True, "shift_terminal": 0.1, "base_shift": 0.95, "max_shift": 2.05},
        **{"base_image_seq_len": 1024, "max_image_seq_len": 4096},
    )


def cogvideox() -> Any:
    """DDIM of v with zero terminal SNR; zai-org/CogVideoX-2b."""
    return diffusers.CogVideoXDDIMScheduler(
        **STABLE_DIFFUSION,
        **{"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "snr_shift_scale": 3.0},
        **{"timestep_spacing": "trailing", "set_alpha_to_one": True, "clip_sample": False},
    )


def animatediff() -> Any:
    """DDIM of epsilon; Stable Diffusion 1.5."""
    return diffusers.DDIMScheduler(**STABLE_DIFFUSION, clip_sample=False, set_alpha_to_one=False, steps_offset=1)


def mochi() -> Any:
    """Euler on inverted flow sigmas; genmo/mochi-1-preview."""
    return diffusers.FlowMatchEulerDiscreteScheduler(invert_sigmas=True)


def stable_audio() -> Any:
    """Stochastic DPM-Solver++ of EDM-preconditioned v, sigmas 500 to 0.3; stabilityai/stable-audio-open-1.0."""
    return diffusers.CosineDPMSolverMultistepScheduler(
        **{"solver_order": 2, "prediction_type": "v_prediction", "sigma_data": 1.0},
        **{"sigma_schedule": "exponential", "sigma_min": 0.3, "sigma_max": 500.0},
    )


def stable_audio_3() -> Any:
    """Euler on flow sigmas that the pipeline gives; the model that is not distilled."""
    return diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=1, shift=1.0)


def audioldm() -> Any:
    """DDIM of epsilon; cvssp/audioldm-m-full and cvssp/audioldm2."""
    return diffusers.DDIMScheduler(
        **{"beta_schedule": "scaled_linear", "beta_start": 0.0015, "beta_end": 0.0195},
        **{"clip_sample": False, "set_alpha_to_one": False, "steps_offset": 1},
    )


def longcat() -> Any:
    """Euler on inverted flow sigmas without a shift; meituan-longcat/LongCat-AudioDiT."""
    return diffusers.FlowMatchEulerDiscreteScheduler(shift=1.0, invert_sigmas=True)

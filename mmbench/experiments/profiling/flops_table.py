"""`mmbench profile flops`: what guidance by every design costs beside the base models, counted and not timed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from mmbench.baselines.kinds.guiding import FAST_EVERY
from mmbench.experiments.profiling.profile import make_profiled_pair, profiled_dataset
from mmbench.types import DESIGNS

PAIRS = ("audioldm_animatediff", "auffusion_vc2", "mm_diffusion")
COLUMNS = ["system", "design", "parameters [M]", "base", "forward", "gradient", "share", "share -fast"]
TRAINING_COLUMNS = ["step forward", "step backward"]
NOTES = [
    "TFLOP, a multiply-add as two: of one guided step of one sample (base, forward, gradient), published sizes.",
    f"share: gradient over base; with -fast it is computed at every {FAST_EVERY} evaluations of the sampler.",
]
TERA = 1e12


def count_systems(
    systems: Sequence[str],
    designs: Sequence[str] = DESIGNS,
    sizes: Mapping[str, int] | None = None,
    num: int = 0,
    dataset: str | None = None,
    options: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Counts guidance of each system by each design.

    Args:
        systems: Pairs of base models; the published ones if empty.
        designs: Of discriminators.
        sizes: channels and num_blocks, where they are not the published ones.
        num: Also count a step of training on so many real and as many generated pairs; 0 for none.
        dataset: Whose format; None for the dataset that a system was published on.
        options: Of the systems, "NAME=VALUE".

    Returns:
        One row for each system and design, with the keys of `COLUMNS`, operations and shares as numbers.
    """
    from mmbench.experiments.profiling.flops import count_base, count_guidance, count_training_step, weightless

    rows: list[dict[str, Any]] = []
    for name in systems or PAIRS:
        with weightless():
            place = profiled_dataset(name, dataset)
            pair = make_profiled_pair(name, designs[0], place, options, device="meta", weights="random").pair()
        sampling = pair.sampling
        base = count_base(pair, sampling)
        fast = math.ceil(sampling.num_inference_steps / FAST_EVERY) / sampling.num_inference_steps
        for design in designs:
            counted = count_guidance(pair, sampling, base, design, **dict(sizes or {}))
            row = {
                "system": name,
                "design": design,
                "parameters [M]": counted.parameters / 1e6,
                "base": base / TERA,
                "forward": counted.forward / TERA,
                "gradient": counted.gradient / TERA,
                "share": counted.gradient / base,
                "share -fast": fast * counted.gradient / base,
            }
            if num:
                step = count_training_step(pair, design, num, **dict(sizes or {}))
                row |= dict(zip(TRAINING_COLUMNS, (flops / TERA for flops in step), strict=True))
            rows.append(row)
    return rows


def format_row(row: Mapping[str, Any]) -> dict[str, str]:
    """A row of `count_systems` as text: shares in percent."""
    shown = {}
    for name, value in row.items():
        percent = name.startswith("share")
        number = isinstance(value, float)
        shown[name] = f"{100 * value:.1f} %" if percent else f"{value:.4g}" if number else str(value)
    return shown

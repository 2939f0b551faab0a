"""What must hold of an extractor: no dependence on the batch, on when it runs, on the device, or on fast arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mmbench.checks.verification.check_row import NotApplicable, Row, judge, within
from mmbench.checks.verification.ladders import Material, identity, inputs_of
from mmbench.networks.devices import precision_switches
from mmbench.optional_protocols import HasPrecision
from mmbench.types import Extractor, Features

ROUNDING = 1e-4  # of the features' root mean square: float32 sums in another order
DEVICES = 1e-3  # likewise, for kernels of another device
REDUCED = 0.1  # likewise for either, in less than float32: a sum in another order may be rounded to another number
NUM_CLIPS = 3


def check_extractor(
    extractor: Extractor, build: Callable[[str], Extractor], owners: str, material: Material
) -> list[Row]:
    """Check one extractor: batches, determinism, devices, precision; one row each.

    Args:
        extractor: As the metrics hold it.
        build: Makes it again for a device.
        owners: Names of its metrics.
        material: Real clips.
    """
    inputs = inputs_of(extractor, material.items[:NUM_CLIPS])
    plain = extractor.weights == "none"
    network = not plain

    def row(check: str, required: str, look: Callable[[], tuple[bool, str]]) -> Row:
        return judge(check, f"{extractor.name} ({owners})", required, look, extractor.weights)

    reduced = isinstance(extractor, HasPrecision) and extractor.precision != "ieee"
    limit, of_devices = (REDUCED, REDUCED) if reduced else (0.0 if plain else ROUNDING, DEVICES)
    claim = "bit-equal" if plain else f"within {limit:g} of their root mean square"
    rows = [
        row("batch independence", claim, lambda: batch_independence(extractor, inputs, material, limit)),
        row("determinism", *determinism(extractor, inputs)),
    ]
    if network:
        claim = f"within {of_devices:g} of their root mean square"
        rows.append(row("CPU and GPU agree", claim, lambda: devices_agree(build, inputs, of_devices)))
        claim = "ieee in every layer, and afterwards as before"
        rows.append(row("exact float32", claim, lambda: exact_precision(extractor, inputs)))
    return rows


def batch_independence(
    extractor: Extractor, inputs: Sequence[Any], material: Material, limit: float
) -> tuple[bool, str]:
    """Whether clips have the same features in the batches of the whole set and in a small batch in reverse order."""
    usual = material.features(extractor)[: len(inputs)]
    alone = extractor.extract(inputs[::-1])[::-1]
    return within(distance(usual, alone), limit, "largest difference")


def determinism(extractor: Extractor, inputs: Sequence[Any]) -> tuple[str, Callable[[], tuple[bool, str]]]:
    """What the same clip twice must give, and the check: bit-equal on the CPU; a GPU may add in another order."""
    kind = getattr(getattr(extractor, "device", None), "type", "cpu")
    limit = 0.0 if kind == "cpu" else ROUNDING

    def look() -> tuple[bool, str]:
        first, second = extractor.extract(inputs[:1]), extractor.extract(inputs[:1])
        return within(distance(first, second), limit, "largest difference")

    return ("bit-equal" if limit == 0 else f"within {limit:g} of their root mean square"), look


def devices_agree(build: Callable[[str], Extractor], inputs: Sequence[Any], limit: float) -> tuple[bool, str]:
    """Whether the CPU and the GPU give the same features."""
    import torch

    if not torch.cuda.is_available():
        raise NotApplicable("no GPU")
    found = [build(device).extract(inputs[:2]) for device in ("cpu", "cuda")]
    return within(distance(*found), limit, "largest difference")


def exact_precision(extractor: Extractor, inputs: Sequence[Any]) -> tuple[bool, str]:
    """Whether every layer computes in full float32 although TF32 is switched on outside."""
    import torch

    if isinstance(extractor, HasPrecision) and extractor.precision != "ieee":
        raise NotApplicable(f"it computes in {extractor.precision}, as its name says")
    switches = list(precision_switches().values())
    seen: set[str] = set()

    def watch(module: Any, arguments: Any) -> None:
        seen.update(switch.fp32_precision for switch in switches)

    before = [switch.fp32_precision for switch in switches]
    hook = torch.nn.modules.module.register_module_forward_pre_hook(watch)
    try:
        for switch in switches:
            switch.fp32_precision = "tf32"
        extractor.extract(inputs[:1])
        after = {switch.fp32_precision for switch in switches}
    finally:
        hook.remove()
        for switch, precision in zip(switches, before, strict=True):
            switch.fp32_precision = precision
    if not seen:
        raise NotApplicable("no layer of torch ran")
    return seen == {"ieee"} and after == {"tf32"}, f"inside {', '.join(sorted(seen))}; after {', '.join(sorted(after))}"


def distance(a: Sequence[Features], b: Sequence[Features]) -> float:
    """Largest difference of two lists of features, in units of the root mean square of each entry's first list.

    Infinite if entries or shapes differ, NaN if a feature is.
    """
    if [f.keys() for f in a] != [f.keys() for f in b]:
        return float("inf")
    largest: list[float] = []
    for name in a[0]:
        left, right = ([np.asarray(f[name], np.float64) for f in side] for side in (a, b))
        if [x.shape for x in left] != [x.shape for x in right]:
            return float("inf")
        x, y = (np.concatenate([v.ravel() for v in side]) for side in (left, right))
        scale = float(np.sqrt(np.mean(x**2))) if x.size else 0.0
        largest.append(float(np.max(np.abs(x - y), initial=0.0)) / (scale or 1.0))
    return float(np.max(largest, initial=0.0))


def distinct(extractors: Sequence[tuple[Extractor, str]]) -> dict[str, tuple[Extractor, list[str]]]:
    """Extractors by identity, each with the names of the metrics that use it."""
    found: dict[str, tuple[Extractor, list[str]]] = {}
    for extractor, owner in extractors:
        owners = found.setdefault(identity(extractor), (extractor, []))[1]
        owners.append(owner)
    return found

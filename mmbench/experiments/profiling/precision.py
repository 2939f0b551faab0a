"""How far a discriminator's gradient is off in each precision that guidance can have, relative to float64."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

from mmbench.experiments.profiling.inference import PROMPT
from mmbench.experiments.profiling.profile import make_profiled_pair, profiled_dataset
from mmbench.networks.devices import PRECISIONS, local_device

TIMESTEPS = (50, 500, 900)
COLUMNS = ["system", "precision", "video", "audio", "device"]
NOTES = [
    "Norm of the error over that of the gradient, the largest of timesteps "
    f"{', '.join(map(str, TIMESTEPS))}, on noise of seed 0; in float64 it is exact to rounding.",
    "tf32 on a CPU: every factor of a product or convolution is rounded to 11 significant bits, as tensor cores do.",
]


def round_to_tf32(z: Any) -> Any:
    """A float32 tensor with 11 significant bits, ties away from zero, as NVIDIA's tensor cores read it."""
    import torch

    if not isinstance(z, torch.Tensor) or z.dtype != torch.float32:
        return z
    return ((z.contiguous().view(torch.int32) + 0x1000) & ~0x1FFF).view(torch.float32)


def rounding_factors() -> Any:
    """A context in which products and convolutions see their factors through `round_to_tf32` and sum in float32."""
    from torch.utils._python_dispatch import TorchDispatchMode
    from torch.utils.flop_counter import flop_registry

    class Rounding(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if function._overloadpacket in flop_registry:
                args = [round_to_tf32(arg) for arg in args]
            return function(*args, **(kwargs or {}))

    return Rounding()


def measure_precision(
    systems: Sequence[str],
    design: str,
    *,
    dataset: str | None = None,
    device: str = "auto",
    weights: str = "random",
    options: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """Measures the error of each system's gradient in every precision.

    Args:
        systems: Pairs of base models.
        design: Of the discriminator, where a name has none.
        dataset: Whose format; None for the dataset that a system was published on.
        device: auto, cpu, cuda.
        weights: Of the systems: "real" or "random".
        options: Of the systems, "NAME=VALUE".

    Returns:
        A row for each system and precision, with the keys of `COLUMNS`.
    """
    import torch

    from mmbench.mmdisco.guidance import Guidance

    rows: list[dict[str, Any]] = []
    for name in systems:
        place = profiled_dataset(name, dataset)
        system = make_profiled_pair(name, design, place, options, device=device, weights=weights)
        pair, where = system.pair(), local_device(device)
        g = torch.Generator().manual_seed(0)
        noise = [torch.randn(1, *shape, generator=g).to(where) for shape in pair.shapes]
        texts = tuple(text.to(where) for text in pair.texts([PROMPT]))
        guidance: Any = system.guide(texts, texts)
        exact = copy.deepcopy(guidance.discriminator).double()

        def gradients(network: Any, precision: Any, dtype: Any, read: Any = guidance.text, z: Any = noise) -> Any:
            guided = Guidance(network, precision=precision)
            inputs = [x.to(dtype) for x in z]
            text = tuple(t.to(dtype) for t in read)
            times = [torch.tensor([t], device=inputs[0].device) for t in TIMESTEPS]
            return [guided.gradient(inputs[0], inputs[1], t, text) for t in times]

        truth = gradients(exact, "ieee", torch.float64)
        for precision in PRECISIONS:
            emulated = precision == "tf32" and where == "cpu"
            with rounding_factors() if emulated else nullcontext():
                found = gradients(guidance.discriminator, precision, torch.float32)
            errors = [
                max(float((a[m] - b[m]).norm() / b[m].norm()) for a, b in zip(found, truth, strict=True))
                for m in range(2)
            ]
            place = f"{where}, rounded" if emulated else where
            rows.append(dict(zip(COLUMNS, (system.name, precision, *errors, place), strict=True)))
    return rows

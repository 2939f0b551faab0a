"""Reads I3D's numbers out of i3d_torchscript.pt, the network of StyleGAN-V's FVD, and checks them against the script.

The names inside that file are not documented, so tensors are recognised by rank, by the words that every port uses for
batch-norm statistics, and by their order; the script's own features then decide whether the reading was right.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from mmbench.errors import MMBenchError
from mmbench.metrics.networks.i3d import I3D, NUM_LOGITS, Unit3D, preprocess_frames
from mmbench.networks.state_dicts import load_state

RELATIVE_TOLERANCE = (
    1e-4  # of the largest logit; float32 rounding is a hundred times less, BN epsilon 1e-5 ten times more
)


def _natural(key: str) -> list[int | str]:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", key.lower())]


def _role(key: str, value: Tensor) -> str | None:
    """What a tensor is: kernel, logits kernel, logits bias, mean, var, beta or gamma; None for counters."""
    leaf = key.rsplit(".", 1)[-1]
    if value.ndim == 5:
        return "logits.weight" if value.shape[0] == NUM_LOGITS else "kernel"
    if value.ndim != 1:
        return None
    if len(value) == NUM_LOGITS:
        return "logits.bias"
    for role, words in {"mean": "mean", "var": "var", "beta": "beta|bias", "gamma": "gamma|weight|scale"}.items():
        if re.search(words, leaf):
            return role
    return None


def read_state(state: Mapping[str, Tensor]) -> I3D:
    """An I3D filled from tensors of any naming; units stand in the network's order, or do so when sorted by name.

    Args:
        state: The state dict of the TorchScript.

    Raises:
        MMBenchError: A convolution, batch norm or the logits layer cannot be found, or shapes do not fit.
    """
    network = I3D()
    units = [module for module in network.modules() if isinstance(module, Unit3D)]
    expected = [tuple(unit.conv3d.weight.shape) for unit in units]
    for keys in (list(state), sorted(state, key=_natural)):
        found: dict[str, list[Tensor]] = {}
        for key in keys:
            role = _role(key, state[key])
            if role is not None:
                found.setdefault(role, []).append(state[key].detach())
        if [tuple(kernel.shape) for kernel in found.get("kernel", [])] == expected:
            break
    else:
        count = len(found.get("kernel", []))
        raise _unreadable(
            f"its {count} 3-d convolutions do not have the shapes of I3D's {len(units)}, in no known order"
        )
    means = found.get("mean", [])
    statistics = {
        "running_mean": means,
        "running_var": found.get("var", []),
        "bias": found.get("beta", []),
        "weight": found.get("gamma", [torch.ones_like(mean) for mean in means]),  # TF-Hub's batch norm has no gamma
    }
    for name, values in statistics.items():
        if [len(v) for v in values] != [shape[0] for shape in expected]:
            raise _unreadable(f"batch norm {name} has {len(values)} fitting tensors for {len(units)} convolutions")
    filled: dict[str, Tensor] = {}
    for i, (unit_name, unit) in enumerate((n, m) for n, m in network.named_modules() if isinstance(m, Unit3D)):
        filled[f"{unit_name}.conv3d.weight"] = found["kernel"][i]
        filled |= {f"{unit_name}.bn.{name}": values[i] for name, values in statistics.items()}
        filled[f"{unit_name}.bn.num_batches_tracked"] = unit.bn.state_dict()["num_batches_tracked"]
    for name in ("weight", "bias"):
        values = found.get(f"logits.{name}", [])
        if len(values) != 1:
            raise _unreadable(f"it has {len(values)} tensors that could be the {name} of the logits")
        filled[f"logits.conv3d.{name}"] = values[0]
    load_state(network, filled, "i3d_torchscript.pt", extra="leave")
    return network


def _unreadable(reason: str) -> MMBenchError:
    return MMBenchError(f"i3d_torchscript.pt cannot be read: {reason}.", "57 convolutions with batch norm, and logits")


def check_against_torchscript(network: I3D, script: Any) -> float:
    """Compare our features of a synthetic clip with the script's own, called as StyleGAN-V calls it.

    Args:
        network: Ours, on the CPU.
        script: The loaded TorchScript.

    Returns:
        The largest difference relative to the largest logit.

    Raises:
        MMBenchError: It exceeds 1e-4: preprocessing, padding, epsilon or the reading of weights differs.
    """
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand((3, 9, 12, 10), generator=generator)[None]
    smooth = torch.nn.functional.interpolate(coarse, (9, 97, 131), mode="trilinear", align_corners=False)
    clip = (smooth * 255).round().to(torch.uint8)  # neither square nor 224: resizing and stretching count
    with torch.inference_mode():
        theirs = script(clip.contiguous(), rescale=True, resize=True, return_features=True)
        ours = network(preprocess_frames(clip.permute(0, 2, 3, 4, 1)))
    difference = float((ours - theirs).abs().max() / theirs.abs().max())
    if not difference <= RELATIVE_TOLERANCE:
        raise MMBenchError(
            f"Our I3D differs from i3d_torchscript.pt by {difference:.2g} of the largest logit.",
            f"at most {RELATIVE_TOLERANCE:g}",
            "report this with the torch version; FVD values would not be comparable",
        )
    return difference

"""State dicts of one implementation under the names of another: renaming, and loading that refuses surprises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmbench.errors import MMBenchError

if TYPE_CHECKING:
    import torch

State = Mapping[str, Tensor]


def part(state: State, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def rename(state: State, new_name: Callable[[str], str | None], source: str) -> dict[str, Tensor]:
    """Give every tensor its new name.

    Args:
        state: Tensors by old name.
        new_name: New name of an old one, None for a name that it does not know.
        source: What the state is of, for errors.

    Raises:
        MMBenchError: A name is unknown, or two tensors get the same.
    """
    renamed = {new_name(name): value for name, value in state.items()}
    unknown = [name for name in state if new_name(name) is None]
    if unknown or len(renamed) < len(state):
        first = unknown[0] if unknown else "two under one name"
        raise MMBenchError(f"{source} holds {len(unknown) or 2} tensors without a place of their own, first {first}.")
    return renamed  # type: ignore[return-value]  # None would be unknown


def fuse_weight_norm(state: State) -> dict[str, Tensor]:
    """Weights of 1-d convolutions in place of their directions `weight_v` and lengths `weight_g`; the rest as it is."""
    fused: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".weight_v") and (length := state.get(f"{name[:-1]}g")) is not None:
            fused[name[:-2]] = value * (length / torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True))
        elif not (name.endswith(".weight_g") and f"{name[:-1]}v" in state):
            fused[name] = value
    return fused


def load_exactly(module: nn.Module, state: State, source: str) -> None:
    """Let `module` take the tensors of `state`, without a copy; all names must be equal.

    1x1 convolutions may stand for linear layers: a shape may differ in axes of length 1 at its end.

    Raises:
        MMBenchError: A tensor is missing, has no place or has another shape.
    """
    need = module.state_dict()
    missing, extra = [name for name in need if name not in state], [name for name in state if name not in need]
    if missing or extra:
        found = f"{source} lacks {len(missing)} tensors and holds {len(extra)} without a place"
        raise MMBenchError(f"{found}, first {[*missing, *extra][0]}.", f"the {len(need)} tensors of the model")
    fitted = {}
    for name, value in state.items():
        shape = need[name].shape
        if _core(tuple(value.shape)) != _core(tuple(shape)):
            raise MMBenchError(f"{name} of {source} is {tuple(value.shape)}.", f"{tuple(shape)}")
        fitted[name] = value.reshape(shape)
    module.load_state_dict(fitted, assign=True)


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` without axes of length 1 at its end."""
    return _core(shape[:-1]) if shape[-1:] == (1,) else shape


def load_needed(network: torch.nn.Module, state: Mapping[str, Any], source: str) -> list[str]:
    """Load the tensors a network needs and give back the names of the others; nothing is copied.

    Raises:
        MMBenchError: A tensor is missing or has another shape.
    """
    need = network.state_dict()
    missing = [key for key in need if key not in state]
    if missing:
        raise MMBenchError(f"{source} lacks {len(missing)} tensors, first {missing[0]}.", "all that the network has")
    for key, value in need.items():
        if state[key].shape != value.shape:
            raise MMBenchError(f"{key} of {source} is {tuple(state[key].shape)}.", f"{tuple(value.shape)}")
    network.load_state_dict({key: state[key] for key in need}, assign=True)
    return [key for key in state if key not in need]

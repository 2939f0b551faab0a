"""State dicts of one implementation under the names of another: renaming, and loading that refuses surprises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Literal

from mmbench.errors import MMBenchError

if TYPE_CHECKING:
    from torch import Tensor, nn

State = Mapping[str, "Tensor"]


def part(state: State, prefix: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}


def rename(state: State, new_name: Callable[[str], str | None], source: str) -> dict[str, Tensor]:
    """Give every tensor of a state dict its new name.

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
    import torch

    fused: dict[str, Tensor] = {}
    for name, value in state.items():
        if name.endswith(".weight_v") and (length := state.get(f"{name[:-1]}g")) is not None:
            fused[name[:-2]] = value * (length / torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True))
        elif not (name.endswith(".weight_g") and f"{name[:-1]}v" in state):
            fused[name] = value
    return fused


def load_state(module: nn.Module, state: State, source: str, extra: Literal["refuse", "leave"] = "refuse") -> list[str]:
    """Loads the tensors that a module needs, without a copy, and gives back the names of those it has no place for.

    1x1 convolutions may stand for linear layers: a shape may differ in axes of length 1 at its end.

    Args:
        module: Its parameters and buffers are replaced.
        state: Tensors by the module's names.
        source: What the state is of, for errors.
        extra: "refuse" tensors without a place, or "leave" them alone.

    Raises:
        MMBenchError: A tensor is missing, has another shape, or has no place and `extra` refuses that.
    """
    need = module.state_dict()
    missing, left = [name for name in need if name not in state], [name for name in state if name not in need]
    if missing or (left and extra == "refuse"):
        found = f"{source} lacks {len(missing)} tensors and holds {len(left)} without a place"
        raise MMBenchError(f"{found}, first {[*missing, *left][0]}.", f"the {len(need)} tensors of the model")
    fitted = {}
    for name, place in need.items():
        if _core(tuple(state[name].shape)) != _core(tuple(place.shape)):
            raise MMBenchError(f"{name} of {source} is {tuple(state[name].shape)}.", f"{tuple(place.shape)}")
        fitted[name] = state[name].reshape(place.shape)
    module.load_state_dict(fitted, assign=True)
    return left


def _core(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape` without axes of length 1 at its end."""
    return _core(shape[:-1]) if shape[-1:] == (1,) else shape

"""Text guidance of pipelines, by an argument of their call or by a guider: its weight, and calls without it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from mmbench.errors import UsageError

NAME = "guidance_scale"


def argument_of(pipe: Any, call: Mapping[str, Any], name: str) -> Any:
    """An argument of a pipeline's call: as given, else its default; None if it takes none of that name."""
    parameters = inspect.signature(pipe.__call__).parameters
    return call.get(name, parameters[name].default if name in parameters else None)


def scale_of(pipe: Any, call: Mapping[str, Any]) -> float:
    """The weight of a pipeline's classifier-free guidance; 1.0 for a single, conditional pass.

    Raises:
        UsageError: It is no number.
    """
    given = argument_of(pipe, call, NAME) or getattr(getattr(pipe, "guider", None), NAME, None)
    if isinstance(given, str):
        raise UsageError(f"{NAME} is {given!r}.", "a number", f"{NAME} in call in its table")
    return max(float(given or 1.0), 1.0)


def unguided_call(pipe: Any, call: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a call in one conditional pass, as far as an argument says so."""
    return {**call, **({} if argument_of(pipe, call, NAME) is None else {NAME: 1.0})}


@contextmanager
def guider_off(pipe: Any) -> Iterator[None]:
    """Run the block with a pipeline's guider disabled, if it has one: its predictions are conditional ones."""
    guider = getattr(pipe, "guider", None)
    if guider is None:
        yield
        return
    guider.disable()
    try:
        yield
    finally:
        guider.enable()

"""One scheduler of diffusers with methods of its own for a while, and its class's again afterwards."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mmbench.errors import UsageError


@contextmanager
def methods_replaced(scheduler: Any, unit_noise: bool = False, **methods: Callable[..., Any]) -> Iterator[None]:
    """Let one scheduler call other methods than its class's; afterwards, also after an error, it is as before.

    It becomes an instance of a subclass of its class, of the same name: what pipelines ask of a scheduler (isinstance,
    config, names of a method's arguments) is answered as before. A copy that a pipeline makes of it has its class's.

    Args:
        scheduler: A scheduler of diffusers.
        unit_noise: Whether `init_noise_sigma` is 1, so that latents handed to a pipeline reach its loop as they are.
        methods: By name, what is called instead, with the scheduler's own bound method before the arguments.

    Raises:
        UsageError: It is replaced already: two pipelines share the scheduler.
    """
    kind = type(scheduler)
    if hasattr(kind, "_replaced_for"):
        raise UsageError(
            f"A {kind.__name__} is stepped by two pipelines at once.",
            "a scheduler for each pipeline",
            "pipe.scheduler = type(pipe.scheduler).from_config(pipe.scheduler.config)",
        )

    def replaced(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        original = getattr(kind, name)

        @functools.wraps(original)
        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            bound = original.__get__(self, kind)
            return method(bound, *args, **kwargs) if self is scheduler else bound(*args, **kwargs)

        return call

    members: dict[str, Any] = {name: replaced(name, method) for name, method in methods.items()}
    if unit_noise:
        members["init_noise_sigma"] = property(lambda self: 1.0)
    same = {"__module__": kind.__module__, "__qualname__": kind.__qualname__, "__doc__": kind.__doc__}
    scheduler.__class__ = type(kind.__name__, (kind,), {**same, **members, "_replaced_for": id(scheduler)})
    try:
        yield
    finally:
        scheduler.__class__ = kind

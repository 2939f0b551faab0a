"""A device without memory, or in a state that no call can mend, is no fault of a sample: one error instead."""

from __future__ import annotations

import sys
from typing import Any

from mmbench.errors import MMBenchError, UsageError
from mmbench.optional_protocols import batch_size_of
from mmbench.registry import lookup
from mmbench.system_names import options_of, parse_system_name


def refuse_exhausted_device(error: Exception, system: Any, batch: int) -> None:
    """Raise MMBenchError, with the option to type, if `error` says that the device is at its end; else do nothing.

    Args:
        error: What a system raised.
        system: It.
        batch: Samples that it was given.
    """
    if is_out_of_memory(error):
        found = f"{system.name} needs more memory than there is, for {batch} sample{'s' * (batch > 1)} at once: {error}"
        raise MMBenchError(
            found, "a batch that fits; no sample was marked as failed", _smaller(system, batch)
        ) from error
    if _is_of_torch(error, "AcceleratorError"):
        found = f"The device of {system.name} stopped working: {error}"
        raise MMBenchError(found, "one that works", "the same command again, in a new process") from error


def refuse_broken_machine(error: Exception, system: Any, first: bool) -> None:
    """Raise MMBenchError if what a system raised is the fault of the machine or the installation; else do nothing.

    Args:
        error: What it raised.
        system: It.
        first: Whether it has made no clip in this process: what the system then says of a file is not about a sample.
    """
    if isinstance(error, ImportError) or (first and isinstance(error, OSError)):
        found = f"{system.name} cannot work here: {type(error).__name__}: {error}"
        next = "mend that, then the same command again; mmbench doctor says what is missing here"
        raise MMBenchError(found, "a system that can work; no sample was marked as failed", next) from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether an error says that there is too little memory, on a GPU or a CPU."""
    on_cpu = isinstance(error, RuntimeError) and "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or on_cpu or _is_of_torch(error, "OutOfMemoryError")


def _is_of_torch(error: Exception, name: str) -> bool:
    kind = getattr(sys.modules.get("torch"), name, None)  # a system without torch cannot have raised it
    return kind is not None and isinstance(error, kind)


def _smaller(system: Any, batch: int) -> str:
    """The option that makes a system take fewer samples at once."""
    tile = batch_size_of(system)
    if tile > 1 and "tile" in _options(system):  # batches are filled up to it
        return f"--set tile={tile // 2}, which is another run: roundings depend on it"
    if batch > 1:
        return f"--batch-size {batch // 2}, which changes no sample"
    return "a device with more memory, or --device cpu"


def _options(system: Any) -> dict[str, Any]:
    try:
        return options_of(lookup("system", parse_system_name(system.name).base))
    except UsageError:
        return {}

"""Whether a device that a user names exists, before any clip is made or decoded."""

from __future__ import annotations

from mmbench.errors import UsageError


def require_device(device: str) -> None:
    """Raise UsageError unless torch knows the device and has it here; "auto" and "cpu" are everywhere.

    Args:
        device: As of `local_device`.
    """
    if device in ("auto", "cpu"):
        return
    import torch

    expected = "auto, cpu, or a GPU that is here, such as cuda or cuda:1"
    try:
        kind, index = (found := torch.device(device)).type, found.index
    except (RuntimeError, TypeError):
        raise UsageError(f"device is {device!r}, which torch does not know.", expected, "--device auto") from None
    here = torch.cuda.device_count()
    if kind == "cuda" and (index or 0) >= here:
        raise UsageError(f"device is {device!r}, and torch sees {here} GPUs.", expected, "--device auto")

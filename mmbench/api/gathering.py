"""Objects of all processes of torch.distributed."""

from __future__ import annotations

import sys
from typing import Any


def from_all_processes(mine: Any) -> list[Any]:
    """What every process gives, by rank, in all of them; [mine] where torch.distributed is not in use."""
    distributed = sys.modules.get("torch.distributed")  # whoever uses it has imported it
    if distributed is None or not (distributed.is_available() and distributed.is_initialized()):
        return [mine]
    found: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(found, mine)
    return found

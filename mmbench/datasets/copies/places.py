"""The folders in which a user's own copy of a dataset is looked for."""

from __future__ import annotations

import os
from pathlib import Path


def data_places(name: str, folder: str, path: str = "") -> tuple[str, list[Path]]:
    """The folders in which to look for a dataset, best first.

    Args:
        name: Registered name.
        folder: Name of its folder.
        path: The dataset's argument, a folder; "" without one.

    Returns:
        The environment variable MMBENCH_DATA_<NAME>, and the only place that `path` or it names; without either
        $MMBENCH_HOME/data/<folder> and ./data/<folder>.
    """
    from mmbench.weights.locations import home

    variable = f"MMBENCH_DATA_{name.upper()}"
    given = path or os.environ.get(variable, "")
    return variable, [Path(given)] if given else [home() / "data" / folder, Path("data") / folder]

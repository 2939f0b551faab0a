"""Requests for models that run elsewhere: `mmbench prompts`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mmbench.errors import UsageError
from mmbench.jobs.opening import open_dataset
from mmbench.media.sources import file_digest
from mmbench.runs.request_files import write_requests
from mmbench.runs.requests import list_requests


def export_requests(dataset: str, num: int, seed: int, path: Path) -> dict[str, Any]:
    """Write the first `num` requests of a dataset; a file that holds the same stays as it is.

    Returns:
        The file, how many requests it holds, whether it is new, and its sha256.

    Raises:
        UsageError: No number of clips, another file is there, or its suffix is neither .jsonl nor .csv.
    """
    if num < 1:
        raise UsageError(f"--num-samples is {num}.", "a whole number from 1", "--num-samples 64")
    new = write_requests(path, list_requests(open_dataset(dataset), dataset, num, seed))
    state = "written" if new else "there already, the same"
    return {"file": str(path), "requests": num, "state": state, "sha256": file_digest(path)}

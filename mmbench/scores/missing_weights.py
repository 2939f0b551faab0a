"""Looks for the weights of all networks of a job; those that can be fetched are named together, with one command."""

from __future__ import annotations

from collections.abc import Iterable

from mmbench.errors import MMBenchError
from mmbench.features.extract import find_weights
from mmbench.types import Extractor

FETCH = "mmbench weights fetch "  # what an error says to type where weights can be fetched


def find_all_weights(extractors: Iterable[Extractor]) -> None:
    """Let every network look for its weights.

    Raises:
        MMBenchError: Some are not here: all that can be fetched, in one message. What is damaged, or cannot be fetched,
            is raised as it is.
    """
    missing: dict[str, MMBenchError] = {}
    for extractor in extractors:
        try:
            find_weights(extractor)
        except MMBenchError as error:
            if not error.next.startswith(FETCH):
                raise
            missing.setdefault(error.next.removeprefix(FETCH), error)
    if len(missing) == 1:
        raise next(iter(missing.values()))
    if missing:
        lines = "".join(f"\n  {error.found} expected: {error.expected}" for error in missing.values())
        found = f"The weights of {len(missing)} networks are not here:{lines}"
        raise MMBenchError(found, "all of them", FETCH + " ".join(missing))

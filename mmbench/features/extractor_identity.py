"""What decides an extractor's features: its spec and its code, so that no edit is answered from the cache."""

from __future__ import annotations

from functools import cache

from mmbench.code_identity import code_digest
from mmbench.types import Extractor, Spec

ROOMS = ("mmbench.metrics.extractors", "mmbench.metrics.networks", "mmbench.networks", "mmbench.media")


def identify_extractor(extractor: Extractor) -> Spec:
    """Name, spec and code digest of an extractor: equal ones give equal features."""
    return {"name": extractor.name, **extractor.spec(), "code": extractor_code(extractor)}


def extractor_code(extractor: Extractor) -> str:
    """Digest of the module that defines an extractor and of what it reaches in the rooms of networks and media."""
    return _digest(type(extractor).__module__)


@cache
def _digest(module: str) -> str:
    return code_digest([module], ROOMS)

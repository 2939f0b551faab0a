"""Digests of bytes and of values: what makes two runs, features or records the same."""

from __future__ import annotations

import hashlib
import json
from typing import Any


def digest_bytes(*parts: Any) -> str:
    """First 32 hex digits of the sha256 over `parts` (bytes-like), each preceded by its length."""
    h = hashlib.sha256()
    for part in parts:
        view = memoryview(part).cast("B") if memoryview(part).nbytes else memoryview(b"")
        h.update(view.nbytes.to_bytes(8, "little"))
        h.update(view)
    return h.hexdigest()[:32]


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spaces; NaN and other types than JSON's are errors."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def digest_of(value: Any) -> str:
    """First 32 hex digits of the sha256 of `value`'s canonical JSON; half a surrogate pair counts as it is."""
    return hashlib.sha256(canonical_json(value).encode(errors="surrogatepass")).hexdigest()[:32]

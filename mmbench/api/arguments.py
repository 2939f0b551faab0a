"""Arguments of a user's program other than pixels and samples: lists, rates, prompts, ids, whole numbers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from numbers import Real
from typing import Any

import numpy as np

from mmbench.api.arrays import as_array
from mmbench.errors import UsageError

RATES = {  # least and most [1/s], what it counts, an example
    "fps": (1e-3, 10_000, "frames per second of the videos", 8),
    "sample_rate": (1000, 1_000_000, "samples per second of the audios [Hz]", 16000),
}


def as_sequence(name: str, given: Any) -> Sequence[Any]:
    """What a user gave for one entry per clip, with a length: a generator or an array of objects as a list.

    Raises:
        UsageError: One text, a mapping, or nothing that can be gone through.
    """
    one = isinstance(given, str | bytes | Mapping) or getattr(given, "ndim", 1) == 0
    if one or not isinstance(given, Iterable):
        found = f"{name} is one text." if isinstance(given, str) else f"{name} is a {type(given).__name__}."
        raise UsageError(found, f"as many {name} as videos", f"{name}=[...], in the videos' order")
    if (isinstance(given, np.ndarray) and given.dtype.hasobject) or not hasattr(given, "__len__"):
        return list(given)
    return given  # type: ignore[return-value]


def read_rate(name: str, given: Any) -> float:
    """A rate [1/s] as it was meant: a float32 of 29.97 is 29.97.

    Args:
        name: "fps" or "sample_rate".
        given: Any real number, also of numpy or torch.

    Raises:
        UsageError: No number, out of bounds, or a fraction of a sample rate.
    """
    low, high, what, example = RATES[name]
    number: Any = as_array(given)[()] if getattr(given, "ndim", None) == 0 else given
    if isinstance(number, np.floating):
        number = float(str(number))
    known = isinstance(number, Real) and not isinstance(number, bool | np.bool_)
    if not known or not low <= number <= high or (name == "sample_rate" and number % 1):
        raise UsageError(f"{name} is {given!r}.", f"{what}, from {low:g} to {high:g}", f"{name}={example}")
    return number.item() if isinstance(number, np.generic) else number


def read_prompts(given: Any) -> list[str]:
    """A text per clip; "" where it is None.

    Raises:
        UsageError: Something that is no text.
    """
    texts = list(as_sequence("prompts", given))
    for i, text in enumerate(texts):
        if not isinstance(text, str | None):
            found = f"prompts[{i}] is {text!r}, a {type(text).__name__}."
            raise UsageError(found, "a text per clip, None for none", "[str(p) for p in prompts]")
        if text and (broken := [char for char in text if "\ud800" <= char <= "\udfff"]):
            found = f"prompts[{i}] is {text!r}, which holds the half character {broken[0]!r}."
            raise UsageError(found, "text that UTF-8 has", 'prompt.encode("utf-8", "replace").decode()')
    return [str(text or "") for text in texts]


def read_ids(given: Any) -> list[str]:
    """A name per clip, as text.

    Raises:
        UsageError: An empty one.
    """
    names = list(as_sequence("ids", given))
    for i, name in enumerate(names):
        if name is None or not str(name).strip():
            raise UsageError(f"ids[{i}] is {name!r}.", "a name of its own for each clip", "ids=None, to number them")
    return [str(name) for name in names]


def read_whole(name: str, given: Any, least: int) -> int:
    """A whole number from `least`.

    Raises:
        UsageError: Anything else.
    """
    if isinstance(given, bool) or not isinstance(given, int | np.integer) or given < least:
        raise UsageError(f"{name} is {given!r}.", f"a whole number from {least}", f"{name}={least}")
    return int(given)

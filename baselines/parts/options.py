"""Options that systems of published models share: size and kind of their weights, precision of their denoisers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mmbench.errors import UsageError
from mmbench.types import Weights, is_untrained
from mmbench.weights import checkpoints as published

if TYPE_CHECKING:
    import torch

SIZES = ("full", "tiny")
WEIGHTS = ("real", "random")
DTYPES = ("float32", "float16", "bfloat16")


@dataclass(frozen=True)
class CommonOptions:
    """Kind of a system's weights and precision of its denoisers.

    Attributes:
        weights: "real"; "random" for untrained networks of the published size; "tiny" for narrow untrained ones.
        dtype: "float32", "float16" or "bfloat16".
    """

    weights: Weights
    dtype: str

    @classmethod
    def read(cls, system: str, size: str, weights: str, dtype: str) -> CommonOptions:
        """Read the options of `system` as a user set them: size "full" or "tiny", weights "real" or "random".

        Raises:
            UsageError: One of them has an unknown value.
        """
        for option, value, choices in (("size", size, SIZES), ("weights", weights, WEIGHTS), ("dtype", dtype, DTYPES)):
            require_choice(system, option, value, choices)
        return cls("tiny" if size == "tiny" else "random" if weights == "random" else "real", dtype)

    @property
    def untrained(self) -> bool:
        """Whether the weights are random, at full or tiny size."""
        return is_untrained(self.weights)

    def torch_dtype(self) -> torch.dtype | None:
        """The precision for torch; None for float32, which networks have anyway."""
        import torch

        dtype: torch.dtype | None = None if self.dtype == "float32" else getattr(torch, self.dtype)
        return dtype

    def digests(self, parts: Mapping[str, str] | Iterable[str]) -> dict[str, str]:
        """Digest of the published weights of every part, or the kind of weights it has instead.

        Args:
            parts: Names in `mmbench.weights.known`, or a mapping of parts to them.

        Raises:
            MMBenchError: Published weights are not here; says how to get them.
        """
        names = parts if isinstance(parts, Mapping) else {name: name for name in parts}
        return {part: self.weights if self.untrained else published.digest(name) for part, name in names.items()}


def require_choice(system: str, option: str, value: Any, choices: Sequence[Any]) -> None:
    """Raise UsageError unless `value` of a system's option is one of `choices`."""
    if value not in choices:
        flag, known = option.replace("_", "-"), ", ".join(map(str, choices))
        raise UsageError(f"{system} has no {option} {value!r}.", f"one of {known}", f"--{flag} {choices[0]}")


def require_at_least(system: str, option: str, value: int, least: int) -> None:
    """Raise UsageError unless the whole number that a system's option counts is at least `least`."""
    if type(value) is not int or value < least:
        flag = option.replace("_", "-")
        raise UsageError(f"{system} cannot have {option} {value}.", f"a whole number from {least}", f"--{flag} {least}")

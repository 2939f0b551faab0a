"""When a discriminator's gradient is computed in the course of a sampler, in which precision, and on which path."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from mmbench.baselines.parts.options import require_at_least, require_choice
from mmbench.errors import UsageError
from mmbench.mmdisco.pairing import PATHS, Path
from mmbench.networks.devices import PRECISIONS, Precision
from mmbench.system_names import SystemName
from mmbench.types import Spec

FAST_EVERY = 3  # of +mmdisco-fast: a third of the gradients; what that loses on `tiny` is in results/tiny


@dataclass(frozen=True)
class Guiding:
    """Which evaluations of a sampler are guided, and which of them compute the gradient anew.

    Attributes:
        every: Each `every`-th guided evaluation computes the gradient; those between use the last one.
        steps: First evaluation, counted from 0, and the end, which is not guided; None for all.
        precision: Of the gradient: "ieee", "tf32" or "bfloat16".
        path: Which half moves when (`mmbench.mmdisco.paths`). Halves that are not guided are the same on every path.
    """

    every: int = 1
    steps: tuple[int, int] | None = None
    precision: Precision = "ieee"
    path: Path = "fraction"

    @classmethod
    def read(
        cls,
        system: str,
        name: SystemName | None,
        guided_every: int | None,
        guided_steps: Any,
        guidance_precision: str,
        path: str = "fraction",
    ) -> Guiding:
        """Read the options of `system` as a user set them.

        Args:
            system: For the error.
            name: The name with +mmdisco; with -fast it computes each `FAST_EVERY`-th gradient unless told otherwise.
            guided_every: A whole number from 1; None for what the name says.
            guided_steps: Two whole numbers, (first, end); None for all.
            guidance_precision: One of `PRECISIONS`.
            path: One of `PATHS`.

        Raises:
            UsageError: An option has a value that it cannot have.
        """
        every = guided_every if guided_every is not None else FAST_EVERY if name is not None and name.fast else 1
        require_at_least(system, "guided_every", every, 1)
        require_choice(system, "guidance_precision", guidance_precision, PRECISIONS)
        require_choice(system, "path", path, PATHS)
        steps = None if guided_steps is None else tuple(guided_steps) if _is_pair(guided_steps) else ()
        if steps is not None and (len(steps) != 2 or not 0 <= steps[0] < steps[1]):
            found = f"{system} cannot have guided_steps {guided_steps}."
            raise UsageError(found, "the first guided evaluation, from 0, and the end", "--set guided_steps=0,13")
        return cls(every, steps, cast(Precision, guidance_precision), cast(Path, path))

    def evaluations(self) -> range | None:
        """The guided evaluations; None for all."""
        return None if self.steps is None else range(*self.steps)

    def spec(self) -> Spec:
        """What is not at its default, by the names of the options, for a run's identity."""
        own = {
            "guided_every": self.every,
            "guided_steps": self.steps,
            "guidance_precision": self.precision,
            "path": self.path,
        }
        default = {"guided_every": 1, "guided_steps": None, "guidance_precision": "ieee", "path": "fraction"}
        return {name: value for name, value in own.items() if value != default[name]}


EVERY_STEP = Guiding()


def _is_pair(value: Any) -> bool:
    return isinstance(value, list | tuple) and len(value) == 2 and all(type(v) is int for v in value)

"""How a training pair is noised: at which timesteps, under which noise, with or without its texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from mmbench.mmdisco.losses import Noised, Pair, Times, drop_text
from mmbench.mmdisco.pairing import BAND, Pairing
from mmbench.mmdisco.pairs import Example


@dataclass(frozen=True)
class Batch:
    """A stack of pairs; `text` is () or (video_text, audio_text), dropped texts already replaced.

    Attributes:
        predicted: What the base models predict of the noise, where that is stored.
    """

    sample: Pair
    noise: Pair
    t: Times
    text: tuple[Tensor, ...]
    predicted: Pair | None = None

    def pin_memory(self) -> Batch:
        """In page-locked memory; called by `DataLoader`."""
        return self._map(Tensor.pin_memory)

    def on(self, device: torch.device) -> Noised:
        """On `device`, as the losses take it; the text conditions base models and discriminator alike."""
        moved = self._map(lambda tensor: tensor.to(device, non_blocking=True))
        return Noised(moved.sample, moved.noise, moved.t, moved.text or None, moved.text, moved.predicted)

    def _map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(**{field.name: _map(function, getattr(self, field.name)) for field in fields(self)})


def _map(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_map(function, part) for part in value)
    return None if value is None else function(value)


def stack(rows: Sequence[Batch]) -> Batch:
    """One batch of pairs without a batch axis."""

    def column(values: list[Any]) -> Any:
        if isinstance(values[0], tuple):
            return tuple(column(list(parts)) for parts in zip(*values, strict=True))
        return None if values[0] is None else torch.stack(values)

    return Batch(**{field.name: column([getattr(row, field.name) for row in rows]) for field in fields(Batch)})


@dataclass(frozen=True, eq=False)
class Noising:
    """The rule by which training pairs are noised.

    Attributes:
        num_timesteps: T; timesteps are drawn from 0 .. T-1.
        text_drop: Share of pairs whose texts are replaced by the unconditional ones.
        unconditional: () or (video_text, audio_text).
        pairing: Whether video and audio share a timestep ("index"), the audio's is uniform within 20 % of T of the
            video's and clamped to 0 .. T-1 ("band"), or each has its own ("independent"). The video's is the same in
            all three.
    """

    num_timesteps: int
    text_drop: float
    unconditional: tuple[Tensor, ...] = ()
    pairing: Pairing = "index"

    def draw_times(self, g: torch.Generator) -> Times:
        """The timesteps of a pair, without axes."""
        t = torch.randint(self.num_timesteps, (), generator=g)
        if self.pairing == "index":
            return t
        if self.pairing == "independent":
            return t, torch.randint(self.num_timesteps, (), generator=g)
        reach = round(BAND * self.num_timesteps)
        shift = torch.randint(-reach, reach + 1, (), generator=g)
        return t, (t + shift).clamp(0, self.num_timesteps - 1)

    def noise(self, example: Example, t: Times, g: torch.Generator) -> Batch:
        """A pair with the noise that goes onto it and with or without its texts, without a batch axis."""
        x, y, *texts = example
        noise = torch.randn(x.shape, generator=g), torch.randn(y.shape, generator=g)
        drop = torch.rand((), generator=g) < self.text_drop
        given = [text for text in texts if text is not None]
        kept = [drop_text(a, b.to(a.dtype), drop) for a, b in zip(given, self.unconditional, strict=True)]
        return Batch((x.float(), y.float()), noise, t, tuple(kept))

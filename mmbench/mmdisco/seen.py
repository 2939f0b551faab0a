"""What a discriminator sees of a pair's latents and texts, where that is less than they are or laid out otherwise."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


class View(Protocol):
    """What a discriminator sees of n latents of either half and of their texts: a function that can be written down.

    Noise, losses and guidance stay on the models' own latents, and gradients flow back through the view.
    """

    def __call__(self, video: Tensor, audio: Tensor, *text: Tensor) -> tuple[Tensor, ...]:
        """(video, audio, *text) as a discriminator sees them."""
        ...

    def record(self) -> dict[str, Any]:
        """What tells the view from others, JSON-able."""
        ...


@runtime_checkable
class ShowsView(Protocol):
    """A pair of base models of whose latents and texts discriminators see a view; None for all as they are."""

    @property
    def view(self) -> View | None: ...


def view_of(pair: object) -> View | None:
    """The view that a discriminator has of a pair's latents; None if it takes them as they are."""
    return pair.view if isinstance(pair, ShowsView) else None


class Viewing(nn.Module):
    """A discriminator of what a view shows of latents and texts, as one of the latents and texts themselves.

    Args:
        discriminator: The network.
        view: What it sees; not copied where the network is.
    """

    def __init__(self, discriminator: nn.Module, view: View) -> None:
        super().__init__()
        self.discriminator, self.view = discriminator, view

    def forward(self, video: Tensor, audio: Tensor, t: Any, *text: Tensor) -> Tensor:
        """The logit (n,)."""
        seen = self.view(video, audio, *text)
        return self.discriminator(*seen[:2], t, *seen[2:])

    def __deepcopy__(self, memo: dict[int, Any]) -> Viewing:
        return Viewing(deepcopy(self.discriminator, memo), self.view)


def seen_by(discriminator: Any, view: View | None) -> Any:
    """A discriminator that takes latents and texts as the base models have them: itself if there is no view."""
    return discriminator if view is None else Viewing(discriminator, view)


def shapes_seen(pair: Any) -> list[tuple[int, ...]]:
    """Shapes, without a batch axis, of the video, the audio and the texts that a discriminator sees of a pair."""
    shapes = [*pair.shapes, *(text.shape for text in pair.unconditional)]
    view = view_of(pair)
    if view is None:
        return [tuple(shape) for shape in shapes]
    return [tuple(z.shape[1:]) for z in view(*(torch.empty(1, *shape, device="meta") for shape in shapes))]

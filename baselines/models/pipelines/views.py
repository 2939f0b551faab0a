"""What a discriminator sees of a pipeline's own latents: channels first, padding left out, large grids folded.

Layouts are those of the tensors that the pipelines of diffusers 0.42.1 hand to `scheduler.step`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from mmbench.baselines.models.pipelines.rates import pictures_per_latent, sound_grid
from mmbench.baselines.models.pipelines.text_guidance import argument_of
from mmbench.errors import UsageError

Layout = Literal["channels_first", "frames_first", "channels_last", "packed"]
LAYOUTS: Mapping[str, Layout] = {  # others are channels_first
    "LTXPipeline": "packed",
    "CogVideoXPipeline": "frames_first",
    "TextToVideoSDPipeline": "frames_first",
    "Kandinsky5T2VPipeline": "channels_last",
    "LongCatAudioDiTPipeline": "channels_last",
    "AceStepPipeline": "channels_last",
}
CHANNELS = ("z_dim", "latent_channels", "latent_dim", "decoder_input_channels")  # autoencoders' names for them
MAX_SIDE = 64  # pixels of latents that a discriminator sees side by side; 480 x 832 pictures have 60 x 104 latents


@dataclass(frozen=True)
class View:
    """A linear, differentiable function from a pipeline's latents to (n, c, f, h, w), (n, c, l) or (n, c, t, m).

    It moves elements and leaves some out, nothing else. JSON-able through `asdict`.

    Attributes:
        layout: How the latents come: "channels_first" as they are seen; "frames_first" (n, f, c, h, w), also with n and
            f in one axis; "channels_last"; "packed" (n, f h w, c).
        grid: (f, h, w) of packed latents, (f,) of frames first; else ().
        start: Steps of time that are left out at the beginning.
        stop: The step of time before which the rest ends; None for the end.
        unshuffle: Side of the squares of pixels that become channels, so that h and w are divided by it.
    """

    layout: Layout = "channels_first"
    grid: tuple[int, ...] = ()
    start: int = 0
    stop: int | None = None
    unshuffle: int = 1

    def __post_init__(self) -> None:
        object.__setattr__(self, "grid", tuple(self.grid))  # JSON gives lists

    def __call__(self, latents: Tensor) -> Tensor:
        """Latents of n samples as a discriminator sees them; all their gradient flows back."""
        seen = from_layout(latents, self.layout, self.grid)[:, :, self.start : self.stop]
        if self.unshuffle == 1:
            return seen
        return F.pixel_unshuffle(seen.transpose(1, 2), self.unshuffle).transpose(1, 2)

    def shape_of(self, shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of what is seen of one sample's latents of a shape; neither with the batch."""
        return tuple(self(torch.empty(1, *shape, device="meta")).shape[1:])


def from_layout(latents: Tensor, layout: Layout, grid: Sequence[int] = ()) -> Tensor:
    """(n, c, time, ...) of latents in a layout, whose `grid` is `View`'s."""
    if layout == "packed":
        return latents.transpose(1, 2).unflatten(2, tuple(grid))
    if layout == "channels_last":
        return latents.movedim(-1, 1)
    if layout == "frames_first":
        frames = grid[0] if grid else latents.shape[1]
        return latents.reshape(-1, frames, *latents.shape[-3:]).transpose(1, 2)
    return latents


def to_layout(latents: Tensor, layout: Layout) -> Tensor:
    """(n, c, time, ...) in a layout: the inverse of `from_layout`."""
    if layout == "packed":
        return latents.flatten(2).transpose(1, 2)
    if layout == "channels_last":
        return latents.movedim(1, -1)
    return latents.transpose(1, 2) if layout == "frames_first" else latents


def layout_of(pipe: Any) -> Layout:
    """The layout of a pipeline's latents."""
    return LAYOUTS.get(type(pipe).__name__, "channels_first")


def view_of(pipe: Any, shape: Sequence[int], call: Mapping[str, Any], unshuffle: int | None = None) -> View:
    """What a discriminator should see of a pipeline's latents.

    Args:
        pipe: A pipeline of diffusers.
        shape: Of one sample's latents, without the batch; (f, c, h, w) where frames and batch share an axis.
        call: The arguments that the pipeline is called with.
        unshuffle: Side of the squares that become channels; None for `least_unshuffle`.

    Raises:
        UsageError: The latents' channels are not where the layout has them.
    """
    layout = layout_of(pipe)
    if layout == "frames_first" and len(shape) != 4:
        found = f"{type(pipe).__name__}'s latents {tuple(shape)} do not say how many frames they have."
        raise UsageError(found, "the shape (f, c, h, w) of one sample")
    grid = _grid(pipe, call) if layout == "packed" else tuple(shape[:1]) if layout == "frames_first" else ()
    start, stop = _kept(pipe, call)
    view = View(layout, grid, start, stop)
    seen = view.shape_of(shape)
    channels = latent_channels(pipe)
    if seen[0] != channels:
        found = f"{type(pipe).__name__}'s latents {tuple(shape)} have {seen[0]} channels where {layout} has them."
        raise UsageError(found, f"{channels}, its autoencoder's", "add the pipeline's layout to views.LAYOUTS")
    return replace(view, unshuffle=unshuffle or least_unshuffle(*seen[2:])) if len(seen) == 4 else view


def latent_channels(pipe: Any) -> int:
    """Channels of a pipeline's latents: its autoencoder's, times the elements of a patch where it packs patches."""
    config = pipe.vae.config
    patch = getattr(pipe, "transformer_spatial_patch_size", 1) ** 2 * getattr(
        pipe, "transformer_temporal_patch_size", 1
    )
    return next(config[name] for name in CHANNELS if name in config) * patch


def least_unshuffle(height: int, width: int) -> int:
    """Of the squares of side 1 to 4 that divide a grid, the least that bring it to `MAX_SIDE`, or else the largest."""
    sides = [k for k in range(1, 5) if not height % k and not width % k]
    return next((k for k in sides if max(height, width) <= MAX_SIDE * k), sides[-1])


def _grid(pipe: Any, call: Mapping[str, Any]) -> tuple[int, int, int]:
    """(f, h, w) of LTX's packed latents."""
    space = pipe.vae_spatial_compression_ratio * pipe.transformer_spatial_patch_size
    time = (argument_of(pipe, call, "num_frames") - 1) // pipe.vae_temporal_compression_ratio + 1
    height, width = (argument_of(pipe, call, side) // space for side in ("height", "width"))
    return time // pipe.transformer_temporal_patch_size, height, width


def _kept(pipe: Any, call: Mapping[str, Any]) -> tuple[int, int | None]:
    """Where the clip is in the latents: CogVideoX 1.5 pads at the front, Stable Audio always makes its longest."""
    if type(pipe).__name__ == "CogVideoXPipeline":
        return front_padding(pipe, argument_of(pipe, call, "num_frames") or pipe.transformer.config.sample_frames), None
    if type(pipe).__name__ == "StableAudioPipeline" and argument_of(pipe, call, "audio_end_in_s") is not None:
        rate, samples = sound_grid(pipe)
        seconds = (argument_of(pipe, call, f"audio_{end}_in_s") or 0 for end in ("start", "end"))
        start, end = (Fraction(t).limit_denominator(1_000_000) * rate / samples for t in seconds)
        return math.floor(start), math.ceil(end)
    return 0, None


def front_padding(pipe: Any, num_frames: int) -> int:
    """How many latents CogVideoX 1.5 puts before those of a video, for an even number of them."""
    patch = pipe.transformer.config.patch_size_t or 1
    return -((num_frames - 1) // pictures_per_latent(pipe) + 1) % patch

"""The empty stage of the bounce world: the projection from metres to pixels, the room, soft blobs."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np

from mmbench.datasets.bounce_world.world import World

WALL = 0.2  # thickness of the walls [m]
BACK_EDGE = 0.3  # the floor's far edge lies this far [m] above its middle in the picture


@dataclass(frozen=True)
class Projection:
    """From metres to pixels: x to the right, rows downwards, lanes in front lower in the picture."""

    world: World
    height: int
    width: int

    @property
    def scale(self) -> float:
        """Pixels per metre."""
        return self.width / (self.world.width + 2 * WALL)

    @property
    def edge(self) -> int:
        """Row where the back wall meets the floor."""
        return round((self.world.height - BACK_EDGE) * self.scale)

    def __call__(self, points: np.ndarray, lane: float) -> tuple[np.ndarray, np.ndarray]:
        """Columns and rows [px] of `points` (n, 2) [m]."""
        return (points[:, 0] + WALL) * self.scale, (self.world.height + lane - points[:, 1]) * self.scale


def blobs(to_pixels: Projection, x: np.ndarray, y: np.ndarray, sx: np.ndarray, sy: np.ndarray) -> np.ndarray:
    """Gaussian blobs with centres and widths [px], each (n,): (n, height, width) float32, 1 at the centre."""
    columns, rows = np.arange(to_pixels.width) + 0.5, np.arange(to_pixels.height) + 0.5
    gx = np.exp(-0.5 * ((columns - x[:, None]) / sx[:, None]) ** 2).astype(np.float32)
    gy = np.exp(-0.5 * ((rows - y[:, None]) / sy[:, None]) ** 2).astype(np.float32)
    return gy[:, :, None] * gx[:, None, :]


def room(to_pixels: Projection, rng: np.random.Generator) -> np.ndarray:
    """An empty room in colours that say nothing about the balls: (height, width, 3) float32."""
    height, width, edge = to_pixels.height, to_pixels.width, to_pixels.edge
    hue, tint = rng.uniform(), rng.uniform(0.10, 0.26)
    side = round(WALL * to_pixels.scale)

    def shade(saturation: float, value: float) -> np.ndarray:
        return np.array(colorsys.hsv_to_rgb(hue, saturation, value), np.float32)

    picture = np.empty((height, width, 3), np.float32)
    down = np.linspace(0.0, 1.0, edge, dtype=np.float32)[:, None, None]
    picture[:edge] = shade(tint, 0.95) * (1 - down) + shade(tint, 0.80) * down
    near = np.linspace(0.0, 1.0, height - edge, dtype=np.float32)[:, None, None]
    picture[edge:] = shade(1.6 * tint, 0.52) * (1 - near) + shade(1.6 * tint, 0.66) * near
    wall = shade(1.3 * tint, 0.62)
    for k in range(side):  # the walls run towards the viewer, so the floor between them widens
        bottom = edge + round((height - edge) * (1 - (k + 0.5) / side))
        for column, light in ((k, 1.0), (width - 1 - k, 0.9)):
            picture[:bottom, column] = wall * light
    return picture

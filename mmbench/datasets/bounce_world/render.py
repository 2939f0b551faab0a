"""Pictures of the bounce world: anti-aliased shaded balls with motion blur, their shadows, dust at impacts.

All layers are float32 with colours in [0, 1] and premultiplied alpha; pixels are sampled at their centres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mmbench.datasets.bounce_world.physics import Impact, Segment, positions
from mmbench.datasets.bounce_world.stage import Projection, blobs
from mmbench.datasets.bounce_world.world import Material

SHUTTER = 1 / 30  # exposure time [s]
SUBFRAMES = 4
LIGHT = (-0.38, -0.45)  # where the highlight sits on the disc, in radii right and down
DUST_LIFE = 0.15  # time constant [s] of a dust cloud
DUST_SPEED = 5.0  # impact speed [m/s] of an opaque cloud
DUST_WHITE = np.float32(0.97)
DUST_WIDTH = (0.6, 0.3)  # of a cloud at the impact [m], and its growth [m/s]
DUST_REACH = (0.7, 0.6)  # distance of the clouds from the contact point [m] at the impact, and what is added with time


@dataclass(frozen=True)
class Actor:
    """A ball to draw: its motion, its impacts, and how far in front of the floor's middle it moves [m]."""

    radius: float
    material: Material
    segments: list[Segment]
    impacts: list[Impact]
    lane: float


def sprite(material: Material, radius: float, x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Discs around (x, y) (n,) in (n, size, size) patches: (n, size, size, 4) float32, premultiplied."""
    grid = np.arange(size, dtype=np.float32) + 0.5
    dx = (grid - x[:, None]) / radius
    dy = (grid - y[:, None]) / radius
    squared = dx[:, None, :] ** 2 + dy[:, :, None] ** 2
    coverage = np.clip((1.0 - np.sqrt(squared)) * radius + 0.5, 0.0, 1.0)
    alpha = coverage * (material.opacity + (1.0 - material.opacity) * np.minimum(squared, 1.0) ** 2)

    def glow(width: float) -> np.ndarray:
        gx, gy = np.exp(-(((dx - LIGHT[0]) / width) ** 2)), np.exp(-(((dy - LIGHT[1]) / width) ** 2))
        return gx[:, None, :] * gy[:, :, None]

    shading = (0.50 + 0.62 * glow(1.15))[..., None] * np.array(material.color, np.float32)
    shine = (material.gloss * glow(0.26))[..., None]
    color = np.minimum(shading * (1.0 - shine) + shine, 1.0)
    patch = np.empty((*squared.shape, 4), np.float32)
    patch[..., :3] = color * alpha[..., None]
    patch[..., 3] = alpha
    return patch


def ball_layer(actor: Actor, to_pixels: Projection, times: np.ndarray) -> np.ndarray:
    """The moving ball: (n, height, width, 4) float32, premultiplied, averaged over the exposure of each frame."""
    offsets = SHUTTER * ((np.arange(SUBFRAMES) + 0.5) / SUBFRAMES - 0.5)
    x, y = to_pixels(positions(actor.segments, (times[:, None] + offsets).ravel()), actor.lane)
    radius = actor.radius * to_pixels.scale
    margin = int(np.ceil(radius)) + 1
    left, top = np.floor(x).astype(int) - margin, np.floor(y).astype(int) - margin
    size = 2 * margin + 1
    patches = sprite(actor.material, radius, (x - left).astype(np.float32), (y - top).astype(np.float32), size)
    patches /= SUBFRAMES
    height, width = to_pixels.height, to_pixels.width
    layer = np.zeros((len(times), height + 2 * size, width + 2 * size, 4), np.float32)
    columns = np.clip(left + size, 0, width + size)
    rows = np.clip(top + size, 0, height + size)
    for k, (row, column) in enumerate(zip(rows, columns, strict=True)):
        layer[k // SUBFRAMES, row : row + size, column : column + size] += patches[k]
    return layer[:, size : size + height, size : size + width]


def shadow(actor: Actor, to_pixels: Projection, times: np.ndarray) -> np.ndarray:
    """Darkness of the floor under a ball, sharper and deeper the lower it is: (n, height, width) float32."""
    centres = positions(actor.segments, times)
    gap = np.maximum(centres[:, 1] - actor.radius, 0.0)
    x, y = to_pixels(centres * (1.0, 0.0), actor.lane)
    spread = actor.radius * to_pixels.scale * (0.75 + 0.35 * gap)
    dark = blobs(to_pixels, x, y, spread, 0.28 * spread) * (0.55 / (1.0 + 1.4 * gap)).astype(np.float32)[:, None, None]
    dark[:, : to_pixels.edge] = 0.0  # no shadow on the back wall
    return dark


def dust(actor: Actor, to_pixels: Projection, times: np.ndarray) -> np.ndarray:
    """Alpha of the clouds that impacts raise, stronger for harder ones: (n, height, width) float32."""
    clear = np.ones((len(times), to_pixels.height, to_pixels.width), np.float32)
    for impact in actor.impacts:
        age = times - impact.time
        live = np.flatnonzero((age >= 0.0) & (age < 4 * DUST_LIFE))
        if not live.size:
            continue
        age = age[live]
        strength = min(1.0, impact.speed / DUST_SPEED) * np.exp(-age / DUST_LIFE)
        x, y = to_pixels(np.array([[impact.x, impact.y]]), actor.lane)
        reach = to_pixels.scale * (DUST_REACH[0] + DUST_REACH[1] * (1.0 - np.exp(-age / DUST_LIFE)))
        width = to_pixels.scale * (DUST_WIDTH[0] + DUST_WIDTH[1] * age)
        along, across = (1.0, 0.0) if impact.surface == "floor" else (0.0, 1.0)
        for sign in (-1.0, 1.0):
            cloud = blobs(to_pixels, x + sign * along * reach, y + sign * across * reach - 0.3 * width, width, width)
            clear[live] *= 1.0 - cloud * strength.astype(np.float32)[:, None, None]
    return 1.0 - clear


def render(actors: Sequence[Actor], to_pixels: Projection, backdrop: np.ndarray, times: np.ndarray) -> np.ndarray:
    """Film the actors, the farthest lane first, at `times` (n,) [s] before `backdrop` (h, w, 3): (n, h, w, 3) uint8."""
    frames = np.repeat(backdrop[None], len(times), axis=0)
    for actor in actors:
        frames[:, to_pixels.edge :] *= 1.0 - shadow(actor, to_pixels, times)[:, to_pixels.edge :, :, None]
    for actor in sorted(actors, key=lambda a: a.lane):
        cloud = dust(actor, to_pixels, times)[..., None]
        dusty = np.flatnonzero(cloud.any(axis=(1, 2, 3)))
        frames[dusty] += cloud[dusty] * (DUST_WHITE - frames[dusty])
        layer = ball_layer(actor, to_pixels, times)
        frames *= 1.0 - layer[..., 3:]
        frames += layer[..., :3]
    np.clip(frames, 0.0, 1.0, out=frames)
    frames *= 255.0
    return np.rint(frames, out=frames).astype(np.uint8)

"""Exact motion of bouncing balls: parabolas joined at impacts whose times are roots in closed form.

Coordinates: x [m] from the left wall, y [m] up from the floor, both of the ball's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mmbench.datasets.bounce_world.world import World


@dataclass(frozen=True)
class Ball:
    """A ball at time 0: radius [m], restitution, position [m] and velocity [m/s]."""

    radius: float
    restitution: float
    x: float
    y: float
    vx: float
    vy: float


class Segment(NamedTuple):
    """Free flight (ay = -gravity) or rolling (ay = 0) from `start` [s] on."""

    start: float
    x: float
    y: float
    vx: float
    vy: float
    ay: float


class Impact(NamedTuple):
    """A ball meets a surface: time [s], "floor", "left" or "right", normal speed [m/s], contact point [m]."""

    time: float
    surface: str
    speed: float
    x: float
    y: float


def advance(segment: Segment, time: float) -> Segment:
    """The same motion with its origin moved to `time`."""
    t = time - segment.start
    x = segment.x + segment.vx * t
    y = segment.y + segment.vy * t + 0.5 * segment.ay * t * t
    return Segment(time, x, y, segment.vx, segment.vy + segment.ay * t, segment.ay)


def floor_time(segment: Segment, radius: float) -> float:
    """When the ball next meets the floor [s]: the later root of height = radius; infinity for a rolling ball."""
    if segment.ay == 0.0:
        return math.inf
    g, drop = -segment.ay, segment.y - radius
    return segment.start + (segment.vy + math.sqrt(segment.vy**2 + 2.0 * g * drop)) / g


def wall_time(segment: Segment, radius: float, width: float) -> float:
    """When the ball next meets the wall it moves towards [s]; infinity without horizontal motion."""
    if segment.vx == 0.0:
        return math.inf
    wall = width - radius if segment.vx > 0.0 else radius
    return segment.start + (wall - segment.x) / segment.vx


def trajectory(ball: Ball, world: World, duration: float) -> tuple[list[Segment], list[Impact]]:
    """Follow a ball for `duration` [s].

    Bounces of a ball left alone get shorter without end (Zeno); one that would rise slower than `world.rest_speed`
    ends the sequence and rolls.

    Returns:
        Segments, ordered and without gaps, the first from time 0; impacts, ordered, all before `duration`.
    """
    now = Segment(0.0, ball.x, ball.y, ball.vx, ball.vy, -world.gravity)
    segments: list[Segment] = [now]
    impacts: list[Impact] = []
    while True:
        floor, wall = floor_time(now, ball.radius), wall_time(now, ball.radius, world.width)
        time = min(floor, wall)
        if time >= duration:
            return segments, impacts
        before = advance(now, time)
        if floor <= wall:
            speed, vy = -before.vy, -ball.restitution * before.vy
            resting = vy < world.rest_speed
            now = before._replace(
                y=ball.radius,
                vx=before.vx * (1.0 - world.wall_grip),
                vy=0.0 if resting else vy,
                ay=0.0 if resting else -world.gravity,
            )
            impacts.append(Impact(time, "floor", speed, now.x, 0.0))
        else:
            right = before.vx > 0.0
            contact = world.width if right else 0.0
            now = before._replace(
                x=contact - ball.radius if right else ball.radius,
                vx=-ball.restitution * before.vx,
                vy=before.vy * (1.0 - world.wall_grip),
            )
            impacts.append(Impact(time, "right" if right else "left", abs(before.vx), contact, now.y))
        segments.append(now)


def positions(segments: list[Segment], times: np.ndarray) -> np.ndarray:
    """Centres (n, 2) float64 [m] at `times` (n,) [s]; before time 0 the first parabola is continued backwards."""
    table = np.array(segments)
    index = np.maximum(np.searchsorted(table[:, 0], times, side="right") - 1, 0)
    start, x, y, vx, vy, ay = table[index].T
    t = times - start
    return np.stack([x + vx * t, y + vy * t + 0.5 * ay * t * t], axis=1)

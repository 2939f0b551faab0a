"""One scene of the bounce world: drawn at random until it is worth watching, then filmed and recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmbench.datasets.bounce_world.physics import Ball, Impact, Segment, trajectory
from mmbench.datasets.bounce_world.render import Actor, render
from mmbench.datasets.bounce_world.sound import Voice, finish, level_of
from mmbench.datasets.bounce_world.stage import Projection, room
from mmbench.datasets.bounce_world.world import Material, World

SIZES = {"any": (0.0, 1.0), "small": (0.0, 0.25), "large": (0.75, 1.0)}  # shares of a material's range of radii
LANES = {1: (0.0,), 2: (-0.12, 0.14)}  # depth [m] at which balls pass each other


@dataclass(frozen=True)
class Scene:
    """Balls of one material with their motions, and all impacts (impact, index of the ball) in order of time."""

    world: World
    material: Material
    balls: list[Ball]
    motions: list[tuple[list[Segment], list[Impact]]]
    impacts: list[tuple[Impact, int]]

    def truth(self) -> dict[str, Any]:
        """The ground truth of the scene, times in [s], speeds in [m/s], points (x, y) in [m]."""
        return {
            "impact_times": np.array([impact.time for impact, _ in self.impacts]),
            "impact_speeds": np.array([impact.speed for impact, _ in self.impacts]),
            "impact_surfaces": tuple(impact.surface for impact, _ in self.impacts),
            "impact_points": np.array([(impact.x, impact.y) for impact, _ in self.impacts]),
            "impact_balls": np.array([k for _, k in self.impacts]),
            "balls": tuple(self.balls),
        }


def draw_ball(world: World, material: str, size: str, rng: np.random.Generator) -> Ball:
    """A ball whose first flight meets the floor at a uniformly drawn time, whatever its height."""
    kind = world.materials[material]
    low, high = kind.radii
    share = rng.uniform(*SIZES[size])
    radius = low + (high - low) * share
    drop = rng.uniform(*world.drop_heights)
    apex = rng.uniform(*world.first_impact) - np.sqrt(2.0 * drop / world.gravity)
    return Ball(
        radius=radius,
        restitution=kind.restitution,
        x=rng.uniform(radius, world.width - radius),
        y=radius + drop - 0.5 * world.gravity * apex**2,
        vx=world.max_drift * rng.uniform(-1.0, 1.0),
        vy=world.gravity * apex,
    )


def is_clear(balls: Sequence[Ball], impacts: Sequence[Impact], world: World) -> bool:
    """Whether all balls start above the floor, the start is quiet and enough impacts are heard."""
    audible = [i for i in impacts if i.speed >= world.audible_speed and i.time <= world.last_onset]
    above = all(b.y > 1.3 * b.radius for b in balls)
    return above and len(audible) >= world.min_impacts and min(i.time for i in impacts) >= world.first_impact[0]


def draw_scene(world: World, want: Mapping[str, Any], duration: float, rng: np.random.Generator) -> Scene:
    """Draw scenes with the wanted material, size and num_balls until one is clear; follow it for `duration` [s]."""
    while True:
        balls = [draw_ball(world, want["material"], want["size"], rng) for _ in range(want["num_balls"])]
        motions = [trajectory(ball, world, duration) for ball in balls]
        impacts = sorted((impact, k) for k, (_, of_ball) in enumerate(motions) for impact in of_ball)
        if is_clear(balls, [impact for impact, _ in impacts], world):
            return Scene(world, world.materials[want["material"]], balls, motions, impacts)


def record(scene: Scene, num_samples: int, sample_rate: int, rng: np.random.Generator) -> np.ndarray:
    """The sound of a scene, balls with voices of their own: (num_samples,) float32 in (-1, 1)."""
    voices = [Voice(scene.material, ball.radius, rng) for ball in scene.balls]
    audio = np.zeros(num_samples)
    for impact, k in scene.impacts:
        voices[k].strike(audio, impact.time, level_of(impact.speed, scene.world), sample_rate)
    return finish(audio)


def film(scene: Scene, height: int, width: int, times: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The pictures of a scene at `times` (n,) [s], in a room of its own: (n, height, width, 3) uint8."""
    to_pixels = Projection(scene.world, height, width)
    lanes = LANES[len(scene.balls)]
    actors = [
        Actor(ball.radius, scene.material, segments, impacts, lane)
        for ball, (segments, impacts), lane in zip(scene.balls, scene.motions, lanes, strict=True)
    ]
    return render(actors, to_pixels, room(to_pixels, rng), times)

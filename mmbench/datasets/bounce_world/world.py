"""The parameters of the bounce world: a room, its gravity, and materials with a look, a bounce and a voice.

Lengths are metres, times seconds, speeds metres per second, frequencies hertz, decays 1/s, colours RGB in [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Material:
    """The look, bounce and sound of balls of one material.

    Attributes:
        adjective: The word in prompts ("wooden").
        color: RGB in [0, 1].
        gloss: Strength of the highlight in [0, 1].
        opacity: Alpha at the centre of the disc; the rim is always opaque.
        radii: Smallest and largest radius [m].
        restitution: Ratio of normal speeds after and before an impact.
        frequency: Lowest mode [Hz] of a ball of radius 0.5 m; it goes as 1 / radius, as modes of any solid do.
        ratios: Frequencies of all modes relative to the lowest.
        damping: Decay [1/s] of the lowest mode at 0.5 m.
        damping_slope: Growth of decay with frequency: mode k decays with damping * ratios[k] ** damping_slope.
        brightness: Amplitude of mode k is ratios[k] ** -brightness before normalisation.
        contact: Level of the contact noise relative to the modes.
    """

    adjective: str
    color: tuple[float, float, float]
    gloss: float
    opacity: float
    radii: tuple[float, float]
    restitution: float
    frequency: float
    ratios: tuple[float, ...]
    damping: float
    damping_slope: float
    brightness: float
    contact: float


MATERIALS = {
    "glass": Material(
        adjective="glass",
        color=(0.36, 0.76, 0.86),
        gloss=0.95,
        opacity=0.62,
        radii=(0.32, 0.54),
        restitution=0.72,
        frequency=1450.0,
        ratios=(1.0, 1.83, 2.71, 3.64),
        damping=16.0,
        damping_slope=0.6,
        brightness=0.5,
        contact=0.35,
    ),
    "metal": Material(
        adjective="metal",
        color=(0.55, 0.59, 0.66),
        gloss=1.0,
        opacity=1.0,
        radii=(0.34, 0.58),
        restitution=0.66,
        frequency=620.0,
        ratios=(1.0, 1.58, 2.24, 2.92, 4.18, 5.43, 6.79),
        damping=7.0,
        damping_slope=0.5,
        brightness=0.3,
        contact=0.3,
    ),
    "plastic": Material(
        adjective="plastic",
        color=(0.98, 0.80, 0.22),
        gloss=0.6,
        opacity=1.0,
        radii=(0.34, 0.56),
        restitution=0.76,
        frequency=820.0,
        ratios=(1.0, 2.1, 3.4),
        damping=75.0,
        damping_slope=0.4,
        brightness=0.9,
        contact=0.5,
    ),
    "rubber": Material(
        adjective="rubber",
        color=(0.86, 0.24, 0.24),
        gloss=0.3,
        opacity=1.0,
        radii=(0.40, 0.68),
        restitution=0.82,
        frequency=130.0,
        ratios=(1.0, 1.52, 2.3),
        damping=30.0,
        damping_slope=0.8,
        brightness=1.4,
        contact=0.22,
    ),
    "wood": Material(
        adjective="wooden",
        color=(0.66, 0.42, 0.22),
        gloss=0.25,
        opacity=1.0,
        radii=(0.38, 0.64),
        restitution=0.62,
        frequency=330.0,
        ratios=(1.0, 1.91, 2.83, 4.07, 5.2),
        damping=42.0,
        damping_slope=0.5,
        brightness=0.7,
        contact=0.55,
    ),
}


@dataclass(frozen=True)
class World:
    """A room seen from the front, with what happens in it and how it is recorded.

    Attributes:
        materials: Materials by name.
        gravity: [m/s²].
        width: Distance between the walls [m].
        height: Distance from floor to the upper edge of the picture [m].
        wall_grip: Share of the speed along a surface that an impact takes away.
        rest_speed: A ball that would leave the floor slower than this [m/s] rolls on instead.
        first_impact: Earliest and latest time [s] of a ball's first floor impact.
        drop_heights: Lowest and highest apex of the first flight, from floor to the ball's lowest point [m].
        max_drift: Largest horizontal speed at the start [m/s].
        min_impacts: Every clip holds that many impacts of at least `audible_speed` [m/s] before `last_onset` [s].
        audible_speed: See `min_impacts`.
        last_onset: See `min_impacts`.
        full_speed: An impact at this speed [m/s] has modal amplitude `full_level`.
        full_level: See `full_speed`; amplitudes are proportional to speed.
    """

    materials: dict[str, Material]
    gravity: float = 8.0
    width: float = 3.6
    height: float = 3.5
    wall_grip: float = 0.05
    rest_speed: float = 0.6
    first_impact: tuple[float, float] = (0.25, 1.1)
    drop_heights: tuple[float, float] = (0.7, 1.9)
    max_drift: float = 1.1
    min_impacts: int = 2
    audible_speed: float = 1.2
    last_onset: float = 1.85
    full_speed: float = 5.5
    full_level: float = 0.6


STANDARD = World(MATERIALS)
HEAVY = World(
    {
        name: replace(m, restitution=0.85 * m.restitution, frequency=0.7 * m.frequency, damping=1.4 * m.damping)
        for name, m in MATERIALS.items()
    },
    gravity=12.0,
    full_speed=6.7,
)

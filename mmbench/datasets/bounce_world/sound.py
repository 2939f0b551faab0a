"""The sound of an impact: damped modes of the ball and a short contact noise, from its exact time on."""

from __future__ import annotations

import math

import numpy as np

from mmbench.datasets.bounce_world.world import Material, World

REFERENCE_RADIUS = 0.5  # [m] to which a material's frequency and damping refer
BLOCK = 256  # samples per row of the outer product below
AUDIBLE = 1e-5  # below half a 16-bit step of a mode at full scale
NUM_CONTACT_PARTIALS = 24
CONTACT_BAND = (300.0, 6000.0)  # [Hz]
CONTACT_DECAY = 260.0  # [1/s]
KNEE = 0.7  # the limiter is the identity below


def add_damped_sines(
    audio: np.ndarray,
    onset: float,
    amplitudes: np.ndarray,
    frequencies: np.ndarray,
    decays: np.ndarray,
    sample_rate: int,
) -> None:
    """Add sum_m a_m exp(-d_m (t - onset)) sin(2 pi f_m (t - onset)) for t >= onset to `audio` in place.

    The exponent factors over blocks, so M modes of S samples need M (S / 256 + 256) exponentials instead of M S.

    Args:
        audio: (S,) float64.
        onset: Time of the impact [s], anywhere between samples.
        amplitudes: (M,).
        frequencies: (M,) [Hz].
        decays: (M,) [1/s].
        sample_rate: [Hz].
    """
    first = math.ceil(onset * sample_rate)
    longest = math.ceil(-math.log(AUDIBLE) / decays.min() * sample_rate)
    length = min(len(audio) - first, longest)
    if length <= 0:
        return
    s = (2j * np.pi * frequencies - decays) / sample_rate
    lead = amplitudes * np.exp(s * (first - onset * sample_rate))
    rows = lead[:, None] * np.exp(s[:, None] * (BLOCK * np.arange(math.ceil(length / BLOCK))))
    columns = np.exp(s[:, None] * np.arange(BLOCK))
    wave = np.einsum("ma,mb->ab", rows.imag, columns.real) + np.einsum("ma,mb->ab", rows.real, columns.imag)
    audio[first : first + length] += wave.reshape(-1)[:length]


class Voice:
    """The modes of one ball: pitch from its radius, timbre from its material, small deviations of its own."""

    def __init__(self, material: Material, radius: float, rng: np.random.Generator) -> None:
        ratios = np.array(material.ratios)
        scale = REFERENCE_RADIUS / radius
        self.frequencies = material.frequency * scale * ratios * (1.0 + 0.01 * rng.standard_normal(len(ratios)))
        self.decays = material.damping * scale**0.5 * ratios**material.damping_slope
        weights = ratios**-material.brightness * np.exp(0.15 * rng.standard_normal(len(ratios)))
        self.weights = weights / weights.sum()
        low, high = np.log(CONTACT_BAND)
        self.contact_frequencies = np.exp(rng.uniform(low, high, NUM_CONTACT_PARTIALS))
        self.contact_weights = material.contact * rng.standard_normal(NUM_CONTACT_PARTIALS) / NUM_CONTACT_PARTIALS**0.5

    def strike(self, audio: np.ndarray, onset: float, level: float, sample_rate: int) -> None:
        """Add the sound of one impact at `onset` [s] with modal amplitude `level` to `audio` (S,) in place."""
        add_damped_sines(audio, onset, level * self.weights, self.frequencies, self.decays, sample_rate)
        decays = np.full(NUM_CONTACT_PARTIALS, CONTACT_DECAY)
        add_damped_sines(audio, onset, level * self.contact_weights, self.contact_frequencies, decays, sample_rate)


def level_of(speed: float, world: World) -> float:
    """Modal amplitude of an impact with normal `speed` [m/s]."""
    return world.full_level * speed / world.full_speed


def finish(audio: np.ndarray) -> np.ndarray:
    """Soft-limit to (-1, 1) and put on the 16-bit grid, so that the clip survives storage bit by bit.

    There is no normalisation per clip: that would hide which impact, in which clip, was harder.

    Args:
        audio: (S,) float64.

    Returns:
        (S,) float32, multiples of 1 / 32768.
    """
    excess = np.maximum(np.abs(audio) - KNEE, 0.0)
    room = 1.0 - KNEE
    limited = np.sign(audio) * (np.minimum(np.abs(audio), KNEE) + room * np.tanh(excess / room))
    return (np.rint(limited * 32767.0) / 32768.0).astype(np.float32)

"""Pairings of noise levels in training, and the paths of levels that a sampler may take through them.

Noise is independent between modalities, so two halves at any two levels are a diffused pair, and sampling may lower the
levels along any path. Guidance is right where training was: a discriminator that was trained on equal log SNR and
sampled at equal timesteps raises no error, and its samples of the 1-D experiment have an excess NLL of 1.6 nats
(results/toy).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from mmbench.errors import UsageError

Pairing = Literal["index", "band", "independent"]  # how training draws the timesteps of video and audio
PAIRINGS: tuple[Pairing, ...] = get_args(Pairing)
BAND = 0.2  # of T: how far the audio's timestep may be from the video's

Path = Literal["fraction", "log_snr", "video_first", "audio_first"]  # "fraction": equal shares of each half's own steps
PATHS: tuple[Path, ...] = get_args(Path)
PATHS_OF: Mapping[Pairing, tuple[Path, ...]] = {"index": ("fraction",), "band": ("fraction",), "independent": PATHS}


def read_pairing(pairing: str) -> Pairing:
    """The pairing of that name; UsageError if there is none."""
    for known in PAIRINGS:
        if pairing == known:
            return known
    raise UsageError(f"Unknown pairing of levels {pairing!r}.", f"one of {', '.join(PAIRINGS)}", "--pairing index")


def require_path(pairing: Pairing, path: Path) -> None:
    """Raise UsageError if a path visits pairs of levels that a discriminator's training did not.

    Args:
        pairing: Of the discriminator, `DiscriminatorConfig.pairing`.
        path: Of the sampler: both halves at the same share of their own steps ("fraction"), at the same log SNR, or one
            half finished before the other begins ("video_first", "audio_first").
    """
    if path in PATHS_OF[pairing]:
        return
    raise UsageError(
        f"The discriminator was trained on pairing {pairing!r} of noise levels, and path {path!r} leaves it.",
        f"path {' or '.join(PATHS_OF[pairing])}, or a discriminator of pairing 'independent'; off the levels of its "
        "training a discriminator guides wrongly and raises nothing (excess NLL of 1.6 in the 1-D experiment)",
        f"--set path={PATHS_OF[pairing][0]}, or the command that trained it with --pairing independent",
    )

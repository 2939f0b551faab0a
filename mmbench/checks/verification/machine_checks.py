"""What must hold of this machine: codecs without loss, and checkpoints that are what was published."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from mmbench.checks.verification.check_row import NotApplicable, Row, judge
from mmbench.types import Clip


def check_machine() -> list[Row]:
    """Check the machine: lossless storage and the digests of checkpoints; one row each."""
    rows = [judge("lossless round trip", "store", "every pixel, sample and rate as written", round_trip)]
    return rows + check_weights()


def round_trip() -> tuple[bool, str]:
    """Whether a clip of odd sizes and rates comes back from the store's file format as it was."""
    from mmbench.media.clip_files import read_lossless, write_lossless

    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (5, 37, 53, 3), np.uint8)
    audio = (rng.integers(-32768, 32768, 12345) / 32768).astype(np.float32)
    clip, file = Clip(video, Fraction(24000, 1001), audio, 44100), io.BytesIO()
    write_lossless(clip, file)
    back = read_lossless(io.BytesIO(file.getvalue()))
    pixels = back.video.shape == video.shape and bool(np.array_equal(back.video, video))
    samples = back.audio.shape == audio.shape and bool(np.array_equal(back.audio, audio))
    rates = (back.fps, back.sample_rate) == (clip.fps, clip.sample_rate)
    equal = {"pixels": pixels, "samples": samples, "rates": rates, "digest": back.digest() == clip.digest()}
    return all(equal.values()), ", ".join(f"{k} {'equal' if v else 'differ'}" for k, v in equal.items())


def check_weights() -> list[Row]:
    """Check the digests of the published checkpoints that are here, one row each."""
    from mmbench.weights.checkpoints import verify_all

    rows: list[Row] = []
    required = "the published sha256, or that of the first use"
    for found in verify_all()[0]:
        rows.append(judge("weights digest", found["name"], required, _verdict(found), "real"))
    return rows or [judge("weights digest", "all", required, _none_here)]


def _verdict(found: dict[str, Any]) -> Callable[[], tuple[bool, str]]:
    return lambda: (found["status"] == "ok", f"{found['status']}: {found['digest']}")


def _none_here() -> tuple[bool, str]:
    raise NotApplicable("no published weights are here: mmbench weights list")

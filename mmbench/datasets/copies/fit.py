"""Tells whether a user's video fits a dataset's clip format, and why not."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mmbench.types import ClipFormat


def clip_shape(report: dict[str, Any]) -> tuple[Fraction, int, int, int]:
    """Frame rate [1/s], height, width [px] and sample rate [Hz] (0 without sound) of a probed clip."""
    video, audio = report["video"], report["audio"]
    return Fraction(video["fps"]), video["height"], video["width"], audio["sample_rate"] if audio else 0


def why_unfit(report: dict[str, Any], form: ClipFormat, exact: bool) -> str | None:
    """The reason why a probed clip cannot be used in a format; None if it can.

    Args:
        report: What `probe` says of the clip's video and of its sound.
        form: The format.
        exact: Rates and size must be those of the format; otherwise clips are resampled.
    """
    fps, height, width, rate = clip_shape(report)
    if form.num_samples and not rate:
        return "it has no sound"
    wanted = Fraction(form.fps).limit_denominator(1_000_000)
    if exact and (fps, height, width) != (wanted, form.height, form.width):
        return f"{width}x{height} at {fps} 1/s, not {form.width}x{form.height} at {wanted} 1/s"
    if exact and form.num_samples and rate != form.sample_rate:
        return f"sound at {rate} Hz, not {form.sample_rate} Hz"
    if report["video"]["frames"] / fps * wanted <= form.num_frames - 1:
        return f"{float(report['video']['frames'] / fps):.3f} s of video, not {form.num_frames / form.fps:.3f} s"
    if form.num_samples and report["audio"]["duration"] <= form.num_samples / form.sample_rate - 1 / form.fps:
        return f"{report['audio']['duration']:.3f} s of sound, not {form.num_samples / form.sample_rate:.3f} s"
    return None

"""What a clip holds, without its pixels, and how the cache keeps it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmbench.media.padding import FITTED
from mmbench.types import Clip, Features


@dataclass(frozen=True)
class Content:
    """What a clip holds, without its pixels.

    Attributes:
        video, audio: Digests of its halves.
        size: As `Clip.size` gives it.
        codecs: Those it came through.
        fitted: Samples of silence that its sound was completed with to be as long as its picture, negative if it was
            cut, "" if neither: see `mmbench.media.padding`.
    """

    video: str
    audio: str
    size: str
    codecs: str = ""
    fitted: str = ""

    @classmethod
    def of(cls, clip: Clip) -> Content:
        """What a decoded clip holds."""
        fitted = str(clip.notes.get(FITTED, ""))
        return cls(clip.video_digest(), clip.audio_digest(), clip.size(), clip.codecs(), fitted)


def pack(content: Content) -> Features:
    """A content as the cache keeps it."""
    return {"content": np.frombuffer("|".join(vars(content).values()).encode(), np.uint8)}


def unpack(features: Features | None) -> Content | None:
    """What a clip holds; None where that is not known, or damaged in a file from before there were checksums."""
    try:
        return None if features is None else Content(*features["content"].tobytes().decode().split("|"))
    except (LookupError, ValueError, TypeError):
        return None

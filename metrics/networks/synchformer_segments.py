"""What Synchformer calls a segment: 0.64 s of a clip, one every 0.32 s, of which it judges 14 together."""

from __future__ import annotations

from dataclasses import dataclass

from mmbench.errors import MMBenchError

FPS, FRAMES, FRAME_STEP = 25, 16, 8  # [1/s]; frames of a segment, and from one to the next
SAMPLES, SAMPLE_STEP = 10240, 5120  # the same in samples at 16 kHz
SEGMENTS = 14  # the table of positions is learned for exactly these


def count_segments(length: int, size: int, step: int) -> int:
    """Whole segments in a length; 0 if it holds none."""
    return max((length - size) // step + 1, 0)


@dataclass(frozen=True)
class Stretch:
    """Which part of a clip is looked at, and how.

    Attributes:
        seconds: From the clip's start; what is longer is cut.
        fewest: Segments without which it is refused.
        first_frame: Where the first segment begins, in frames at 25 fps.
        short_side: What the short side of frames is resized to, before the middle 224x224 are cut out [px].
    """

    seconds: int
    fewest: int = SEGMENTS
    first_frame: int = 0
    short_side: int = 224

    @property
    def needed(self) -> float:
        """The shortest clip that is long enough [s]."""
        return (self.first_frame + FRAMES + FRAME_STEP * (self.fewest - 1)) / FPS

    def require(self, segments: int, what: str, length: float) -> None:
        """Raise MMBenchError if a clip's picture or sound of that length [s] has too few segments."""
        if segments < self.fewest:
            need = f"{self.needed:g} s, {self.fewest} segments of 0.64 s every 0.32 s"
            raise MMBenchError(f"The {what} lasts {length:.2f} s, and Synchformer needs {need}.")

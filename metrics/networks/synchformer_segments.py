"""What Synchformer calls a segment: 0.64 s of a clip, one every 0.32 s, of which it judges 14 together."""

from __future__ import annotations

FPS, FRAMES, FRAME_STEP = 25, 16, 8  # [1/s]; frames of a segment, and from one to the next
SAMPLES, SAMPLE_STEP = 10240, 5120  # the same in samples at 16 kHz
SEGMENTS = 14  # the table of positions is learned for exactly these


def count_segments(length: int, size: int, step: int) -> int:
    """Whole segments in a length; 0 if it holds none."""
    return max((length - size) // step + 1, 0)

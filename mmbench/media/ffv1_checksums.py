"""The checksums in FFV1 files, which FFmpeg's decoder compares but does not act on: it patches a bad slice and goes on.

RFC 9043: with error correction every slice ends in its length (3 bytes), a status byte and a CRC-32, so that the CRC
over the whole slice is 0. The polynomial is that of zlib, run from the highest bit instead of the lowest.
"""

from __future__ import annotations

from dataclasses import dataclass
from zlib import crc32

TRAILER = 8  # bytes behind a slice: length, status, checksum
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
ZERO = 0xFFFFFFFF  # what zlib calls a register of zeros


@dataclass
class SliceChecksums:
    """Which frames of a stream have all their checksums.

    Attributes:
        slices: Slices that have their checksum, in all frames.
        damaged: Frames with a slice that has not.
    """

    slices: int = 0
    damaged: int = 0

    def add(self, frame: bytes) -> None:
        """Look at the slices of one encoded frame."""
        right, complete = check_slices(frame)
        self.slices += right
        self.damaged += not complete

    @property
    def num_damaged(self) -> int:
        """Frames with a wrong checksum; 0 where no slice has one, for then the stream has none."""
        return self.damaged if self.slices else 0


def check_slices(frame: bytes) -> tuple[int, bool]:
    """How many slices of an encoded frame have their checksum, and whether all of it is such slices."""
    right, count, end = 0, 0, len(frame)
    while end > TRAILER:
        start = end - TRAILER - int.from_bytes(frame[end - TRAILER : end - TRAILER + 3])
        if start < 0:
            return right, False
        right += crc32(frame[start:end].translate(REVERSED), ZERO) == ZERO
        count, end = count + 1, start
    return right, end == 0 and right == count

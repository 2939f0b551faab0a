"""Whole videos made ready to have clips cut out of them anywhere: reading one reads its pictures and its sound alone.

A file in the format safetensors holds `pictures` (P, H, W, 3) uint8 and `sound` (B, 4096) float32, the segments of the
time line one after the other, the last block filled up with zeros; for both, `<name>_crc32` (rows,) uint32 has the
CRC-32 of each row. The metadata's `sha256` says of which video it was made. Whatever else makes up the recording is in
the notes that go to the index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from mmbench.errors import IntegrityError, MediaError
from mmbench.media.decode import Recording
from mmbench.media.timeline import AudioTimeline, Samples

BLOCK = 4096  # samples that are read and checked together


def pack(recording: Recording, index: Sequence[int], sha256: str) -> tuple[bytes, dict[str, Any]]:
    """A recording with sound as a file, of its frames only those of `index`, and the notes that `unpack` needs.

    Args:
        recording: A whole one.
        index: Frame that picture k is.
        sha256: Of the video.

    Raises:
        MediaError: There is no sound.
    """
    sound = recording.sound
    if sound is None:
        raise MediaError("None of its sound can be decoded.", "a video with sound")
    blocks = np.zeros((-(-sound.num_samples // BLOCK), BLOCK), np.float32)
    blocks.reshape(-1)[: sound.num_samples] = np.concatenate([samples[:] for _, samples in sound.segments])
    rows = {"pictures": recording.video[list(index)], "sound": blocks}
    sums = {f"{name}_crc32": np.array([crc32(row) for row in held], np.uint32) for name, held in rows.items()}
    lengths = [[str(start), len(samples)] for start, samples in sound.segments]
    notes = {
        "pictures": len(index),
        "fps": str(recording.fps),
        "start": str(recording.start),
        "sound": {"rate": sound.rate, "time_base": str(sound.time_base), "segments": lengths},
        "recording": recording.notes,
    }
    return save(rows | sums, {"sha256": sha256}), notes


def unpack(path: Path, notes: Mapping[str, Any], sha256: str, first: int, num: int, remedy: str) -> Recording:
    """The recording in a file of `pack`, its video being pictures first .. first + num - 1, its sound read when wanted.

    Args:
        path: The file.
        notes: Those of `pack`.
        sha256: Of the video.
        first: The first picture.
        num: Number of pictures.
        remedy: What to type if the file is damaged.

    Raises:
        IntegrityError: The file is damaged, gone, or was made of another video; for the sound also when it is read.
    """
    rows = Rows(path, sha256, remedy)
    sound, position = notes["sound"], 0
    segments: list[tuple[Fraction, Samples]] = []
    for start, length in sound["segments"]:
        segments.append((Fraction(start), Stretch(rows, position, length)))
        position += length
    timeline = AudioTimeline(sound["rate"], Fraction(sound["time_base"]), segments, position)
    pictures = rows.read("pictures", first, first + num)
    return Recording(pictures, Fraction(notes["fps"]), Fraction(notes["start"]), timeline, notes["recording"])


class Rows:
    """Rows of the tensors in a file of `pack`, checked as they are read."""

    def __init__(self, path: Path, sha256: str, remedy: str) -> None:
        self.path, self.remedy = path, remedy
        try:
            self.file = safe_open(path, "np")
        except (SafetensorError, OSError) as error:
            raise self._damaged(str(error)) from error
        if (self.file.metadata() or {}).get("sha256") != sha256:
            raise self._damaged("it was made of another video")

    def read(self, name: str, first: int, end: int) -> np.ndarray:
        """Rows first .. end - 1 of a tensor."""
        try:
            rows: np.ndarray = self.file.get_slice(name)[first:end]
            sums = self.file.get_slice(f"{name}_crc32")[first:end]
        except SafetensorError as error:
            raise self._damaged(str(error)) from error
        if [crc32(row) for row in rows] != sums.tolist() or len(rows) != end - first:
            raise self._damaged(f"rows {first} to {end - 1} of its {name} do not have their checksums")
        return rows

    def _damaged(self, reason: str) -> IntegrityError:
        found = f"{self.path} cannot be used: {reason}."
        return IntegrityError(found, "the file that mmbench data prepare made of a video", self.remedy)


@dataclass(frozen=True)
class Stretch:
    """Samples of one segment of the sound, read when sliced.

    Attributes:
        rows: The file.
        first: Where they begin in all of its sound.
        length: How many there are.
    """

    rows: Rows
    first: int
    length: int

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, part: slice, /) -> np.ndarray:
        begin, end, _ = part.indices(self.length)
        begin, end = self.first + begin, self.first + max(begin, end)
        block = begin // BLOCK
        blocks = self.rows.read("sound", block, -(-end // BLOCK))
        return blocks.reshape(-1)[begin - block * BLOCK : end - block * BLOCK]

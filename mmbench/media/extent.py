"""How long a media file says it is, in bytes: what tells a file that was cut off, or is still being written.

Read from the outermost structure alone, before anything is decoded: boxes of MP4, the segment of Matroska, RIFF chunks
of AVI, the last page of Ogg, frames of MP3. Other formats say it by their duration, or not at all.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from mmbench.errors import MediaError
from mmbench.media.regular_files import open_regular

BOXES = frozenset((b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"styp", b"moof", b"pnot", b"uuid"))
TAIL = 1 << 17  # bytes [at least two pages] in which the last page of an Ogg file lies
AGAIN = "copy or encode the file again, or leave it out"
MP3_RATES = (44100, 48000, 32000)  # [Hz] of MPEG-1; halved for MPEG-2, quartered for 2.5
MP3_KBITS = {  # [kbit/s] of layer III by index, which begins at 1
    3: (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    2: (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def check_extent(path: str | Path) -> bool:
    """Refuse a file that ends before it says it does.

    Returns:
        Whether the file says where it ends, so that all of it is there.

    Raises:
        MediaError: It is cut off, by how much, or still being written.
        OSError: It cannot be read.
    """
    with open_regular(path) as file:
        size = file.seek(0, 2)
        start = _at(file, 0, 12)
        if not size:
            raise MediaError(f"{path} is empty (0 bytes).", "a whole media file", AGAIN)
        end: int | None = None
        if start[4:8] in BOXES:
            end, names, is_open = _boxes_end(file, size)
            if (is_open or (end is not None and end <= size)) and not names & {b"moov", b"moof"}:
                found = f"{path} has no index (no moov box): it is cut off, or still being written."
                raise MediaError(found, "a whole MP4", AGAIN)
        elif start.startswith(b"\x1a\x45\xdf\xa3"):
            end = _segment_end(file)
        elif start.startswith(b"RIFF") and start[8:12] == b"AVI ":
            end = _riff_end(file, size)
        elif start.startswith(b"OggS"):
            end, last = _ogg_end(file, size)
            if not last:
                found = f"{path} ends early: after {size} bytes there is no page that is marked as the last."
                raise MediaError(found, "a whole Ogg file", AGAIN)
        elif start.startswith(b"ID3") or (len(start) > 1 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2):
            end = _mp3_end(file, size)
        if end is not None and end > size:
            raise MediaError(f"{path} is cut off: {size} of {end} bytes are there.", "a whole media file", AGAIN)
        return end is not None


def _at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _boxes_end(file: BinaryIO, size: int) -> tuple[int | None, set[bytes], bool]:
    """Where the last box of an MP4 ends, None where a box does not say it; their names; whether the last is open."""
    position = 0
    names: set[bytes] = set()
    while position + 8 <= size:
        length, name = struct.unpack(">I4s", _at(file, position, 8))
        if length == 1:
            wide = _at(file, position + 8, 8)
            length = int.from_bytes(wide) if len(wide) == 8 else 16
        if not name.isalnum():  # what lies behind the last box
            return position, names, False
        names.add(name)
        if length < 8:
            return None, names, length == 0
        position += length
    return position, names, False


def _segment_end(file: BinaryIO) -> int | None:
    """Where the segment of a Matroska file ends; None where that is not known, as in a stream."""
    head = _at(file, 0, 256)
    position = 4
    length, used = _ebml_number(head[position:])
    position += used + (length or 0)
    if head[position : position + 4] != b"\x18\x53\x80\x67":
        return None
    length, used = _ebml_number(head[position + 4 :])
    return None if length is None else position + 4 + used + length


def _ebml_number(data: bytes) -> tuple[int | None, int]:
    """A length of EBML and its bytes; None for an unknown one."""
    if not data or not data[0]:
        return None, 1
    used = 9 - data[0].bit_length()
    value = int.from_bytes(data[:used]) & ((1 << 7 * used) - 1)
    return (None if value == (1 << 7 * used) - 1 else value), used


def _riff_end(file: BinaryIO, size: int) -> int | None:
    """Where the last RIFF chunk of an AVI ends; None where its writer never came to say it."""
    position = 0
    while position + 8 <= size:
        name, length = struct.unpack("<4sI", _at(file, position, 8))
        if name != b"RIFF":  # what lies behind the last chunk
            return position
        if length in (0, 0xFFFFFFFF):
            return None
        position += 8 + length
    return position


def _ogg_end(file: BinaryIO, size: int) -> tuple[int | None, bool]:
    """Where the last page of an Ogg file ends, and whether it is marked as the last; unknown counts as such."""
    begin = max(0, size - TAIL)
    tail = _at(file, begin, TAIL)
    position = tail.rfind(b"OggS\0")
    if position < 0:
        return None, True
    head = tail[position : position + 27]
    if len(head) < 27 or len(lengths := tail[position + 27 : position + 27 + head[26]]) < head[26]:
        return begin + position + 27 + (head[26] if len(head) == 27 else 0) + 1, True
    return begin + position + 27 + head[26] + sum(lengths), bool(head[5] & 4)


def _mp3_end(file: BinaryIO, size: int) -> int | None:
    """Where the last frame of an MP3 ends, by its Xing header or from frame to frame; None where neither says it."""
    position, head = 0, _at(file, 0, 10)
    if head.startswith(b"ID3") and len(head) == 10:
        position = 10 + sum((byte & 127) << 7 * k for k, byte in enumerate(reversed(head[6:10])))
    first = _at(file, position, 192)
    tag = max(first.find(b"Xing"), first.find(b"Info"))
    if tag > 0 and len(first) >= tag + 16 and first[tag + 7] & 2:
        place = tag + (12 if first[tag + 7] & 1 else 8)
        told = int.from_bytes(first[place : place + 4])
        return size if told == size else position + told  # some writers count what lies before the first frame, too
    for length in _frames(file, position):
        position += length
    return position if position >= size or _at(file, position, 3) in (b"TAG", b"APE") else None


def _frames(file: BinaryIO, position: int) -> Iterator[int]:
    """Lengths in bytes of the MP3 frames that follow one another from a position."""
    while len(head := _at(file, position, 4)) == 4 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:
        version, index, rate = head[1] >> 3 & 3, head[2] >> 4, head[2] >> 2 & 3
        if version == 1 or index in (0, 15) or rate == 3:
            return
        hertz = MP3_RATES[rate] >> {3: 0, 2: 1, 0: 2}[version]
        kbits = MP3_KBITS[3 if version == 3 else 2][index - 1]
        length = (144000 if version == 3 else 72000) * kbits // hertz + (head[2] >> 1 & 1)
        yield length
        position += length

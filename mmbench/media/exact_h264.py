"""Whether H.264 is without loss, which its codec's name does not tell: the sequence parameter set says it."""

from __future__ import annotations

from collections.abc import Iterator

HIGH_444 = 244  # profile_idc of High 4:4:4 Predictive, the only one that can be without loss and is in common use


def is_exact_h264(extradata: bytes) -> bool:
    """Whether an H.264 stream bypasses its transform at quantiser 0 (ITU-T H.264, 7.3.2.1.1).

    x264 sets that flag for a constant quantiser of 0 alone, so that a stream which has it is without loss.

    Args:
        extradata: `avcC`, as in MP4 and Matroska; of anything else the answer is False.
    """
    if len(extradata) < 8 or extradata[0] != 1 or not extradata[5] & 31:
        return False
    length = int.from_bytes(extradata[6:8], "big")
    parameters = extradata[8 : 8 + length].replace(b"\0\0\3", b"\0\0")  # without emulation prevention
    if len(parameters) < 5 or parameters[1] != HIGH_444:
        return False
    bits = (byte >> k & 1 for byte in parameters[4:] for k in range(7, -1, -1))
    try:
        _read_unsigned(bits)  # id of the set
        if _read_unsigned(bits) == 3:  # 4:4:4
            next(bits)  # separate planes
        _read_unsigned(bits), _read_unsigned(bits)  # depths of luma and chroma
        return next(bits) == 1
    except StopIteration:
        return False


def _read_unsigned(bits: Iterator[int]) -> int:
    """An Exp-Golomb code, ue(v) of 9.1."""
    zeros = 0
    while not next(bits):
        zeros += 1
    value = 1
    for _ in range(zeros):
        value = value << 1 | next(bits)
    return value - 1

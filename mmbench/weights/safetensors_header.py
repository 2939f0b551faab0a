"""The header of a safetensors file, read strictly and within bounds before any tensor is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST_HEADER = 8 << 20  # [bytes]; that of the largest published model is below one megabyte
BITS = {  # of one element
    **{"F4": 4, "F6_E2M3": 6, "F6_E3M2": 6},
    **{"BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8},
    **{"U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32},
    **{"U64": 64, "I64": 64, "F64": 64, "C64": 64},
}


class HeaderError(ValueError):
    """A header contradicts the format, itself or its file; the text goes on after the file's name."""


@dataclass(frozen=True)
class Header:
    """What a safetensors file says of itself.

    Attributes:
        begin: Where its tensors begin [bytes].
        shapes: Shape of every tensor, by name.
        metadata: Texts of its writer.
    """

    begin: int
    shapes: dict[str, tuple[int, ...]]
    metadata: dict[str, str]


def read_header(path: Path) -> Header:
    """Read the header of a safetensors file and hold it to the format and to the file's size; no tensor is read.

    Raises:
        HeaderError: It is cut off, too long, no JSON, or tells of tensors that the file cannot hold so.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > LONGEST_HEADER and length <= size:
            raise HeaderError(f"has a header of {length:,} bytes, and the limit is {LONGEST_HEADER:,}")
        if size < 8 or length > size - 8:
            raise HeaderError(f"is no safetensors file, or cut off in its header ({size:,} bytes)")
        text = file.read(length)
    try:
        header = json.loads(text, object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        wrong = str(error) if isinstance(error, HeaderError) else "has a header that is no JSON object"
        raise HeaderError(wrong) from error
    if not isinstance(header, dict):
        raise HeaderError("has a header that is no JSON object")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError("has metadata that is no table of texts")
    shapes, spans = {}, []
    for name, entry in header.items():
        shape, begin, end = _read_entry(name, entry)
        shapes[name] = shape
        spans.append((begin, end, name))
    told = 8 + length + _end_of(sorted(spans))
    if told != size:
        raise HeaderError(f"has {size:,} bytes, and its header tells of {told:,}")
    return Header(8 + length, shapes, metadata)


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) != len(pairs):
        raise HeaderError("has a header that names one thing twice")
    return table


def _read_entry(name: str, entry: Any) -> tuple[tuple[int, ...], int, int]:
    """Shape, first byte and end of a tensor, counted from where the tensors begin."""
    wrong = HeaderError(f"has a header that describes the tensor {name[:80]!r} wrongly")
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise wrong
    bits, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(bits, str) or bits not in BITS or not _are_counts(shape) or not _are_counts(offsets):
        raise wrong
    if len(offsets) != 2 or math.prod(shape) * BITS[bits] != 8 * (offsets[1] - offsets[0]):
        raise wrong
    return tuple(shape), offsets[0], offsets[1]


def _are_counts(values: Any) -> bool:
    return (
        isinstance(values, list) and len(values) <= 64 and all(type(v) is int and 0 <= v < 2**63 for v in values)
    )  # bool is an int to isinstance


def _end_of(spans: Iterable[tuple[int, int, str]]) -> int:
    """Where the last tensor ends; tensors lie one after another."""
    end = 0
    for begin, after, name in spans:
        if begin != end:
            raise HeaderError(f"has a gap or an overlap before the tensor {name[:80]!r}")
        end = after
    return end

"""Safetensors files whose headers lie, and discriminators whose configs do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

ENTRY: dict[str, Any] = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
CONFIG: dict[str, Any] = {"design": "res_mlp", "video_channels": 3, "audio_channels": 1, "audio_ndim": 1}
DEEP = 100_000


def framed(text: bytes, data: bytes = bytes(8)) -> bytes:
    """A safetensors file with this header."""
    return len(text).to_bytes(8, "little") + text + data


def header(data: bytes = bytes(8), **entries: Any) -> bytes:
    """A safetensors file whose header holds these entries."""
    return framed(json.dumps(entries).encode(), data)


def changed(**changes: Any) -> bytes:
    """A safetensors file of one tensor, described with changes; None takes a key away."""
    return header(a={key: value for key, value in (ENTRY | changes).items() if value is not None})


def with_metadata(value: Any) -> bytes:
    """A safetensors file with this metadata."""
    return header(__metadata__=value, a=ENTRY)


def with_config(text: str) -> bytes:
    """A discriminator with this config."""
    return with_metadata({"config": text})


def two(first: list[int], second: list[int]) -> bytes:
    """A safetensors file of two tensors of two numbers that claim these bytes."""
    return header(bytes(16), a=ENTRY | {"data_offsets": first}, b=ENTRY | {"data_offsets": second})


def headers() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and what must be said of files with malformed headers."""
    yield "empty", b"", "is empty"
    yield "seven bytes", bytes(7), "cut off in its header"
    yield "only a length", (100).to_bytes(8, "little"), "cut off in its header"
    yield "length beyond the file", (10**6).to_bytes(8, "little") + b"{}", "cut off in its header"
    yield "length of 2^63", (2**63).to_bytes(8, "little") + b"{}", "cut off in its header"
    yield "length of 2^64 - 1", b"\xff" * 40, "cut off in its header"
    no_json = "a header that is no JSON object"
    for name, text in (
        *(("no JSON", b"{a: 1}"), ("no header", b""), ("half a header", b'{"a": {"dtype"'), ("a list", b"[1, 2]")),
        *(("a number", b"7"), ("null", b"null"), ("a text", b'"a"'), ("not UTF-8", b'{"\xff\xfe": 1}')),
        *(("deep lists", b"[" * DEEP), ("deep objects", b'{"a":' * DEEP), ("zeros", bytes(64))),
        *(("a pickle", b"\x80\x02}q\x00."), ("many digits", b'{"a": ' + b"9" * 9999 + b"}")),
    ):
        yield name, framed(text), no_json
    one = json.dumps(ENTRY)
    yield "a tensor twice", framed(f'{{"a": {one}, "a": {one}}}'.encode()), "names one thing twice"
    yield "a key twice", framed(f'{{"a": {{"dtype": "F64", {one[1:]}}}'.encode()), "names one thing twice"
    for name, value in (("a list", [1]), ("numbers", {"a": 1}), ("objects", {"a": {"b": "c"}}), ("a text", "x")):
        yield f"metadata of {name}", with_metadata(value), "metadata that is no table of texts"
    wrongly = "describes the tensor 'a' wrongly"
    for key in ENTRY:
        yield f"no {key}", changed(**{key: None}), wrongly
    for name, changes in {
        "an unknown key": {"more": 1},
        "an unknown dtype": {"dtype": "F33"},
        "a dtype that is a number": {"dtype": 7},
        "a dtype that is a list": {"dtype": ["F32"]},
        "a shape that is a text": {"shape": "2"},
        "a negative shape": {"shape": [-2]},
        "a shape of floats": {"shape": [2.0]},
        "a shape of booleans": {"shape": [True, 2]},
        "a shape of nan": {"shape": [float("nan")]},
        "a shape that overflows": {"shape": [2**62, 2**62]},
        "a shape of 2^64": {"shape": [2**64]},
        "a shape of many axes": {"shape": [1] * 100 + [2]},
        "a nested shape": {"shape": [[2]]},
        "offsets that go back": {"data_offsets": [8, 0]},
        "negative offsets": {"data_offsets": [-8, 0]},
        "one offset": {"data_offsets": [8]},
        "three offsets": {"data_offsets": [0, 4, 8]},
        "offsets of floats": {"data_offsets": [0.0, 8.0]},
        "offsets of texts": {"data_offsets": ["0", "8"]},
        "fewer bytes than its shape": {"data_offsets": [0, 4]},
        "more bytes than its shape": {"shape": [1]},
        "another width than its dtype": {"dtype": "F64"},
    }.items():
        yield f"a tensor with {name}", changed(**changes), wrongly
    for name, entry in (("a list", []), ("null", None), ("a text", "F32"), ("a number", 8)):
        yield f"a tensor that is {name}", header(a=entry), wrongly
    yield "a tensor beyond the file", changed(shape=[200], data_offsets=[0, 800]), "its header tells of"
    yield "a tensor of petabytes", changed(shape=[2**48], data_offsets=[0, 2**50]), "its header tells of"
    yield "bytes after the last tensor", header(bytes(99), a=ENTRY), "its header tells of"
    yield "half a tensor", header(bytes(4), a=ENTRY), "its header tells of"
    yield "tensors that overlap", two([0, 8], [4, 12]), "a gap or an overlap"
    yield "tensors at one place", two([0, 8], [0, 8]), "a gap or an overlap"
    yield "a gap between tensors", two([0, 8], [12, 20]), "a gap or an overlap"
    yield "a first tensor that begins late", changed(data_offsets=[8, 16]), "a gap or an overlap"
    yield "a control character in a name", header(**{"\x1b[2J\n": {}}), r"the tensor '\x1b[2J\n' wrongly"
    yield "half a character in a name", framed(b'{"\\ud800": {}}'), r"the tensor '\ud800' wrongly"
    yield "a pointer of Git LFS", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"


def configs() -> Iterator[tuple[str, bytes, str]]:
    """Name, content and what must be said of discriminators whose config is none."""
    for name, text in (
        *(("no JSON", "{"), ("a list", "[1]"), ("a number", "5"), ("null", "null"), ("deep", "[" * DEEP)),
        *(("nothing", "{}"), ("an unknown key", json.dumps(CONFIG | {"code": "import os"}))),
        ("an unknown design", json.dumps(CONFIG | {"design": "../../etc/passwd"})),
        ("an unknown pairing", json.dumps(CONFIG | {"pairing": ["index"]})),
        ("a billion layers", json.dumps(CONFIG | {"num_blocks": 10**9})),
        ("a billion fused layers", json.dumps(CONFIG | {"fusion_layers": 10**9})),
        ("a million levels", json.dumps(CONFIG | {"channel_mult": [1] * 10**5})),
        ("a width of 10^30", json.dumps(CONFIG | {"channels": 10**30})),
        ("an infinite width", json.dumps(CONFIG | {"channels": float("inf")})),
        ("an object for a width", json.dumps(CONFIG | {"channels": {"a": 1}})),
        ("layers of text", json.dumps(CONFIG | {"num_blocks": "4"})),
        ("a width of text", json.dumps(CONFIG | {"channels": "wide"})),
        ("no width", json.dumps(CONFIG | {"channels": 0})),
        ("no pool", json.dumps(CONFIG | {"audio_pool": 0})),
    ):
        yield f"config: {name}", with_config(text), "holds a config that is none"
    yield "config: of other tensors", with_config(json.dumps(CONFIG)), "does not fit the discriminator"

"""The checksums of FFV1 and FLAC, and the digest of our own clips, are looked at in anybody's files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MediaError
from mmbench.media.clip_files import write_lossless
from mmbench.media.decode import decode
from mmbench.media.ffv1_checksums import SliceChecksums, check_slices
from mmbench.types import Clip
from tests.chaos.pieces import ffv1, flip, ours, packets, picture, raw_video, replaced


def frames(data: bytes) -> list[bytes]:
    return [data[position : position + size] for position, size in packets(data, "video")]


def test_whole_frames_have_their_checksums() -> None:
    for frame in frames(ffv1()):
        assert check_slices(frame) == (4, True)
    without = raw_video("mkv", "ffv1", "bgr0", {"level": "3", "slices": "4", "slicecrc": "0"})
    sums = SliceChecksums()
    for frame in frames(without):
        sums.add(frame)
    assert sums.num_damaged == 0


def test_every_flipped_bit_shows() -> None:
    frame = frames(ffv1())[2]
    for position in range(0, len(frame), 7):
        for bit in range(8):
            data = bytearray(frame)
            data[position] ^= 1 << bit
            assert not check_slices(bytes(data))[1]


@pytest.mark.parametrize("kind", ["video", "audio"])
@pytest.mark.parametrize("data", [ffv1, ours])
def test_no_flipped_bit_is_scored(tmp_path: Path, data: object, kind: str) -> None:
    rng, path, made = np.random.default_rng(0), tmp_path / "a.mkv", data()  # type: ignore[operator]
    number = len(packets(made, kind))
    for _ in range(30):
        path.write_bytes(flip(made, kind, int(rng.integers(number)), rng.uniform(0.02, 0.98), 1 << rng.integers(8)))
        with pytest.raises(MediaError, match="is damaged"):
            decode(path)


def test_a_clip_of_ours_that_was_changed_is_refused_until_its_tag_goes(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    path.write_bytes(ours())
    decode(path)
    digest = ours().index(b'"digest": "') + len('"digest": "')
    path.write_bytes(ours()[:digest] + (b"0" if ours()[digest : digest + 1] != b"0" else b"1") + ours()[digest + 1 :])
    with pytest.raises(MediaError, match="its pixels and samples are not those that its tag MMBENCH announces"):
        decode(path)
    path.write_bytes(replaced(ours(), b"MMBENCH", b"mmBENCH"))
    assert np.array_equal(decode(path).video, picture())


@pytest.mark.parametrize("samples", [0, 12800])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_whole_clips_of_ours_keep_their_digest(tmp_path: Path, samples: int, rate: int) -> None:
    clip = Clip(picture(), 12.5, np.linspace(-1, 1, samples, dtype=np.float32), rate)
    write_lossless(clip, tmp_path / "a.mkv")
    assert decode(tmp_path / "a.mkv").video_digest() == clip.video_digest()

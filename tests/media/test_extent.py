"""A file that ends before it says it does is refused with how much of it is there; others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MediaError
from mmbench.media.decode import decode
from mmbench.media.extent import check_extent
from tests.chaos.medium import SOUNDS, WHOLE
from tests.chaos.pieces import encoded, wav
from tests.media_files import clicks, flashes, write_media

SIZED = {**WHOLE, **{k: v for k, v in SOUNDS.items() if Path(k).suffix in (".mp3", ".ogg", ".opus", ".m4a")}}


@pytest.mark.parametrize("name", SIZED)
def test_one_byte_less_is_told_with_both_lengths(tmp_path: Path, name: str) -> None:
    data = SIZED[name]()
    path = tmp_path / name
    path.write_bytes(data)
    check_extent(path)
    path.write_bytes(data[:-1])
    with pytest.raises(MediaError, match=rf"is cut off: {len(data) - 1} of \d+ bytes are there"):
        check_extent(path)


@pytest.mark.parametrize("part", [0.5, 0.75, 0.9, 0.95])
@pytest.mark.parametrize("name", ["lame.mp3", "bare.mp3", "opus.ogg", "native.opus", "mp3.avi"])
def test_what_was_shortened_in_silence_is_refused(tmp_path: Path, name: str, part: float) -> None:
    data = SIZED[name]()
    (tmp_path / name).write_bytes(data[: int(part * len(data))])
    video = write_media(tmp_path / "v.mp4", flashes(8))
    with pytest.raises(MediaError, match=r"is cut off|ends early"):
        decode(tmp_path / name) if name.endswith("avi") else decode(video, tmp_path / name)


def test_an_ogg_file_that_ends_with_a_page_that_is_not_the_last(tmp_path: Path) -> None:
    data = encoded("ogg", audio="libopus", rate=48000)
    path = tmp_path / "a.ogg"
    path.write_bytes(data[: data.rindex(b"OggS")])
    with pytest.raises(MediaError, match="no page that is marked as the last"):
        check_extent(path)


def test_an_mp4_that_is_being_written_has_no_index(tmp_path: Path) -> None:
    data = encoded("mp4", "libx264", "aac")
    path = tmp_path / "a.mp4"
    for written in (data[: data.index(b"mdat") - 4], data[: data.index(b"mdat") - 4] + b"\0\0\0\0mdat" + bytes(5000)):
        path.write_bytes(written)
        with pytest.raises(MediaError, match="still being written"):
            check_extent(path)


@pytest.mark.parametrize(
    "data",
    [
        lambda: encoded("mp4", "libx264", "aac") + b"\xff" * 100,
        lambda: encoded("mkv", "libx264", "aac") + bytes(100),
        lambda: SOUNDS["bare.mp3"]() + b"TAG" + bytes(125),
        lambda: SOUNDS["lame.mp3"]() + b"APETAGEX" + bytes(100),
        lambda: SOUNDS["bare.mp3"]() + b"no frame",
        lambda: wav(clicks([0.1], 0.8, 16000)),
        lambda: b"RIFF\0\0\0\0AVI LIST",
        lambda: b"a text",
        lambda: b"\x1a\x45\xdf\xa3",
    ],
)
def test_more_than_there_must_be_is_no_fault(tmp_path: Path, data: Callable[[], bytes]) -> None:
    (tmp_path / "a").write_bytes(data())
    check_extent(tmp_path / "a")


def test_valid_files_that_look_early(tmp_path: Path) -> None:
    """Uneven frames with frames out of order, and AAC that begins late: their last packets end before the file does."""
    rng = np.random.default_rng(1)
    stamps = np.round(np.cumsum([0, *rng.uniform(0.02, 0.2, 19)]), 3).tolist()
    pictures = rng.integers(0, 256, (20, 6, 8, 3), dtype=np.uint8).repeat(8, axis=1).repeat(8, axis=2)
    assert decode(write_media(tmp_path / "a.mp4", pictures, stamps=stamps)).notes["video"]["frames"] == 20
    for rate in (16000, 44100, 48000):
        for late in (0.1, 0.3, 0.5):
            sound = clicks([0.3], 0.8, rate)
            path = write_media(tmp_path / "b.mkv", flashes(16), sound, rate=rate, sound_start=late)
            assert len(decode(path).audio) >= (late + 0.8) * rate - 1

"""What is too large is refused before it is decoded, with the option and the variable that raise the limit."""

from __future__ import annotations

import gc
import re
import subprocess
import sys
import weakref
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import MediaError, UsageError
from mmbench.media import limits
from mmbench.media.decode import decode, probe
from mmbench.media.limits import LIMITS, Bounds, is_of_limit, read_limit, set_limits
from mmbench.media.watchdog import run_watched
from tests.chaos.pieces import raw_video
from tests.commands import environment
from tests.media_files import clicks, flashes, write_media


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_media(tmp_path / "a.mkv", flashes(8), clicks([0.3], 0.8, 16000), audio_codec="flac")


@pytest.mark.parametrize(
    ("name", "value"),
    [("pixels", 3071), ("seconds", 0.5), ("packets", 7), ("fps", 9), ("sample_rate", 15999), ("decoding", 1e-9)],
)
def test_each_limit_is_kept_when_a_file_is_listed_and_decoded(
    clip: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: float
) -> None:
    decode(clip)
    assert not is_of_limit(f"{clip} is cut off.")
    monkeypatch.setenv(LIMITS[name].variable, str(value))
    for read in (probe, decode):
        with pytest.raises(MediaError) as caught:
            read(clip)
        assert f" or {LIMITS[name].variable} raises that." in caught.value.found
        assert f"more than {limits._number(value)}" in caught.value.found
        assert is_of_limit(caught.value.found)
        option, text = re.findall(r"--limit (\S+=([\d.e-]+))", caught.value.next)[0]
        if name != "decoding":
            assert float(text) >= 2 * value
            with set_limits([option]):
                read(clip)
        assert read_limit(name) == value


@pytest.mark.parametrize("codec", ["png", "qtrle"])
def test_no_codec_decodes_what_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: str) -> None:
    path = tmp_path / "a.mov"
    path.write_bytes(raw_video("mov", codec, "rgb24"))
    assert len(decode(path).video) == 8
    monkeypatch.setenv("MMBENCH_MAX_PIXELS", "3071")
    for read in (probe, decode):
        with pytest.raises(MediaError, match=r"more than 3071 .*MMBENCH_MAX_PIXELS raises that"):
            read(path)


def test_no_more_than_the_limit_is_held(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = 48 * 64 * 3
    monkeypatch.setenv("MMBENCH_MAX_DECODED_GIB", str((8 * one + 4 * 12800) / 2**30))
    assert len(decode(clip).video) == 8
    for most in (8 * one, 4 * 12800 - 4):  # pictures alone would fit; the sound alone would not
        monkeypatch.setenv("MMBENCH_MAX_DECODED_GIB", str(most / 2**30))
        with pytest.raises(MediaError, match="MMBENCH_MAX_DECODED_GIB"):
            decode(clip)


def test_repeated_frames_of_a_slow_clock_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stamps = [0.0, 0.1, 0.2, 30.0]
    path = write_media(tmp_path / "a.mkv", flashes(4), None, stamps=stamps)
    assert len(decode(path).video) > 250
    monkeypatch.setenv("MMBENCH_MAX_DECODED_GIB", str(48 * 64 * 3 * 100 / 2**30))
    with pytest.raises(MediaError, match="MMBENCH_MAX_DECODED_GIB"):
        decode(path)


@pytest.mark.parametrize("seconds", [2000.0, 3500.0])
def test_a_long_gap_within_the_limit_is_looked_at_quickly(tmp_path: Path, seconds: float) -> None:
    path = write_media(tmp_path / "a.mkv", flashes(4), None, stamps=[0.0, 0.001, 0.002, seconds])
    report = probe(path)
    assert report["video"]["frames"] == pytest.approx(1000 * seconds, rel=0.01)


def test_frames_hours_apart_have_a_rate(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mkv", flashes(2), None, stamps=[0.0, 3000.0])
    assert len(decode(path).video) == 2


def test_time_that_passes_is_seen_between_packets(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = count(0.0, 100.0)
    monkeypatch.setattr(limits.time, "monotonic", lambda: next(clock))
    with pytest.raises(MediaError, match="of decoding, more than 600; --limit decoding=1200 or MMBENCH_MAX_DECODE_"):
        decode(clip)


HANGING = """
import sys, time
from pathlib import Path
from mmbench.errors import MediaError
from mmbench.media import decode, demux
decode.set_up_decoder = demux._decode = lambda *a, **k: time.sleep(600)  # in C, without the interpreter's lock
for read in (decode.probe, decode.decode):
    try:
        read(Path(sys.argv[1]))
    except MediaError as error:
        print(error.found)
"""


def test_a_decoder_that_hangs_within_a_packet_is_given_up_and_keeps_no_process_from_ending(clip: Path) -> None:
    limited = environment(**{LIMITS["decoding"].variable: "0.2"})
    command = [sys.executable, "-c", HANGING, str(clip)]
    done = subprocess.run(command, env=limited, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.count("of decoding, more than 0.2; --limit decoding=") == 2
    assert done.stderr.count("does not come back") == 2


def test_what_a_decoder_raises_is_raised_and_keeps_nothing_alive(clip: Path) -> None:
    class Pixels:
        """What was decoded before the fault."""

    kept: list[weakref.ref[Pixels]] = []

    def work() -> None:
        pixels = Pixels()
        kept.append(weakref.ref(pixels))
        raise MediaError("it is damaged")

    with pytest.raises(MediaError, match="it is damaged"):
        run_watched(work, Bounds(clip))
    gc.disable()
    try:
        with suppress(MediaError):
            run_watched(work, Bounds(clip))
        assert kept[1]() is None
    finally:
        gc.enable()


@pytest.mark.parametrize("text", ["many", "-1", "0", "nan", "inf"])
def test_a_limit_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("MMBENCH_MAX_PIXELS", text)
    with pytest.raises(UsageError, match="MMBENCH_MAX_PIXELS"):
        read_limit("pixels")


def test_a_limit_can_be_raised_without_end(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for limit in LIMITS.values():
        monkeypatch.setenv(limit.variable, "1e9")
    assert np.array_equal(decode(clip).video, decode(clip).video)
    Bounds(clip).check("seconds", 1e8)

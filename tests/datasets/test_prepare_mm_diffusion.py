"""Landscape and AIST++ made ready: the very clips of the videos, read in part; what is stale or damaged is not used."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.datasets import mm_diffusion as mm_diffusion_data
from mmbench.datasets.copies.conformed import INDEX, PREPARED, Entry
from mmbench.datasets.copies.cut_anywhere import cut
from mmbench.datasets.copies.prepare import prepare_videos
from mmbench.datasets.copies.prepared_video import BLOCK, pack, unpack
from mmbench.datasets.mm_diffusion import MMDiffusionData
from mmbench.errors import IntegrityError, MediaError
from mmbench.media import decode, sources
from mmbench.media.decode import Recording
from mmbench.media.timeline import AudioTimeline
from mmbench.registry import make_dataset
from mmbench.types import Clip, Request
from mmbench.weights import file_digests as digests
from tests.commands import mmbench_here
from tests.media_files import flashes, write_media

LOSSLESS = {"video_codec": "ffv1", "audio_codec": "flac"}


def noise(seconds: float, rate: int, channels: int = 1) -> np.ndarray:
    drawn = np.random.default_rng(0).uniform(-0.7, 0.7, (channels, round(seconds * rate))).astype(np.float32)
    return drawn if channels > 1 else drawn[0]


def opened(root: Path, name: str = "landscape_ind") -> MMDiffusionData:
    dataset: MMDiffusionData = make_dataset(f"{name}:{root}")
    return dataset


def make(root: Path) -> dict[str, Entry]:
    copy = opened(root)
    entries = prepare_videos(root, copy.videos, copy.preparation, workers=1, quiet=True)
    return {entry.file: entry for entry in entries}


def refuse(*_: Any, **__: Any) -> Any:
    raise AssertionError("a video was read")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "landscape"
    for part, levels in {"train/nature": 3, "test": 2}.items():
        (root / part).mkdir(parents=True)
        for i in range(levels):
            write_media(root / part / f"{i}.mkv", flashes(60 + i, 32, 48), noise(2.4, 16000), fps=25, **LOSSLESS)
    write_media(root / "train" / "short.mkv", flashes(12), noise(1.2, 16000), **LOSSLESS)
    write_media(root / "train" / "silent.mkv", flashes(20), **LOSSLESS)
    return root


@pytest.fixture
def root(copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    return Path(shutil.copytree(copied, tmp_path / "copy"))


# the same clips


def with_gap(path: Path) -> None:
    """Sound that jumps: what was between 1.0 s and 1.4 s of a sound is gone, the time stamps stay."""
    import av

    whole = write_media(path.with_name("whole.mkv"), flashes(30), noise(3.0, 16000), **LOSSLESS)
    with av.open(str(whole)) as source, av.open(str(path), "w") as target:
        tracks = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            if packet.dts is None or (
                packet.stream.type == "audio" and 1.0 <= float(packet.pts * packet.time_base) < 1.4
            ):
                continue
            packet.stream = tracks[packet.stream.index]
            target.mux(packet)
    whole.unlink()


KINDS: dict[str, Callable[[Path], Any]] = {
    "10 fps.mkv": lambda p: write_media(p, flashes(30), noise(3.0, 16000), **LOSSLESS),
    "25 fps, 44.1 kHz stereo.mkv": lambda p: write_media(
        p, flashes(75), noise(3.0, 44100, 2), fps=25, rate=44100, **LOSSLESS
    ),
    "30 fps.mp4": lambda p: write_media(p, flashes(85), noise(2.8, 44100, 2), fps=30, rate=44100),
    "60 fps.mp4": lambda p: write_media(p, flashes(150), noise(2.5, 48000), fps=60, rate=48000),
    "5 fps.mkv": lambda p: write_media(p, flashes(11), noise(2.2, 16000), fps=5, **LOSSLESS),
    "variable rate.mkv": lambda p: write_media(
        p, flashes(25), noise(2.5, 16000), stamps=list(np.cumsum([0.3, *([0.05, 0.12, 0.08, 0.15] * 6)])), **LOSSLESS
    ),
    "late sound.mkv": lambda p: write_media(p, flashes(75), noise(2.2, 16000), fps=25, sound_start=0.8, **LOSSLESS),
    "early end.mkv": lambda p: write_media(p, flashes(75), noise(1.2, 44100), fps=25, rate=44100, **LOSSLESS),
    "gap.mkv": with_gap,
}


@pytest.mark.parametrize("kind", KINDS)
def test_clips_are_those_of_the_video(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "train" / kind
    path.parent.mkdir()
    KINDS[kind](path)
    entry = make(tmp_path)[f"train/{kind}"]
    assert entry.status == "ok"
    part = opened(tmp_path).train
    count = part.starts[kind]
    assert count > 1
    for start in sorted({0, 1, count // 2, count - 1}):
        ready, direct = part.item(kind, start).clip, cut(path, start)
        assert ready.video.tobytes() == direct.video.tobytes()
        assert ready.audio.tobytes() == direct.audio.tobytes()
        assert (ready.fps, ready.sample_rate, ready.notes) == (direct.fps, direct.sample_rate, direct.notes)
    beyond = entry.notes["pictures"] - 15
    for late in (lambda: part.item(kind, beyond), lambda: cut(path, beyond)):
        with pytest.raises(MediaError, match=f"no clip at tick {beyond}"):
            late()
    said = " ".join(cut(path, 0).notes["steps"] + cut(path, count - 1).notes["steps"])
    told = {"variable": "variable frame rate", "late": "samples without sound", "early": "silence at the end"}
    assert told.get(kind.split()[0].removesuffix(".mkv"), "") in said


def test_any_time_line_comes_back(tmp_path: Path) -> None:
    """Gaps, overlaps, stamps coarser than samples, samples beyond full scale; windows that reach beyond the sound."""
    draw = np.random.default_rng(1)
    for case in range(20):
        lengths = draw.integers(1, 3 * BLOCK, 3)
        parts = [draw.standard_normal(n).astype(np.float32) for n in lengths]
        starts = sorted(Fraction(int(k), 1000) for k in draw.integers(-500, 2000, 3))
        base = Fraction(1, 1000) if case % 2 else Fraction(1, 8000)
        sound = AudioTimeline(8000, base, list(zip(starts, parts, strict=True)), int(lengths.sum()))
        film = np.arange(40, dtype=np.uint8).reshape(40, 1, 1, 1).repeat(3, 3)
        whole = Recording(film, Fraction(20), Fraction(1, 3), sound, {"steps": [], "video": {}, "audio": {}})
        data, notes = pack(whole, range(0, 40, 2), "0" * 64)
        path = tmp_path / f"{case}.safetensors"
        path.write_bytes(data)
        notes = json.loads(json.dumps(notes))
        for first, num in ((0, 40), (3, 20), (39, 32), (25, 1)):
            back = unpack(path, notes, "0" * 64, first // 2, 1, "")
            assert back.video.tolist() == [[[[first // 2 * 2] * 3]]]
            a, b = back.clip(first, num), whole.clip(first, num)
            assert a.audio.tobytes() == b.audio.tobytes()
            assert a.notes == b.notes


# a copy and its index


@pytest.mark.e2e
def test_the_commands_make_a_copy_ready_once(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def command(verb: str, *options: str) -> Any:
        result = mmbench_here(capsys, "data", verb, "landscape_ind", "--root", root, "--format", "json", *options)
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout)

    def all_of(dataset: MMDiffusionData) -> list[tuple[str, str]]:
        request = Request(dataset.prompts(1, 0)[0], 0, 0)
        items = [*dataset.reference(7, 3), *(dataset.real(request, f"draw {k}") for k in range(5))]
        return [(item.id, item.clip.digest()) for item in items]

    raw = opened(root)
    spec, clips = raw.spec(), all_of(raw)
    checked = command("check")
    assert not (root / PREPARED).exists()
    assert command("prepare", "--workers", "2") == checked
    assert {(row["file"], row["status"]) for row in checked} == {
        ("train/short.mkv", "too short"),
        ("train/silent.mkv", "no sound"),
    }
    made = {path: path.stat().st_mtime_ns for path in (root / PREPARED).rglob("*.safetensors")}
    folder = root / PREPARED / "landscape_ind"
    assert set(made) == {
        folder / f"{video}.safetensors" for video in raw.videos if Path(video).stem not in ("short", "silent")
    }
    shutil.rmtree(Path(os.environ["MMBENCH_HOME"]))

    assert command("prepare") == command("check") == checked
    assert {path: path.stat().st_mtime_ns for path in made} == made
    for module, name in ((decode, "record"), (decode, "probe"), (sources, "_sha256"), (digests, "hash_files")):
        monkeypatch.setattr(module, name, refuse)
    sources._probed.cache_clear()
    ready = opened(root)
    assert ready.spec() == spec
    assert all_of(ready) == clips
    assert ready.videos == raw.videos


def test_an_interrupted_preparation_goes_on(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    whole = mm_diffusion_data.make_ready

    def counted(path: Path) -> Any:
        if len(done) == stop_after:
            raise KeyboardInterrupt
        done.append(path.name)
        return whole(path)

    monkeypatch.setattr(mm_diffusion_data, "make_ready", counted)
    stop_after = 2
    with pytest.raises(KeyboardInterrupt):
        make(root)
    folder = root / PREPARED / "landscape_ind"
    assert not (folder / INDEX).exists()
    assert not opened(root).train.current  # half an index is none
    stop_after = 99
    entries = make(root)
    assert make(root) == entries
    assert sorted(done) == ["0.mkv", "0.mkv", "1.mkv", "1.mkv", "2.mkv"]  # none twice
    assert opened(root).preparation.entries(root) == [entries[file] for file in sorted(opened(root).videos)]
    assert not (folder / f"{INDEX}.part").exists()


def test_a_full_disk_and_a_copy_that_cannot_be_written_to_are_said(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    prepare_it = ["data", "prepare", "aistpp", "--root", root, "--workers", "1"]
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        result = mmbench_here(capsys, *prepare_it)
    assert result.returncode == 3
    assert "No space left" in result.stderr
    shutil.rmtree(root / PREPARED)
    (root / PREPARED).write_text("in the way")
    result = mmbench_here(capsys, *prepare_it)
    assert result.returncode == 1
    assert f"{PREPARED}/aistpp cannot be made" in result.stderr


def test_what_changed_is_read_as_it_is_now(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    entries = make(root)
    video = root / "test" / "0.mkv"
    write_media(video, 255 - flashes(60, 32, 48), noise(2.4, 16000), fps=25, **LOSSLESS)
    write_media(root / "test" / "new.mkv", flashes(60, 32, 48), noise(2.4, 16000), fps=25, **LOSSLESS)
    dataset = opened(root)
    assert sorted(dataset.test.starts) == ["0.mkv", "1.mkv", "new.mkv"]
    assert list(dataset.test.current) == ["1.mkv"]
    assert dataset.test.item("0.mkv", 2).clip.digest() == cut(video, 2).digest()
    assert "2 of 3 videos" in caplog.text
    assert "mmbench data prepare landscape_ind" in caplog.text
    shutil.rmtree(root / PREPARED)
    assert opened(root).spec() == dataset.spec()

    again = make(root)
    assert again["test/0.mkv"].sha256 != entries["test/0.mkv"].sha256
    assert list(opened(root).test.current) == ["0.mkv", "1.mkv", "new.mkv"]
    video.unlink()
    assert sorted(opened(root).test.starts) == ["1.mkv", "new.mkv"]


def test_the_same_contents_at_another_time_are_still_ready(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root)
    for video in (root / "train").rglob("*.mkv"):
        os.utime(video, (1, 1))
    dataset = opened(root)
    monkeypatch.setattr(decode, "record", refuse)
    assert len(list(dataset.reference(None, 0))) == 3


def test_damage_within_changes_no_choice(root: Path) -> None:
    path = root / "train" / "0.mp4"
    pixels = np.random.default_rng(0).integers(0, 256, (24, 48, 64, 3), dtype=np.uint8)
    data = bytearray(write_media(path, pixels, noise(2.4, 16000)).read_bytes())
    begin = data.index(b"mdat") + 20000
    data[begin : begin + 20000] = b"\xff" * 20000
    path.write_bytes(data)
    raw = opened(root)
    starts, spec = raw.train.starts, raw.spec()
    assert "0.mp4" in starts
    entry = make(root)["train/0.mp4"]
    assert (entry.status, entry.clip) == ("corrupt", "")
    assert entry.reason
    assert str(root) not in entry.reason
    ready = opened(root)
    assert (ready.train.starts, ready.spec()) == (starts, spec)
    for dataset in (raw, ready):
        with pytest.raises(MediaError, match=r"0\.mp4"):
            dataset.train.item("0.mp4", 0)


def cut_off(data: bytearray, other: bytes) -> bytes:
    return bytes(data[:-1])


def flipped(near: float) -> Callable[[bytearray, bytes], bytes]:
    def flip(data: bytearray, other: bytes) -> bytes:
        data[int(near * len(data))] ^= 1
        return bytes(data)

    return flip


DAMAGE: dict[str, Callable[[bytearray, bytes], bytes]] = {
    "cut off": cut_off,
    "empty": lambda data, other: b"",
    "header": flipped(0.0),
    "a": flipped(0.25),
    "b": flipped(0.75),
    "of another video": lambda data, other: other,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_files_are_named_with_what_to_type(root: Path, damage: str, capsys: pytest.CaptureFixture[str]) -> None:
    entries = make(root)
    made = root / PREPARED / "landscape_ind" / entries["test/0.mkv"].clip
    other = root / PREPARED / "landscape_ind" / entries["test/1.mkv"].clip
    dataset = opened(root)
    good = dataset.test.item("0.mkv", 0).clip
    made.write_bytes(DAMAGE[damage](bytearray(made.read_bytes()), other.read_bytes()))
    with pytest.raises(IntegrityError) as error:
        [dataset.test.item("0.mkv", start) for start in range(dataset.test.starts["0.mkv"])]
    assert str(made) in error.value.found
    assert error.value.next == f"rm {made}; mmbench data prepare landscape_ind --root {root}"
    made.unlink()
    assert opened(root).test.item("0.mkv", 0).clip.digest() == good.digest()
    assert make(root) == entries
    assert opened(root).test.item("0.mkv", 0).clip.digest() == good.digest()


def test_two_datasets_may_share_a_copy(root: Path) -> None:
    make(root)
    ours = opened(root).spec()
    other: Any = make_dataset(f"landscape:{root}")
    assert not [path for path in other.videos.values() if PREPARED in path]
    entries = prepare_videos(root, other.videos, other.preparation, workers=1, quiet=True)
    assert {entry.status for entry in entries} == {"ok", "too short", "no sound"}
    assert opened(root).spec() == ours
    assert opened(root, "aistpp").train.current == {}
    assert isinstance(opened(root).train.item("nature/0.mkv", 0).clip, Clip)

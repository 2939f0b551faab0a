"""Anybody's samples: folders, pairs, one long video cut by its time stamps; what cannot be used is listed."""

from __future__ import annotations

import hashlib
import json
import pickle
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest
from safetensors import safe_open

from mmbench.errors import MediaError, MMBenchError, UsageError
from mmbench.media import sources
from mmbench.media.sources import CutSource, FileSource, natural_key, submission, submission_digest
from mmbench.types import ClipSource
from tests.media_files import clicks, flashes, onset, write_media


def write_clip(path: Path, click: float = 0.3) -> Path:
    return write_media(path, flashes(8), clicks([click], 0.8, 16000))


def test_a_folder_of_videos_in_natural_order(tmp_path: Path) -> None:
    for name in ("clip10.mp4", "clip2.mp4", "clip1.mov"):
        write_clip(tmp_path / name)
    (tmp_path / "README.md").write_text("about")
    (tmp_path / ".hidden.mp4").write_bytes(b"")
    (tmp_path / "broken.mp4").write_text("no video")
    write_media(tmp_path / "sound only.mp4", None, clicks([0.1], 0.8, 16000))
    found, rejected = submission(tmp_path)
    assert [s.id for s in found] == ["clip1", "clip2", "clip10"]
    assert all(isinstance(s, ClipSource) for s in found)
    assert [Path(r.path).name for r in rejected] == ["broken.mp4", "sound only.mp4"]
    assert "cannot be read" in rejected[0].reason
    assert "no video" in rejected[1].reason
    clip = pickle.loads(pickle.dumps(found[0])).load()
    assert clip.video.shape == (8, 48, 64, 3)
    assert onset(clip.audio, 16000) == pytest.approx(0.3, abs=0.005)


def test_pairs_of_one_stem(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.mp4", click=0.1)
    write_media(tmp_path / "a.wav", None, clicks([0.5], 0.8, 16000), audio_codec="pcm_s16le")
    write_clip(tmp_path / "b.mp4", click=0.1)
    write_media(tmp_path / "c.wav", None, clicks([0.5], 0.8, 16000), audio_codec="pcm_s16le")
    write_clip(tmp_path / "d.mp4")
    write_clip(tmp_path / "d.mkv")
    found, rejected = submission(tmp_path)
    assert [(s.id, onset(s.load().audio, 16000)) for s in found] == [
        ("a", pytest.approx(0.5, abs=0.001)),
        ("b", pytest.approx(0.1, abs=0.005)),
    ]
    reasons = {Path(r.path).name: r.reason for r in rejected}
    assert reasons.keys() == {"c.wav", "d.mp4", "d.mkv"}
    assert "without a video" in reasons["c.wav"]
    assert "which" in reasons["d.mp4"]


def test_one_file_is_one_clip(tmp_path: Path) -> None:
    found, rejected = submission(write_clip(tmp_path / "a.mp4"))
    assert ([s.id for s in found], rejected) == (["a"], [])


def test_an_ordinary_long_video_is_cut_continuously(tmp_path: Path) -> None:
    video, audio = flashes(27), clicks([0.35, 1.15, 1.95], 2.7, 16000)
    path = write_media(tmp_path / "long.mp4", video, audio)
    found, rejected = submission(path, clip_frames=8)
    assert [s.id for s in found] == ["long-0000", "long-0001", "long-0002"]
    assert "last 3 frames" in rejected[0].reason
    clips = [s.load() for s in found]
    whole = FileSource("long", str(path)).load()
    for k, clip in enumerate(clips):
        assert np.array_equal(clip.video, whole.video[8 * k : 8 * k + 8])
        assert onset(clip.audio, 16000) == pytest.approx(0.35, abs=0.005)
    assert np.array_equal(np.concatenate([c.audio for c in clips]), whole.audio[: 3 * 12800])
    overlapping, _ = submission(path, clip_frames=8, clip_stride=3)
    assert len(overlapping) == 7
    assert np.array_equal(overlapping[1].load().video, whole.video[3:11])
    with pytest.raises(MediaError, match="before clip"):
        CutSource("late", str(path), 24, 8).load()


def test_a_long_video_is_decoded_once_whatever_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmbench.media import decode

    path = write_media(tmp_path / "long.mp4", flashes(40), clicks([0.3], 4.0, 16000))
    found, _ = submission(path, clip_frames=8)
    calls = []
    real = decode.record
    monkeypatch.setattr(decode, "record", lambda *a: calls.append(a) or real(*a))
    for source in [*found, *reversed(found)]:
        source.load()
    assert len(calls) == 1
    write_media(path, flashes(41), clicks([0.3], 4.1, 16000))  # a changed file is another file
    found[0].load()
    assert len(calls) == 2


def test_a_long_video_is_decoded_once_by_two_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mmbench.media import decode

    found, _ = submission(write_media(tmp_path / "long.mp4", flashes(16), clicks([0.3], 1.6, 16000)), clip_frames=8)
    real, calls, both = decode.record, [], Barrier(2)

    def slow(*given: str) -> decode.Recording:
        calls.append(given)
        time.sleep(0.1)
        return real(*given)

    def load(source: sources.Source) -> int:
        both.wait(10)
        return len(source.load().video)

    monkeypatch.setattr(decode, "record", slow)
    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(load, found)) == [8, 8]
    assert len(calls) == 1


def test_digests_follow_contents_and_cuts_not_names(tmp_path: Path) -> None:
    a, b = write_clip(tmp_path / "a.mp4"), write_clip(tmp_path / "b.mp4", click=0.4)
    (tmp_path / "copy.mp4").write_bytes(a.read_bytes())
    one, other, copy = (FileSource("x", str(p)).digest for p in (a, b, tmp_path / "copy.mp4"))
    assert one == copy != other
    assert FileSource("x", str(a), str(b)).digest not in (one, other)
    assert CutSource("x", str(a), 0, 4).digest != CutSource("x", str(a), 1, 4).digest
    first = submission_digest(submission(tmp_path)[0])
    a.write_bytes(b.read_bytes())
    assert submission_digest(submission(tmp_path)[0]) != first
    with pytest.raises(MediaError):
        FileSource("x", str(tmp_path / "none.mp4")).load()


def test_wrong_arguments_say_what_to_do(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4")
    (tmp_path / "empty").mkdir()
    for path, options in [
        (clip, {"clip_stride": 3}),
        (clip, {"clip_frames": 0}),
        (clip, {"clip_frames": 4, "clip_stride": -1}),
        (tmp_path, {"clip_frames": 4}),
    ]:
        with pytest.raises(UsageError) as error:
            submission(path, **options)
        assert error.value.expected
    for path, options in [(tmp_path / "empty", {}), (tmp_path / "none", {}), (clip, {"clip_frames": 9})]:
        with pytest.raises(MMBenchError) as found:
            submission(path, **options)
        assert found.value.expected
        assert found.value.next
    (tmp_path / "empty" / "x.mp4").write_text("no video")
    with pytest.raises(MMBenchError, match=r"x\.mp4.*cannot be read"):
        submission(tmp_path / "empty")


def test_natural_order() -> None:
    names = ["b1", "a10b2", "a2", "a10b10", "10", "9", "A1"]
    assert sorted(names, key=natural_key) == ["9", "10", "A1", "a2", "a10b2", "a10b10", "b1"]


# the published files


@pytest.mark.e2e
@pytest.mark.parametrize("name", ["landscape", "aist++", "audioset"])
def test_published_files_are_cut_exactly(clips_folder: Path, fixtures_folder: Path, name: str) -> None:
    """Every clip's samples, and the pixels of those whose digest is known."""
    found, rejected = submission(clips_folder / f"{name}.mp4", clip_frames=16, clip_stride=17)
    with safe_open(fixtures_folder / "metrics" / "audio_16k.safetensors", framework="numpy") as file:
        want = file.get_tensor(name)
    rows = json.loads((fixtures_folder / "metrics" / "av_align_clips" / "clips.json").read_text())
    digests = {row["index"]: row["frames_sha256"] for row in rows if row["file"] == f"{name}.mp4"}
    assert (len(found), rejected) == (len(want), [])
    for k, source in enumerate(found):
        clip = source.load()
        assert np.array_equal(clip.audio_int16(), want[k])
        if k in digests:
            assert hashlib.sha256(np.ascontiguousarray(clip.video)).hexdigest() == digests[k]
    assert digests


def _load(chunk: list[CutSource]) -> tuple[int, list[str]]:
    digests = [source.load().digest() for source in chunk]
    return sources._recording.cache_info().misses, digests


@pytest.mark.e2e
def test_worker_processes_decode_once_each(clips_folder: Path) -> None:
    found, _ = submission(clips_folder / "audioset.mp4", clip_frames=16, clip_stride=17)
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        results = list(pool.map(_load, [found[:8], found[8:]]))
    assert all(misses == 1 for misses, _ in results)
    assert [d for _, ds in results for d in ds] == [s.load().digest() for s in found]


def test_a_path_with_a_typo_is_answered_with_the_one_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "my_samples").mkdir()
    with pytest.raises(MMBenchError) as caught:
        submission(tmp_path / "my_sample")
    assert caught.value.expected == f"did you mean {tmp_path / 'my_samples'}?"
    with pytest.raises(MMBenchError) as caught:
        submission(tmp_path / "absent" / "my_sample")
    assert caught.value.expected == "a folder of clips, or a video"

"""One bad file never ends a job: each stage that reads a user's media names it and goes on with the others."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

import mmbench as mm
import tests.fixture_distribution.mmbench_fixture  # noqa: F401 - registers its pair in this process
from mmbench.baselines.external import join_frames
from mmbench.errors import MediaError, MMBenchError
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.jobs.given_clips import clips_of_samples
from mmbench.media.clip_files import read_lossless
from mmbench.media.sources import FileSource, submission
from mmbench.metrics.extractors.anomalies import VideoAnomalies
from mmbench.registry import discover, make_dataset
from tests.chaos.medium import WHOLE
from tests.chaos.pieces import ffv1, flip, ours, packets, picture, replaced, sound, without_box
from tests.commands import mmbench_here
from tests.media_files import write_media
from tests.vggsound_copy import HELD, write_copy

MP4 = WHOLE["h264.mp4"]
BAD: dict[str, Callable[[], bytes]] = {
    "codec.mp4": lambda: replaced(MP4(), b"avc1\0\0\0\0", b"zzzz\0\0\0\0"),
    "cut.mp4": lambda: WHOLE["faststart.mp4"]()[:-2000],
    "written.mp4": lambda: without_box(MP4(), b"moov"),
    "text.mp4": lambda: b"no video",
    os.fsdecode(b"caf\xe9.mp4"): MP4,
}
DEEP = "deep.mkv"  # damage that only decoding shows


def fill(folder: Path, good: int = 3) -> Path:
    """Good clips of differing pictures, and bad ones beside them."""
    folder.mkdir(parents=True)
    for k in range(good):
        write_media(folder / f"good{k}.mp4", picture() // (k + 1), sound(level=0.1 + k / 20))
    for name, data in BAD.items():
        (folder / name).write_bytes(data())
    (folder / DEEP).write_bytes(flip(ffv1(), "video", 3, 0.5))
    os.mkfifo(folder / "fifo.mp4")
    return folder


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    return fill(tmp_path / "clips")


def evaluate(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[dict[str, object], str]:
    done = mmbench_here(capsys, "evaluate", *arguments, "-m", "av_align", "--format", "json")
    assert done.returncode == 0, done.stderr
    record: dict[str, object] = json.loads(done.stdout)[0]["record"]
    return record, done.stderr


def test_evaluate(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record, said = evaluate(capsys, clips, "--out", tmp_path / "runs")
    assert (record["n_expected"], record["n_scored"], record["n_failed"]) == (10, 3, 7)
    for name in ("codec.mp4", "cut.mp4", "written.mp4", "text.mp4", r"caf\udce9.mp4", "fifo.mp4"):
        assert f"{name} is not scored: " in said
    (values,) = (tmp_path / "runs").glob("clips-*/scores/*.jsonl")
    assert "pictures do not have their checksum" in values.read_text()


def test_references_of_a_folder(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dataset = make_dataset(f"folder:{clips}")
    assert len(dataset.rejected) == 6
    real = fill(tmp_path / "real")
    given = ["--dataset", f"folder:{real}", "-m", "fvd_bounce", "--out", tmp_path / "runs"]
    done = mmbench_here(capsys, "evaluate", clips, *given)
    assert done.returncode == 0, done.stderr
    assert "1 real clips have no" in done.stderr
    assert "do not have their checksum" in done.stderr


def test_data_check_and_prepare(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_copy(tmp_path / "copy")
    for key in (HELD[5], HELD[6]):
        assert not list(root.rglob(f"{key}.mp4"))
    (root / f"{HELD[5]}.mp4").write_bytes(BAD["codec.mp4"]())
    os.mkfifo(root / f"{HELD[6]}.mp4")
    (root / f"{HELD[7]}.mp4").mkdir()
    (root / f"{HELD[8]}.mp4").symlink_to("nowhere")
    (root / "circle").symlink_to(".")
    reasons = {HELD[5]: "a codec that FFmpeg", HELD[6]: "is a FIFO", HELD[7]: "is a folder", HELD[8]: "is a link to"}
    for verb in ("check", "prepare"):
        done = mmbench_here(capsys, "data", verb, "vggsound", "--root", root, "--format", "json")
        assert done.returncode == 0, done.stderr
        rows = {Path(row["file"]).stem: row for row in json.loads(done.stdout) if row["status"] != "missing"}
        for key, words in reasons.items():
            assert rows[key]["status"] == "corrupt"
            assert words in rows[key]["reason"]


def test_folders_of_mm_diffusion(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train = tmp_path / "train"
    train.mkdir()
    write_media(train / "a.mkv", picture(frames=30), sound(3.0))
    os.mkfifo(train / "b.mp4")
    (train / os.fsdecode(b"\xe9.mp4")).write_bytes(b"")
    done = mmbench_here(capsys, "data", "check", "landscape_ind", "--root", tmp_path, "--format", "json")
    assert done.returncode == 0, done.stderr
    rows = {row["file"]: row["reason"] for row in json.loads(done.stdout)}
    assert rows == {"train/b.mp4": "is a FIFO", r"train/\udce9.mp4": rows[r"train/\udce9.mp4"]}
    assert len(make_dataset(f"landscape_ind:{tmp_path}").reference(2, 0))


def test_report_and_preview(clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    evaluate(capsys, clips, "--out", tmp_path / "runs")
    for command in (["report", clips, "--to", tmp_path / "report"], ["preview", clips, "--to", tmp_path / "preview"]):
        done = mmbench_here(capsys, *command, "--out", tmp_path / "runs")
        assert done.returncode == 0, done.stderr
        assert "clips cannot be read" in done.stdout + done.stderr


def test_a_study_draws_another_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for model in ("a", "b"):
        fill(tmp_path / model, good=4)
    (tmp_path / "b" / "good1.mp4").write_bytes(BAD["cut.mp4"]())
    make = ["study", "make", tmp_path / "a", tmp_path / "b", "--attention", "0", "--runs", tmp_path / "runs"]
    done = mmbench_here(capsys, *make, "--pairs", "3", "--out", tmp_path / "study")
    assert done.returncode == 0, done.stderr
    done = mmbench_here(capsys, *make, "--pairs", "4", "--out", tmp_path / "larger")
    assert done.returncode == 1
    assert "checksum" in done.stderr
    assert "3 of 4 pairs can be read" in done.stderr


def test_train(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    discover.cache_clear()  # the pair was registered since
    clips = fill(tmp_path / "clips")
    shape = "held_out=0&seconds=0.375&fps=8&size=8"
    pair = ["train", "--system", "fixture_pair", "--dataset", f"folder:{clips}?{shape}", "--out", tmp_path / "out"]
    small = ["--num-fake", "2", "--steps", "1", "--batch-size", "2", "--format", "json"]
    for _ in range(2):
        done = mmbench_here(capsys, *pair, *small)
        assert done.returncode == 0, done.stderr
        trained = json.loads(done.stdout)
        assert trained["real pairs that cannot be read"] == 1
        assert "deep.mkv is damaged in its video: 1 of 8 pictures do not have their checksum" in done.stderr
    card = Path(trained["weights"]).parent / "README.md"
    assert "3 real pairs, 1 more cannot be read" in card.read_text()
    for good in clips.glob("good*"):
        good.write_bytes(flip(ffv1(), "video", 2, 0.5))
        good.rename(good.with_suffix(".mkv"))
    done = mmbench_here(capsys, *pair, *small)
    assert done.returncode == 1
    assert "None of 4 real pairs" in done.stderr


def test_load_clips(clips: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert mm.load_clips(clips).ids == ["good0", "good1", "good2"]
    assert any("deep is left out" in message for message in caplog.messages)
    for file in clips.glob("good*"):
        file.unlink()
    with pytest.raises(MMBenchError, match="None of the 1 clips"):
        mm.load_clips(clips)


def test_a_file_that_goes_away_or_grows_while_a_job_runs(clips: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sources, _ = submission(clips)
    samples = [Sample(source, "") for source in sources]
    (clips / "good1.mp4").unlink()
    assert clips_of_samples("a", samples).seconds == pytest.approx(0.8)
    with FeatureCache(None) as cache:
        found = extract(samples, [VideoAnomalies(1)], cache, workers=1)
    names = [sources[i].id for i in found.unreadable]
    assert names == ["deep", "good1"]
    from mmbench.media import decode as decoding

    whole = decoding.decode

    def while_it_grows(path: str, audio: str | None) -> object:
        clip = whole(path, audio)
        with open(path, "ab") as file:
            file.write(b"more")
        return clip

    monkeypatch.setattr(decoding, "decode", while_it_grows)
    with pytest.raises(MediaError, match="written to while it was read"):
        FileSource("a", str(clips / "good0.mp4")).load()


@pytest.mark.parametrize("kind", ["fifo", "device", "socket", "dangling"])
def test_what_is_no_file_as_the_argument(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    from tests.chaos.media_corpus import socket_at

    make = {"fifo": os.mkfifo, "socket": socket_at}
    path = tmp_path / f"{kind}.mp4"
    make.get(kind, lambda p: p.symlink_to("/dev/zero" if kind == "device" else "nowhere"))(path)
    done = mmbench_here(capsys, "evaluate", path, "-m", "av_align", "--out", tmp_path / "runs")
    assert done.returncode == 1
    assert f"{path} is a" in done.stderr


def test_a_path_is_never_an_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.chdir(tmp_path)
    place = f"http:/127.0.0.1:{server.server_port}"
    Path(place).mkdir(parents=True)
    for name in (f"{place}/a.mp4", "concat:a.mp4", "pipe:0"):
        Path(name).write_bytes(MP4())
    assert len(FileSource("a", f"{place}/a.mp4").load().video) == 8
    assert [source.id for source in submission(place)[0]] == ["a"]
    for name in ("concat:a.mp4", "pipe:0"):
        assert len(FileSource("a", name).load().video) == 8
    server.shutdown()
    assert asked == []


def test_a_fifo_in_the_store_or_among_frames_is_not_waited_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "000000.mkv")
    with pytest.raises(MediaError, match="is a FIFO"):
        read_lossless(tmp_path / "000000.mkv")
    os.mkfifo(tmp_path / "0.png")
    with pytest.raises(MediaError, match="it is a FIFO"):
        join_frames(tmp_path, 8.0)


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(MMBenchError, match="cannot be listed: Permission denied"):
        submission(tmp_path)


def test_many_files_at_once_add_up(tmp_path: Path) -> None:
    folder = fill(tmp_path / "many", good=1)
    for k in range(80):
        shutil.copy(folder / "good0.mp4", folder / f"copy{k}.mp4")
        (folder / f"bad{k}.mp4").write_bytes(ours()[: 100 + 50 * k])
    found, rejected = submission(folder)
    assert (len(found), len(rejected)) == (82, 86)
    assert len({*(Path(s.path).name for s in found), *(Path(r.path).name for r in rejected)}) == 168
    assert packets(ours(), "video")

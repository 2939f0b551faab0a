"""Videos in tar archives are those of a folder: the same clips, digests and scores, and what is bad is named."""

from __future__ import annotations

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from mmbench.datasets.copies.conformed import PREPARED, examine_video
from mmbench.datasets.copies.first_clips import FORMAT
from mmbench.datasets.copies.prepare import prepare_videos
from mmbench.datasets.copies.usable_videos import find_videos
from mmbench.datasets.folder import Folder
from mmbench.datasets.mm_diffusion import MMDiffusionData
from mmbench.datasets.vggsound import VGGSound
from mmbench.errors import MMBenchError, UsageError
from mmbench.jobs.submissions import find_set
from mmbench.media.clip_files import write_lossless
from mmbench.media.sources import FileSource, submission, submission_digest
from mmbench.media.tar_members import COMPRESSED
from mmbench.registry import make_dataset
from mmbench.types import Clip
from tests.builders import clip
from tests.commands import mmbench_here
from tests.media_files import clicks, flashes, write_media
from tests.tar_files import pack_folder, write_tar
from tests.vggsound_copy import BAD, PART, write_copy


@pytest.fixture(scope="module")
def copies(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A copy of VGGSound in folders, and the same in two archives."""
    root, tars = write_copy(tmp_path_factory.mktemp("vggsound")), tmp_path_factory.mktemp("tars")
    files = sorted(root.rglob("*.mp4"))
    (tars / "more").mkdir()
    pack_folder(tars / "000.tar", files[::2])
    pack_folder(tars / "more" / "001.tar", files[1::2])
    return root, tars


def test_vggsound_in_tars_is_the_copy_in_folders(copies: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    root, tars = copies
    in_folders, in_tars = VGGSound(str(root)), VGGSound(str(tars))
    assert in_tars.spec() == in_folders.spec()
    assert {key: e.sha256 for key, e in in_tars.usable.items()} == {k: e.sha256 for k, e in in_folders.usable.items()}
    before = {item.id: item for item in in_folders.reference(None, 0)}
    made = mmbench_here(capsys, "data", "prepare", "vggsound", "--root", tars, "--workers", "1", "--format", "json")
    assert made.returncode == 0, made.stderr
    bad = [row for row in json.loads(made.stdout) if row["status"] != "missing"]
    assert {row["file"].rpartition("/")[0] for row in bad} == {"000.tar", "more/001.tar"}
    assert {Path(r["file"]).stem: (r["status"], re.sub(PART, lambda _: PART, r["reason"])) for r in bad} == BAD
    ready = VGGSound(str(tars))
    assert ready.spec() == in_folders.spec()
    for item in ready.reference(None, 0):
        assert ready.usable[item.id].clip
        assert np.array_equal(item.clip.video, before[item.id].clip.video)
        assert np.array_equal(item.clip.audio, before[item.id].clip.audio)
    assert len(before) == 3


def test_an_archive_that_is_damaged_or_went_away_is_named(
    copies: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [path for key, path in VGGSound(str(copies[0])).videos.items() if key not in BAD]
    pack_folder(tmp_path / "000.tar", [copies[0] / file for file in files[:2]])
    pack_folder(tmp_path / "001.tar", [copies[0] / file for file in files[2:4]])
    copy = VGGSound(str(tmp_path))
    prepare_videos(tmp_path, copy.videos, copy.preparation, workers=1, quiet=True)
    spec = VGGSound(str(tmp_path)).spec()
    whole = (tmp_path / "001.tar").read_bytes()
    (tmp_path / "001.tar").write_bytes(whole[: len(whole) // 2])
    done = mmbench_here(capsys, "data", "check", "vggsound", "--root", tmp_path, "--format", "json")
    (row, *_) = (row for row in json.loads(done.stdout) if row["status"] != "missing")
    assert (row["file"], row["status"]) == ("001.tar", "corrupt")
    assert re.search(r"no whole tar archive: .*mp4 ends at byte", row["reason"])
    assert VGGSound(str(tmp_path)).spec() == spec, "prepared clips outlive their videos"
    assert "1 of 5 videos cannot be used" in capsys.readouterr().err
    (tmp_path / "001.tar").unlink()
    assert VGGSound(str(tmp_path)).spec() == spec
    shutil.rmtree(tmp_path / PREPARED)
    assert len(VGGSound(str(tmp_path)).usable) == 2


def test_mm_diffusions_splits_may_lie_in_tars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    (folder := tmp_path / "folder" / "train" / "0.tar").mkdir(parents=True)
    for i in range(2):
        write_media(folder / f"{i}.mp4", flashes(24, 32, 48), clicks([0.3], 2.4, 16000))
    (tars := tmp_path / "tars" / "train").mkdir(parents=True)
    pack_folder(tars / "0.tar", sorted(folder.iterdir()))
    datasets: list[MMDiffusionData] = [make_dataset(f"aistpp:{tmp_path / name}") for name in ("folder", "tars")]
    assert datasets[0].spec() == datasets[1].spec()
    items = [d.reference(1, 0)[0] for d in datasets]
    assert np.array_equal(items[0].clip.video, items[1].clip.video)
    (tars / "1.tar").write_bytes(b"\x1f\x8b")
    again: MMDiffusionData = make_dataset(f"aistpp:{tmp_path / 'tars'}")
    assert "is compressed" in again.train.unreadable["1.tar"]
    assert len(again.train.starts) == 2


# anybody's clips


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    (folder := tmp_path / "clips").mkdir()
    for i in range(4):
        write_lossless(clip(i, frames=16, size=32, samples=32000), folder / f"clip{i}.mkv")
    (folder / "bad.mp4").write_bytes((folder / "clip0.mkv").read_bytes()[:2000])
    return folder


def test_scores_of_clips_in_tars_are_those_of_the_folder(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = sorted(clips.iterdir())
    (shards := tmp_path / "shards").mkdir()
    pack_folder(shards / "000.tar", files[:3])
    pack_folder(shards / "001.tar", files[3:])
    load, loaded = FileSource.load, []

    def counted(source: FileSource) -> Clip:
        loaded.append(source.path)
        return load(source)

    monkeypatch.setattr(FileSource, "load", counted)
    rows = []
    for path in (clips, shards):
        options = ["--name", "mine", "-m", "av_align", "--out", tmp_path / "runs", "--format", "json"]
        done = mmbench_here(capsys, "evaluate", path, *options)
        assert done.returncode == 0, done.stderr
        rows.append([(row["record"]["run_id"], row["record"]["value"]) for row in json.loads(done.stdout)])
    assert rows[0] == rows[1]
    assert len(loaded) == 4, "no clip is decoded again"
    assert f"{shards}/000.tar/bad.mp4 is not scored: is cut off" in done.stderr
    (run,) = {run for run, _ in rows[0]}
    failed = [json.loads(line) for line in (tmp_path / "runs" / run / "scores").glob("*.jsonl").__next__().open()][-1]
    assert "cut off" in json.dumps(failed)


def test_files_of_one_key_belong_together(clips: Path, tmp_path: Path) -> None:
    video, other = ((clips / f"clip{i}.mkv").read_bytes() for i in (0, 1))
    sound = write_media(tmp_path / "s.wav", None, clicks([0.5], 2.0, 16000), audio_codec="pcm_s16le").read_bytes()
    names = ("in/a.video.mkv", "in/a.audio.wav", "in/a.json", "b.mkv", "b.2.mkv", "._c.mkv", "d.wav", "in/e.mkv")
    data = [sound if name.endswith("wav") else video for name in names]
    path = write_tar(tmp_path / "0.tar", [*zip(names, data, strict=True), ("f.mkv", other), ("out/e.mkv", other)])
    found, rejected = submission(path)
    assert [(s.id, s.path) for s in found] == [("a", f"{path}/in/a.video.mkv"), ("f", f"{path}/f.mkv")]
    assert isinstance(found[0], FileSource)
    assert found[0].audio_path == f"{path}/in/a.audio.wav"
    assert found[0].load().audio.max() > 0.3
    assert {r.path.removeprefix(f"{path}/"): r.reason for r in rejected} == {
        "d.wav": "sound without a video of the same name",
        "b.mkv": "which belongs to which? b.2.mkv, b.mkv",
        "b.2.mkv": "which belongs to which? b.2.mkv, b.mkv",
        "in/e.mkv": f"which is e? there is one in {path}/out, too",
        "out/e.mkv": f"which is e? there is one in {path}/in, too",
    }
    (tmp_path / "loose").mkdir()
    for name in ("a.mkv", "f.mkv"):
        shutil.copy(clips / f"clip{'01'[name == 'f.mkv']}.mkv", tmp_path / "loose" / name)
    write_tar(tmp_path / "loose" / "0.tar", [("b.mkv", video)])
    mixed = submission(tmp_path / "loose")[0]
    write_tar(tmp_path / "1.tar", [("f.mkv", other), ("b.mkv", video), ("a.mkv", video)])
    assert [s.id for s in mixed] == ["a", "b", "f"]
    assert submission_digest(mixed) == submission_digest(submission(tmp_path / "1.tar")[0])
    with pytest.raises(UsageError, match="is an archive, but clips are cut out of one video"):
        submission(path, clip_frames=8)


def test_what_is_called_like_an_archive_and_is_none_is_named_where_clips_are_looked_for(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    (folder := tmp_path / "some" / "train").mkdir(parents=True)
    for i in range(2):
        shutil.copy(clips / f"clip{i}.mkv", folder / f"{i}.mkv")
    packed = [f"000{end}" for end in COMPRESSED]
    for name in packed:
        (folder / name).write_bytes(b"")
    (folder / "001.tar").symlink_to("gone.tar")
    os.mkfifo(folder / "002.tar")
    found, rejected = submission(folder)
    assert [source.id for source in found] == ["0", "1"]
    reasons = {Path(r.path).name: r.reason for r in rejected}
    assert reasons.keys() == {*packed, "001.tar", "002.tar"}
    assert all(f"{folder / name} is compressed" in reasons[name] for name in packed)
    assert reasons["001.tar"].startswith("is a link to gone.tar, which cannot be followed")
    assert reasons["002.tar"] == "is a FIFO"
    dataset: Folder = make_dataset(f"folder:{folder}?held_out=0")
    assert {Path(r.path).name for r in dataset.rejected} == reasons.keys()
    assert find_videos(folder, lambda path: "") == {name: name for name in reasons}
    for name, reason in reasons.items():
        entry = examine_video(folder, name, FORMAT)
        assert (entry.status, entry.reason) == ("corrupt", reason.removeprefix(f"{folder / name} ").rstrip("."))
    copy: MMDiffusionData = make_dataset(f"aistpp:{tmp_path / 'some'}")
    assert copy.train.unreadable.keys() == reasons.keys()
    with pytest.raises(MMBenchError, match="is compressed"):
        submission(folder / "000.tar.xz")


def test_a_video_whose_name_another_has_is_named(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    name = "---g-f_I2yQ_000001.mp4"
    for i in range(3):
        pack_folder(tmp_path / f"{i}.tar", [shutil.copy(clips / "clip0.mkv", tmp_path / name)])
    (tmp_path / name).unlink()
    found = find_videos(tmp_path, VGGSound(str(tmp_path)).key)
    assert found == {name.removesuffix(".mp4"): f"0.tar/{name}"}
    assert f"2 not used, for another has the same name: 1.tar/{name} (beside 0.tar/{name}), 2.tar/{name}" in caplog.text
    assert len(caplog.messages) == 1


def test_a_video_in_an_archive_is_cut_by_the_command_that_is_suggested(clips: Path, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "0.tar", [("in/VIDEO.long.mp4", (clips / "clip0.mkv").read_bytes())])
    with pytest.raises(UsageError) as caught:
        submission(path, clip_frames=8)
    (suggested,) = (word for word in caught.value.next.split() if word.endswith("VIDEO.mp4"))
    with pytest.raises(MMBenchError, match="does not exist") as absent:
        submission(suggested, clip_frames=8)
    assert absent.value.expected == f"did you mean {path}/in/VIDEO.long.mp4?"
    write_tar(path, [("VIDEO.mp4", (clips / "clip0.mkv").read_bytes()), ("a.mp4/b", b"")])
    found, rejected = submission(suggested, clip_frames=8)
    assert ([s.id for s in found], rejected) == (["VIDEO-0000", "VIDEO-0001"], [])
    whole = submission(suggested)[0][0].load()
    assert np.array_equal(found[1].load().video, whole.video[8:])
    assert find_set(suggested, tmp_path / "runs") is None
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(MMBenchError, match="is damaged"):
        submission(suggested, clip_frames=8)


def test_prompts_lie_beside_the_clips(clips: Path, tmp_path: Path) -> None:
    members = [(f"{i}.mkv", (clips / f"clip{i}.mkv").read_bytes()) for i in range(4)]
    texts = [(f"{i}.txt", f"ball {i}\n".encode()) for i in range(3)]
    (shards := tmp_path / "shards").mkdir()
    write_tar(shards / "0.tar", [*members[:2], *texts])
    write_tar(shards / "1.tar", [*members[2:], ("2.txt", b"ball 2")])
    dataset: Folder = make_dataset(f"folder:{shards}?held_out=0")
    assert {item.id: item.prompt.text for item in dataset.reference(None, 0)} == {
        "0": "ball 0",
        "1": "ball 1",
        "2": "ball 2",
        "3": "",
    }
    one: Folder = make_dataset(f"folder:{shards / '0.tar'}?held_out=0")
    assert [p.text for p in one.prompts(2, 0)] != ["", ""]
    (shards / "prompts.csv").write_text("file,prompt\n3.mkv,a bell\n")
    with pytest.raises(UsageError, match=r"prompts\.csv and .*0\.tar/0\.txt hold prompts") as error:
        make_dataset(f"folder:{shards}")
    assert error.value.next == f"--prompts {shards}/prompts.csv"


def test_a_table_may_name_clips_in_tars(clips: Path, tmp_path: Path) -> None:
    (shards := tmp_path / "shards").mkdir()
    pack_folder(shards / "0.tar", sorted(clips.glob("*.mkv")))
    (shards / "prompts.csv").write_text("file,prompt\nclip1.mkv,a bell\n")
    dataset: Folder = make_dataset(f"folder:{shards}?held_out=0")
    assert {p.id: p.text for p in dataset.prompts(4, 0)}["clip1"] == "a bell"
    (shards / "prompts.csv").write_text("file,prompt\nclip9.mkv,a bell\n")
    with pytest.raises(UsageError, match=r"names clip9\.mkv, not in"):
        make_dataset(f"folder:{shards}")

"""Tables and declarations beside clips that are FIFOs, devices, folders, or in another encoding: refused at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mmbench.baselines.kinds.program import read_declaration
from mmbench.baselines.models.pipelines.description_file import read_description
from mmbench.datasets.copies.texts import read_captions, read_prompts
from mmbench.datasets.prompts import PromptList
from mmbench.datasets.vggsound import train_labels
from mmbench.errors import MMBenchError, UsageError
from mmbench.media.layouts.known import read_layout, recognise
from mmbench.runs.request_files import find_requests, is_requests, read_requests
from mmbench.study.questions import read_questions
from tests.chaos.medium import WHOLE
from tests.commands import mmbench_here

ODD: dict[str, Callable[[Path], object]] = {
    "fifo": os.mkfifo,
    "device": lambda path: path.symlink_to("/dev/zero"),
    "folder": Path.mkdir,
    "dangling": lambda path: path.symlink_to("nowhere"),
    "latin-1": lambda path: path.write_bytes("file,prompt\na.mp4,un café\n".encode("latin-1")),
    "long": lambda path: path.write_text(f"file,prompt\na.mp4,{'x' * 200_000}\n"),
}


@pytest.mark.parametrize("kind", ODD)
def test_a_table_of_prompts(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_bytes(WHOLE["h264.mp4"]())
    ODD[kind](tmp_path / "p.csv")
    with pytest.raises(UsageError, match=r"p\.csv"):
        read_prompts(tmp_path)
    done = mmbench_here(capsys, "evaluate", tmp_path, "-m", "av_align", "--out", tmp_path / "runs")
    assert done.returncode == 2
    assert "p.csv" in done.stderr


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("captions.csv", lambda path: read_captions(path.parent)),
        ("vggsound.csv", train_labels),
        ("list.csv", lambda path: PromptList(str(path))),
        ("list.jsonl", lambda path: PromptList(str(path))),
        ("external.toml", read_declaration),
        ("pair.toml", read_description),
        ("questions.toml", lambda path: read_questions(str(path))),
        ("requests.jsonl", read_requests),
    ],
)
def test_every_other_table(tmp_path: Path, kind: str, name: str, read: Callable[[Path], object]) -> None:
    ODD[kind](tmp_path / name)
    with pytest.raises(MMBenchError, match=name):
        read(tmp_path / name)


@pytest.mark.parametrize("kind", ["fifo", "device", "folder", "dangling"])
def test_lists_of_requests_and_layouts_are_looked_for_without_waiting(tmp_path: Path, kind: str) -> None:
    ODD[kind](tmp_path / "a.csv")
    ODD[kind](tmp_path / "a.jsonl")
    assert find_requests(tmp_path) is None
    assert not is_requests(tmp_path / "a.csv")
    (tmp_path / "sample_0000.mp4").write_bytes(WHOLE["h264.mp4"]())
    assert recognise(tmp_path) == ""
    with pytest.raises(UsageError, match=r"a\.csv"):
        read_layout(tmp_path, "javisbench")


def test_odd_files_of_a_layout_are_named(tmp_path: Path) -> None:
    (tmp_path / "sample_0000.mp4").write_bytes(WHOLE["h264.mp4"]())
    os.mkfifo(tmp_path / "sample_0001.mp4")
    (tmp_path / os.fsdecode(b"\xe9.mp4")).write_bytes(WHOLE["h264.mp4"]())
    clips, rejected = read_layout(tmp_path, "javisbench")
    assert [source.id for source, _ in clips] == ["sample_0000"]
    assert sorted(Path(r.path).name for r in rejected) == ["\\udce9.mp4", "sample_0001.mp4"]
    assert any("is a FIFO" in r.reason for r in rejected)


@pytest.mark.parametrize("text", ['["\\ud800 a dog"]', '[{"id": "\\udfff", "prompt": "a dog"}]'])
def test_half_a_surrogate_pair_is_no_prompt(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.json").write_text(text)
    with pytest.raises(UsageError, match="half of a surrogate pair"):
        PromptList(str(tmp_path / "p.json"))


def test_a_sound_that_cannot_be_read_counts_as_its_clip(tmp_path: Path) -> None:
    video, audio = tmp_path / "video", tmp_path / "audio"
    video.mkdir()
    audio.mkdir()
    for name in ("a", "b"):
        (video / f"{name}.mp4").write_bytes(WHOLE["h264.mp4"]())
    os.mkfifo(audio / "b.wav")
    clips, rejected = read_layout(tmp_path, "av-benchmark")
    assert [source.id for source, _ in clips] == ["a"]
    assert "is a FIFO" in rejected[0].reason

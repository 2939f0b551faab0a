"""From a run to a page, as a lab and the maker of a board do it; and what a lab is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmbench.leaderboard.reading import read_submission
from mmbench.runs.requests import line_digest
from tests.commands import mmbench, mmbench_here

pytestmark = pytest.mark.e2e
SENT = ["--team", "My lab", "--licence", "CC-BY-4.0", "--date", "2026-01-02"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of mmbench, and the clips of one delivered by somebody else, with and without their prompts."""
    folder = tmp_path_factory.mktemp("leaderboard")
    out = ["--out", folder / "runs", "-m", "av_align"]
    done = mmbench("run", "-s", "ground_truth", "-s", "independent", "-n", "4", *out)
    assert done.returncode == 0, done.stderr
    (made,) = folder.glob("runs/independent-*/samples")
    (folder / "clips").mkdir()
    for clip in made.glob("*.mkv"):
        shutil.copy(clip, folder / "clips" / clip.name)
    done = mmbench("prompts", "--dataset", "bounce", "-n", "4", "--out", folder / "requests.jsonl")
    assert done.returncode == 0, done.stderr
    given = ["--dataset", "bounce", "--name"]
    asked = ["--requests", folder / "requests.jsonl"]
    for words in ([*given, "theirs", *asked], [*given, "wordless"]):
        done = mmbench("evaluate", folder / "clips", *words, *out)
        assert done.returncode == 0, done.stderr
    return folder / "runs"


@pytest.mark.parametrize("with_samples", [False, True])
def test_runs_and_delivered_clips_stand_in_one_ranking(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], with_samples: bool
) -> None:
    file, board, site = tmp_path / "sent.jsonl", tmp_path / "board", tmp_path / "site"
    options = ["--link", "https://example.org", *["--with-samples"] * with_samples]
    done = mmbench_here(capsys, "leaderboard", "export", *SENT, *options, "--out", runs, "--to", file)
    assert done.returncode == 0, done.stderr
    assert f"mmbench leaderboard add {file}" in done.stdout
    assert "wordless has no prompts on record" in done.stdout
    assert "theirs has no prompts" not in done.stdout
    entries, refused = read_submission(file)
    assert refused == []
    by_system = {entry.record.system: entry for entry in entries}
    assert by_system["theirs"].prompts == by_system["independent"].prompts != by_system["wordless"].prompts
    assert by_system["theirs"].dataset_digest == by_system["ground_truth"].dataset_digest
    assert by_system["theirs"].clips == by_system["independent"].clips != by_system["ground_truth"].clips
    assert [bool(entry.samples) for entry in entries] == [with_samples] * 4
    done = mmbench_here(capsys, "leaderboard", "add", file, "--board", board)
    assert done.returncode == 0, done.stderr
    done = mmbench_here(capsys, "leaderboard", "build", "--board", board, "--to", site, "--title", "Mine")
    assert done.returncode == 0, done.stderr
    rows = json.loads((site / "rows.json").read_text())["rows"]
    together = {row["system"] for row in rows if row["protocol"] == rows[0]["protocol"]}
    assert together == {"ground_truth", "independent", "theirs"}
    assert {row["system"]: row["not_ranked"] for row in rows}["theirs"] is None
    assert "<title>Mine</title>" in (site / "index.html").read_text()


def test_a_line_that_was_changed_does_not_get_on_a_board(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, board = tmp_path / "sent.jsonl", tmp_path / "board"
    mmbench_here(capsys, "leaderboard", "export", "theirs", *SENT, "--out", runs, "--to", file)
    lines = [json.loads(text) for text in file.read_text().splitlines()]
    lines[2]["record"]["value"] += 0.001
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mmbench_here(capsys, "leaderboard", "add", file, "--board", board)
    assert done.returncode == 4
    assert "line 3: it was changed: its checksum is not that of its content" in done.stderr
    assert not board.exists()
    lines[2]["sha256"] = line_digest({k: v for k, v in lines[2].items() if k != "sha256"})
    lines[2]["record"]["n_scored"] = 3
    lines[2]["sha256"] = line_digest({k: v for k, v in lines[2].items() if k != "sha256"})
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = mmbench_here(capsys, "leaderboard", "add", file, "--board", board)
    assert "line 3: 3 scored + 0 unscored" in done.stderr
    assert not board.exists()


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["nobody"], 2, "There is no run 'nobody'"),
        (["theirs", "-m", "fvd"], 1, "has no such record"),
        (["theirs", "-n", "8"], 1, "one of those on record: av_align.mmdisco_96ms of n = 4"),
        (["theirs", "--link", "javascript:alert(1)"], 2, "no address that begins with https://"),
        (["theirs", "--date", "today"], 2, "is not YYYY-MM-DD"),
        (["theirs", "--team", "a\u202eb"], 2, "characters that are not printed"),
    ],
)
def test_what_cannot_be_sent_is_said_and_nothing_is_written(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, told: str
) -> None:
    file = tmp_path / "sent.jsonl"
    done = mmbench_here(capsys, "leaderboard", "export", *SENT, *words, "--out", runs, "--to", file)
    assert (done.returncode, list(tmp_path.iterdir())) == (code, [])
    assert told in done.stderr


def test_no_file_is_written_over(runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "sent.jsonl"
    file.write_text("mine")
    done = mmbench_here(capsys, "leaderboard", "export", "theirs", *SENT, "--out", runs, "--to", file)
    assert (done.returncode, file.read_text()) == (2, "mine")
    done = mmbench_here(capsys, "leaderboard", "export", *SENT, "--out", tmp_path / "none", "--to", tmp_path / "x")
    assert (done.returncode, "holds no runs" in done.stderr) == (2, True)
    done = mmbench_here(capsys, "leaderboard", "build", "--board", tmp_path / "none")
    assert (done.returncode, "mmbench leaderboard add FILE --board" in done.stderr) == (2, True)

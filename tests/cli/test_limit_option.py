"""`--limit`: the same option on every command that reads a user's media, and what errors say to type."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
from typer.main import get_command

from mmbench.cli.app import app
from mmbench.media.limits import LIMITS
from tests.cli.test_examples import names
from tests.commands import mmbench_here
from tests.media_files import clicks, flashes, write_media

READ_NO_MEDIA = {
    *("table", "list", "merge", "pack", "unpack", "submit", "plan", "toy", "stats show", "study tally"),
    *("leaderboard add", "leaderboard build", "weights list", "weights fetch", "weights verify", "weights where"),
}


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A folder with two clips of 0.8 s, of which one has other pictures."""
    (tmp_path / "clips").mkdir()
    for k in range(2):
        sound = clicks([0.3], 0.8, 16000)
        write_media(tmp_path / "clips" / f"{k}.mkv", flashes(8) // (k + 1), sound, audio_codec="flac")
    return tmp_path / "clips"


def test_every_command_that_reads_media_has_the_option() -> None:
    lacking, whole = set(), get_command(app)
    for name in names():
        command = whole
        for part in name:
            command = command.commands[part]  # type: ignore[attr-defined]
        if not any("--limit" in parameter.opts for parameter in command.params):
            lacking.add(" ".join(name))
    assert lacking == READ_NO_MEDIA


def test_what_a_reason_says_is_typed_and_the_clips_are_scored(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(LIMITS["seconds"].variable, "0.5")
    typed = ["evaluate", clips, "-m", "av_align", "--out", tmp_path / "runs", "--format", "json"]
    refused = mmbench_here(capsys, *typed)
    assert refused.returncode == 1
    (option,) = set(re.findall(r"--limit \S+", refused.stderr))
    scored = mmbench_here(capsys, *typed, *option.split())
    assert scored.returncode == 0, scored.stderr
    assert json.loads(scored.stdout)[0]["record"]["n_scored"] == 2
    assert os.environ[LIMITS["seconds"].variable] == "0.5", "it is of one command"


@pytest.mark.parametrize("command", ["export", "prompts", "preview", "train"])
def test_a_lower_limit_holds_for_other_commands(
    command: str, clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words: dict[str, list[str | Path]] = {
        "export": [clips, "--layout", "vbench", "--out", tmp_path / "there"],
        "prompts": ["--dataset", f"folder:{clips}", "--out", tmp_path / "requests.jsonl"],
        "preview": [clips, "--to", tmp_path / "look"],
        "train": ["--system", "tiny", "--dataset", f"folder:{clips}", "--out", tmp_path / "out"],
    }
    done = mmbench_here(capsys, command, *words[command], "--limit", "fps=100", "--limit", "pixels=3071")
    assert done.returncode == 1
    assert "3072 pixels in a picture, more than 3071; --limit pixels=6142 or MMBENCH_MAX_PIXELS raises" in done.stderr


@pytest.mark.parametrize("text", ["pixel=3", "pixels", "pixels=", "pixels=-1", "pixels=many", "pixels=inf"])
def test_a_limit_that_is_none_is_refused_by_name(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "evaluate", "nothing", "--limit", text)
    assert done.returncode == 2
    assert f"--limit {text}" in done.stderr
    assert "try: --limit " in done.stderr
    assert not {limit.variable for limit in LIMITS.values()} & set(os.environ)

"""What a reader of the pages has: clips of her own, copies of datasets, files with names that the pages use."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.documents import Command, blocks, read
from tests.media_files import clicks, flashes, write_media
from tests.tar_files import pack_folder
from tests.vggsound_copy import write_copy


def write_stand_ins(folder: Path, page: str, said: Sequence[Command], monkeypatch: pytest.MonkeyPatch) -> None:
    """Make in `folder` whatever the commands of a page name."""
    words = " ".join(command.text for command in said)
    for name, num in (("my_samples", 2), ("model_a", 3), ("model_b", 3), ("real_clips", 6)):
        if name in words:
            write_clips(folder / name, num)
    if "results/" in words:
        (folder / "results").symlink_to(REPOSITORY / "results")
    if "delivered" in words:
        write_clips(folder / "delivered", 3, "{:06d}.mkv")
        (folder / "delivered" / "prompts.csv").unlink()
    if "long.mp4" in words:
        write_media(folder / "long.mp4", flashes(40), clicks([0.5, 2.0], 4.0, 16000))
    if "vggsound" in words:
        write_copy(folder / "data" / "vggsound")
    if "my_shards" in words:
        for name, clips in (("shards", folder / "data" / "vggsound" / "video"), ("my_shards", folder / "real_clips")):
            (folder / name).mkdir()
            pack_folder(folder / name / "000.tar", [file for file in clips.iterdir() if file.suffix != ".csv"])
    if "landscape" in words or "table10" in words:
        write_landscape(folder / "data" / "landscape")
    if "table10" in words and "vggsound" not in words:
        write_copy(folder / "data" / "vggsound")
    if "my_prompts.txt" in words:
        (folder / "my_prompts.txt").write_text("a large metal ball bouncing\na small glass ball bouncing\n")
    if "ovi.toml" in words:
        write_declared(folder, page, monkeypatch)
    if "my_pair.toml" in words:
        write_pair(folder, page)
    if "my_model.toml" in words:
        write_program(folder)


def write_clips(folder: Path, num: int, name: str = "{}.mkv") -> None:
    """Clips of 2 s in bounce's format, called after their number, with a table of their prompts."""
    folder.mkdir()
    for i in range(num):
        video = (flashes(16, 64, 64) // (i + 1)).astype("uint8")  # clips that are all alike have no covariance
        sound = clicks([0.2 + 0.3 * i], 2.0, 16000)
        write_media(folder / name.format(i), video, sound, fps=8, video_codec="ffv1", audio_codec="flac")
    with (folder / "prompts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("file", "prompt"), *((name.format(i), "a large metal ball") for i in range(num))])


def write_landscape(root: Path) -> None:
    """Two videos of each split, without captions yet."""
    for split in ("train", "test"):
        for i in range(2):
            (root / split).mkdir(parents=True, exist_ok=True)
            write_media(root / split / f"{i}.mp4", flashes(24), clicks([0.5], 2.4, 16000))


PROGRAM = """
import json, sys
from pathlib import Path
from tests.media_files import clicks, flashes, write_media
for line in map(json.loads, Path(sys.argv[1]).read_text().splitlines()):
    video, sound = flashes(line["num_frames"], line["height"], line["width"]), clicks([0.5], 2.0, line["sample_rate"])
    write_media(Path(line["output"] + ".mp4"), video, sound, fps=8)
"""


def write_program(folder: Path) -> None:
    """A program that makes clips, and the lines that declare it."""
    command = json.dumps([sys.executable, "generate.py", "{prompts}", "{out}"])
    environment = f'environment = {{ PYTHONPATH = "{REPOSITORY}" }}'
    (folder / "my_model.toml").write_text(f'name = "my_model"\ncommand = {command}\n{environment}\n')
    (folder / "generate.py").write_text(PROGRAM)


def write_pair(folder: Path, page: str) -> None:
    """What the page's code makes, and the description that it prints."""
    for block in blocks(read(page)):
        text = "\n".join(block.lines)
        if block.language == "python":
            exec(compile(text, page, "exec"), {})  # in `folder`, where the reader is
        if block.language == "toml":
            (folder / "my_pair.toml").write_text(text)


def write_declared(folder: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The declaration that the page prints, and the files that it names."""
    (declared,) = ["\n".join(b.lines) for b in blocks(read(page)) if b.language == "toml"]
    (folder / "ovi.toml").write_text(declared)
    (folder / "Ovi").mkdir()
    (folder / "Ovi" / "mmbench_ovi.py").write_text("")
    tools = folder / "tools"
    tools.mkdir()
    (tools / "uv").write_text("#!/bin/sh\n")
    (tools / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tools), prepend=":")

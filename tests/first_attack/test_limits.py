"""S3: hangs, and memory without a bound."""

from __future__ import annotations

import os
import shutil
import sys
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest

from tests.chaos.hostile_headers import framed
from tests.chaos.pieces import picture
from tests.first_attack.attacked import GUIDED, User
from tests.media_files import write_media

GIGABYTE = 1 << 30


@pytest.mark.parametrize("far", [3e5, 3e7])
def test_a_gap_in_time_stamps_takes_no_time(user: User, far: float) -> None:
    write_media(user.folder / "gap.mkv", picture(frames=3), None, stamps=[0.0, 0.038, far])
    assert user("evaluate", "gap.mkv", "-m", "av_align").code


def test_ten_hours_of_silence_take_no_memory(user: User) -> None:
    with av.open(str(user.folder / "long.mkv"), "w") as container:
        stream = container.add_stream("flac", rate=16000, layout="mono")
        moving = container.add_stream("ffv1", rate=8)
        moving.width = moving.height = 16
        moving.pix_fmt = "bgr0"
        block = np.zeros((1, 16000 * 60), np.int16)
        for minute in range(600):
            heard = av.AudioFrame.from_ndarray(block, format="s16", layout="mono")
            heard.sample_rate, heard.pts = 16000, minute * block.shape[1]
            container.mux(stream.encode(heard))
        container.mux(stream.encode())
        for j in range(16):
            shown = av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8), format="rgb24")
            shown.pts = j
            container.mux(moving.encode(shown))
        container.mux(moving.encode())
    user("evaluate", "long.mkv", "-m", "av_align", memory=2.5)


def test_two_vast_pictures_are_refused_before_they_are_there(user: User) -> None:
    with av.open(str(user.folder / "vast.mkv"), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 8000
        stream.pix_fmt = "yuv420p"
        for j in range(2):
            frame = av.VideoFrame(8000, 8000, "yuv420p")
            frame.pts = j
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    user("evaluate", "vast.mkv", "-m", "av_align", memory=1.5)


@pytest.mark.parametrize("where", ["fifo", "endless"])
def test_a_table_of_prompts_that_never_ends_is_not_read(user: User, clips: Path, where: str) -> None:
    if where == "fifo":
        os.mkfifo(clips / "p.csv")
    else:
        (clips / "p.csv").symlink_to("/dev/zero")
    user("evaluate", "clips", "-m", "ib_bounce_tv", memory=3)


@pytest.mark.parametrize("name", ["samples/000001.mkv", "samples/000001.json", "records.jsonl"])
def test_a_fifo_in_a_run_is_not_waited_for(user: User, run: Path, name: str) -> None:
    (run / name).unlink()
    os.mkfifo(run / name)
    assert user("show", run, "--verify").code if name.startswith("samples") else True
    user("table")


def test_a_fifo_among_features_is_not_waited_for(user: User, run: Path) -> None:
    shard = next((user.folder / "runs" / "features").glob("flow_*/*.safetensors"))
    shard.unlink()
    os.mkfifo(shard)
    shutil.rmtree(run / "scores")
    assert user("evaluate", run, "-m", "av_align").code == 0


def test_a_declaration_that_is_a_fifo_is_refused(user: User) -> None:
    os.mkfifo(user.folder / "s.toml")
    assert user("run", "-s", "external:s.toml", "-d", "bounce", "-n", "2").code


def test_a_frame_that_is_a_fifo_fails_one_sample(user: User) -> None:
    (user.folder / "p.py").write_text(
        "import json, os, sys\n"
        "for line in open(sys.argv[1]):\n"
        "    out = json.loads(line)['output']\n"
        "    os.mkdir(out)\n"
        "    os.mkfifo(out + '/0.png')\n"
    )
    command = f'["{sys.executable}", "{user.folder}/p.py", "{{prompts}}", "{{out}}"]'
    (user.folder / "s.toml").write_text(f'name = "s"\ncommand = {command}\ntimeout = 60\n')
    assert user("run", "-s", "external:s.toml", "-d", "bounce", "-n", "2", "-m", "av_align").code


def test_a_zip_bomb_is_refused_before_it_is_memory(user: User) -> None:
    with zipfile.ZipFile(user.folder / "bomb.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        pickled = (
            b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0"
            b"0X\x03\0\0\0cpuJ\0\0\0\x30tQK\0J\0\0\0\x30\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtR."
        )
        archive.writestr(zipfile.ZipInfo("archive/data.pkl"), pickled)
        archive.writestr(zipfile.ZipInfo("archive/version"), "3\n")
        with archive.open("archive/data/0", "w", force_zip64=True) as entry:
            for _ in range(3 * 1024):
                entry.write(bytes(1 << 20))
    guided(user, "bomb.pt")


HOLES = {"data": b'{"a":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}', "header": b""}


@pytest.mark.parametrize("where", HOLES)
def test_a_file_of_holes_is_refused_before_it_is_memory(user: User, where: str) -> None:
    header = HOLES[where]
    size = 6 * GIGABYTE
    start = framed(header % (size, size), b"") if header else (5 * GIGABYTE).to_bytes(8, "little")
    with (user.folder / "holes.safetensors").open("wb") as file:
        file.write(start)
        file.truncate(len(start) + size)
    guided(user, "holes.safetensors")


def guided(user: User, file: str) -> None:
    """A run that would be guided by a file: it is refused, and takes no more memory than others."""
    done = user(*GUIDED, "--set", f"discriminator={file}", memory=2)
    assert done.refused(file)

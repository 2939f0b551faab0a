"""S4: tracebacks, one file that ends a whole job, and plugins that end everything."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mmbench.media.clip_files import write_lossless
from mmbench.types import Clip
from tests.chaos.hostile_headers import headers
from tests.chaos.pieces import encoded, replaced
from tests.first_attack.attacked import GUIDED, REVISION, STEPS, User
from tests.test_hostile_plugins import BEHAVIOURS

AV = ["-m", "av_align"]
HEADERS = {name: data for name, data, _ in headers()}
BAD_HEADERS = sorted(HEADERS)[:: max(1, len(HEADERS) // 6)]


def test_an_unknown_codec_does_not_end_the_job(user: User, clips: Path) -> None:
    (clips / "odd.mp4").write_bytes(replaced(encoded("mp4", "libx264"), b"avc1\0\0\0\0", b"zzzz\0\0\0\0"))
    done = user("evaluate", "clips", *AV, "-f", "json")
    assert "odd.mp4" in done.err
    assert {record["n_scored"] for record in done.records} == {4}


def test_a_name_that_is_no_utf_8_does_not_end_the_job(user: User, clips: Path) -> None:
    clip = next(clips.iterdir())
    shutil.copy(clip, os.fsencode(clips) + b"/\xff.mkv")
    done = user("evaluate", "clips", *AV, "-f", "json")
    assert min(record["n_scored"] for record in done.records) >= 4


def test_a_reference_of_silence_has_no_distance_and_says_so(user: User, clips: Path) -> None:
    (user.folder / "silent").mkdir()
    video = np.zeros((16, 64, 64, 3), np.uint8)
    for k in range(4):
        clip = Clip(video + np.uint8(k), 8, np.zeros(32000, np.float32), 16000)
        write_lossless(clip, user.folder / "silent" / f"{k}.mkv")
    user("evaluate", "clips", "-d", "folder:silent", "-m", "fad_bounce")


@pytest.fixture
def restricted(user: User) -> User:
    """A user who may not read and write all."""
    setpriv = shutil.which("setpriv")
    if os.geteuid() == 0:
        if setpriv is None:
            pytest.skip("root may read all, and setpriv is not here")
        user.before = [setpriv, "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]
    return user


@pytest.mark.parametrize("name", ["manifest.json", "records.jsonl", "samples"])
def test_what_may_not_be_read_is_named(restricted: User, run: Path, name: str) -> None:
    (run / name).chmod(0)
    done = restricted("table")
    listed = restricted("list", "runs")
    (run / name).chmod(0o755)
    assert name in done.err + listed.err + listed.out + done.out or name == "samples"


def test_one_unreadable_run_hides_no_other(restricted: User, run: Path) -> None:
    shutil.copytree(run, run.with_name("other-bounce-s5-00000000"))
    manifest = run.with_name("other-bounce-s5-00000000") / "manifest.json"
    manifest.chmod(0)
    done = restricted("list", "runs")
    assert run.name in done.out


def test_folders_that_may_not_be_written_are_named(restricted: User, run: Path) -> None:
    folders = [run, run / "scores", user_features := restricted.folder / "runs" / "features", *user_features.iterdir()]
    for folder in folders:
        folder.chmod(0o555)
    restricted("evaluate", run, "-m", "ib_bounce_tv")
    for folder in folders:
        folder.chmod(0o755)


def test_a_byte_that_is_no_utf_8_in_records(user: User, run: Path) -> None:
    data = bytearray((run / "records.jsonl").read_bytes())
    data[100] = 0xFF
    (run / "records.jsonl").write_bytes(data)
    user("table")


@pytest.mark.parametrize("name", ["invocations.jsonl", "resources.jsonl"])
def test_a_byte_that_is_no_utf_8_in_a_log(user: User, run: Path, name: str) -> None:
    data = bytearray((run / name).read_bytes())
    data[len(data) // 2] = 0xFF
    (run / name).write_bytes(data)
    user("show", run)


@pytest.mark.parametrize("name", BAD_HEADERS)
def test_a_malformed_header_as_discriminator(user: User, name: str) -> None:
    (user.folder / "bad.safetensors").write_bytes(HEADERS[name])
    assert user(*GUIDED, "--set", "discriminator=bad.safetensors").refused("bad.safetensors")


@pytest.mark.parametrize("value", ["5", "[1,2]"])
def test_a_discriminator_that_is_no_file(user: User, value: str) -> None:
    assert user(*GUIDED, "--set", f"discriminator={value}").code


def test_a_table_of_prompts_in_latin_1(user: User, clips: Path) -> None:
    (clips / "p.csv").write_bytes("file,prompt\n000000.mkv,b\xe4ll\n".encode("latin-1"))
    user("evaluate", "clips", "-m", "ib_bounce_tv")


def test_a_table_of_prompts_with_a_vast_field(user: User, clips: Path) -> None:
    (clips / "p.csv").write_text("file,prompt\n000000.mkv," + "a" * 140_000 + "\n")
    user("evaluate", "clips", "-m", "ib_bounce_tv")


def test_a_folder_called_like_a_table(user: User, clips: Path) -> None:
    (clips / "x.csv").mkdir()
    user("evaluate", "clips", "-m", "ib_bounce_tv")


def test_impossible_channels_are_refused_before_pools(user: User) -> None:
    done = user("train", "-s", "tiny", "-d", "bounce", "--channels", "8", "--num-real", "4", "--num-fake", "4", *STEPS)
    assert done.code
    assert not list(user.folder.glob("runs/discriminators/**/*.safetensors"))


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_of_few_characters(user: User, run: Path, encoding: str) -> None:
    user.variables["PYTHONIOENCODING"] = encoding
    assert user("table").code == 0


@pytest.mark.parametrize("redirection", [">&-", "> /dev/full"])
def test_a_closed_or_full_stdout(user: User, run: Path, redirection: str) -> None:
    user.before = ["bash", "-c", f'"$@" {redirection}', "bash"]
    user("table")


def test_a_home_of_nobody(user: User) -> None:
    process = subprocess.run(
        [sys.executable, "-m", "mmbench", "weights", "list"],
        cwd=user.folder,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REVISION), "MMBENCH_HOME": "~nouser"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in process.stderr


def test_a_fifo_to_evaluate(user: User) -> None:
    os.mkfifo(user.folder / "a.mp4")
    assert user("evaluate", "a.mp4", *AV).code


@pytest.mark.parametrize("name", ["exits", "bases", "prints", "hangs"])
def test_a_plugin_does_not_end_every_command(user: User, name: str) -> None:
    site = user.folder / "site"
    told = site / "misbehaving-1.0.dist-info"
    told.mkdir(parents=True)
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    (told / "entry_points.txt").write_text(f"[mmbench.systems]\n{name} = plugin_{name}\n")
    (site / f"plugin_{name}.py").write_text(BEHAVIOURS[name] + "\n")
    user.site = [site]
    user.variables["MMBENCH_PLUGIN_SECONDS"] = "2"
    done = user("list", "systems", "-f", "json")
    assert "tiny" in {row["name"] for row in json.loads(done.out)}

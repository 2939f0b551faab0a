"""Programs of other people: what they are told, what they may leave, and how they may fail."""

from __future__ import annotations

import json
import os
import signal
import sys
import wave
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from mmbench.baselines.external import External
from mmbench.baselines.kinds import program as external_program
from mmbench.errors import MMBenchError, UsageError
from mmbench.media.clip_files import write_lossless
from mmbench.process_identity import process_start
from mmbench.runs.generate import generate
from mmbench.runs.spec import make_requests, make_runspec
from mmbench.runs.store import SampleStore
from mmbench.system_names import SystemName, make_system, parse_system_name
from mmbench.types import Clip
from tests.commands import FIXTURE, digests, mmbench, mmbench_here, only_store, start
from tests.fixture_distribution.mmbench_fixture import FORMAT, FixtureDataset
from tests.media_files import clicks, flashes
from tests.runs.test_resume import stored, wait_for

N = 6
REQUESTS = make_requests(FixtureDataset(), N, seed=0)
PROGRAM = """
import json, os, shutil, subprocess, sys, time
from pathlib import Path
here, out = Path(__file__).parent, Path(sys.argv[2])
lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
faults = json.loads((here / "faults.json").read_text())
with open(here / "calls.jsonl", "a") as calls:
    calls.write(json.dumps({"lines": lines, "cwd": os.getcwd(), "greeting": os.environ.get("GREETING")}) + "\\n")
for line in lines:
    time.sleep(faults.get("seconds", 0))
    fault = faults.get(str(line["index"]), "")
    print("now", line["id"], flush=True)
    if fault == "crash":
        sys.exit("out of memory, says the program")
    if fault == "abort":
        os.abort()
    if fault == "hang":
        sleeper = subprocess.Popen([sys.executable, "-c", "import signal, time\\n"
            "signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"])
        (here / "sleeper").write_text(str(sleeper.pid))
        time.sleep(600)
    if fault == "rubbish":
        Path(line["output"] + ".mp4").write_text("not a video")
    elif fault:
        for file in (here / fault).iterdir():
            target = out / file.name.replace("clip", line["id"])
            (shutil.copytree if file.is_dir() else shutil.copy)(file, target)
    elif fault is not None:
        shutil.copy(here / f"{line['index'] % 3}.mkv", line["output"] + ".mkv")
"""
HEAD = f'name = "fake"\ncommand = ["{sys.executable}", "fake.py", "{{prompts}}", "{{out}}"]\n'


def wav(path: Path, audio: np.ndarray, rate: int = 16000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, rate, 0, "NONE", ""))
        file.writeframes((audio * 32767).astype("<i2").tobytes())


def folder(path: Path) -> Path:
    path.mkdir()
    return path


@pytest.fixture(autouse=True)
def _short_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(external_program, "GRACE", 0.3)


@pytest.fixture
def fake(tmp_path: Path) -> Path:
    """A declaration of a program that copies clips lying beside it, and fails on demand."""
    root = folder(tmp_path / "fake")
    (root / "fake.py").write_text(PROGRAM)
    (root / "faults.json").write_text("{}")
    video, audio = flashes(3, 8, 8), clicks([0.1], 0.375, 16000)
    for i in range(3):
        write_lossless(Clip(video + np.uint8(i), 8, audio, 16000), root / f"{i}.mkv")
    write_lossless(Clip(video, 8, np.zeros(0, np.float32), 16000), folder(root / "silent") / "clip.mkv")
    write_lossless(Clip(video[:2], 8, audio, 16000), folder(root / "short") / "clip.mkv")
    write_lossless(Clip(video, 8, audio[:800], 16000), folder(root / "short_sound") / "clip.mkv")
    pair = folder(root / "pair")
    write_lossless(Clip(video, 8, np.zeros(0, np.float32), 16000), pair / "clip.mkv")
    wav(pair / "clip.wav", audio)
    two = folder(root / "two")
    for suffix in (".mkv", ".mov"):
        (two / f"clip{suffix}").write_bytes((root / "0.mkv").read_bytes())
    frames = folder(root / "frames")
    wav(frames / "clip.wav", audio)
    for i, frame in enumerate(video):
        picture = av.VideoFrame.from_ndarray(frame, format="rgb24").to_image()
        picture.save(folder(frames / "clip") / "0.png" if i == 0 else frames / "clip" / f"{i + 9}.png")
    odd = folder(root / "odd")
    wav(odd / "clip.wav", audio)
    (folder(odd / "clip") / "0.png").write_text("not a picture")
    (root / "fake.toml").write_text(HEAD + f'batch_size = {N}\ntimeout = 60\nenvironment = {{ GREETING = "hello" }}\n')
    return root / "fake.toml"


def faults(fake: Path, **by_index: Any) -> None:
    (fake.parent / "faults.json").write_text(json.dumps({k.lstrip("_"): v for k, v in by_index.items()}))


def made(fake: Path, out: Path, batch: int = N, num: int = N) -> SampleStore:
    """The run of the program under `out`; samples that failed before are tried again."""
    dataset = FixtureDataset()
    system = make_system(f"external:{fake}", dataset=dataset)
    store = SampleStore.create(out, make_runspec(system, dataset, 0, system.name, dataset.name))
    system.keep_files_in(store.folder / "work")
    generate(store, system, REQUESTS[:num], batch_size=batch, retry_failed=True)
    return store


def calls(fake: Path) -> list[Any]:
    return [json.loads(line) for line in (fake.parent / "calls.jsonl").read_text().splitlines()]


def records(store: SampleStore) -> dict[int, str]:
    return {i: store.record(i).digest for i in store.status().present}


def test_it_is_told_all_that_a_clip_should_be(fake: Path, tmp_path: Path) -> None:
    store = made(fake, tmp_path / "runs", num=3)
    assert store.status(3).present == [0, 1, 2]
    assert not any((store.folder / "work").iterdir())
    (call,) = calls(fake)
    assert call["cwd"] == str(fake.parent)
    assert call["greeting"] == "hello"
    assert [line["id"] for line in call["lines"]] == ["000000", "000001", "000002"]
    line = call["lines"][1]
    assert (line["prompt"], line["prompt_id"], line["index"]) == ("roar", "p1", 1)
    assert {key: line[key] for key in asdict(FORMAT)} == asdict(FORMAT)
    assert line["output"].endswith("/out/000001")
    assert len({line["seed"] for line in call["lines"]}) == 3
    made(fake, tmp_path / "again", batch=1, num=3)
    assert [call["lines"][0]["seed"] for call in calls(fake)[1:]] == [line["seed"] for line in call["lines"]]


@pytest.mark.parametrize("form", ["pair", "frames"])
def test_sound_beside_the_video_and_frames_in_a_folder_are_read(fake: Path, tmp_path: Path, form: str) -> None:
    faults(fake, _0=form)
    clip = made(fake, tmp_path / "runs", num=1).source(0).load()
    assert np.array_equal(clip.video, flashes(3, 8, 8))
    assert (float(clip.fps), clip.sample_rate, len(clip.audio)) == (FORMAT.fps, 16000, FORMAT.num_samples)
    assert np.abs(clip.audio - clicks([0.1], 0.375, 16000)[: FORMAT.num_samples]).max() < 1e-3


UNUSABLE = [
    ("rubbish", "cannot be read as media"),
    (None, "nothing of sample 000001"),
    ("silent", "holds no sound"),
    ("short", "too short: 2 frames"),
    ("short_sound", "audio is too short"),
    ("two", "000001.mkv, 000001.mov of sample 000001"),
    ("odd", "picture that cannot be read"),
]


@pytest.mark.parametrize(("fault", "reason"), UNUSABLE, ids=[str(fault) for fault, _ in UNUSABLE])
def test_what_cannot_be_used_fails_alone_without_a_second_run(
    fake: Path, tmp_path: Path, fault: str | None, reason: str
) -> None:
    faults(fake, _1=fault)
    store = made(fake, tmp_path / "runs", num=3)
    assert (store.status(3).present, store.status(3).failed) == ([0, 2], [1])
    assert "fake left nothing usable" in store.failure(1).reason
    assert reason in store.failure(1).reason
    assert len(calls(fake)) == 1


@pytest.mark.e2e
def test_crashes_and_hangs_fail_alone_name_their_log_and_can_be_retried(fake: Path, tmp_path: Path) -> None:
    undisturbed = records(made(fake, tmp_path / "undisturbed"))
    assert len(undisturbed) == N
    fake.write_text(fake.read_text().replace("timeout = 60", "timeout = 1.5"))
    faults(fake, _1="crash", _3="hang", _4="abort")
    store = made(fake, tmp_path / "runs")
    assert store.status(N).failed == [1, 3, 4]
    assert records(store) == {i: undisturbed[i] for i in (0, 2, 5)}
    reasons = {i: store.failure(i).reason for i in (1, 3, 4)}
    assert "fake ended with exit code 1" in reasons[1]
    assert "fake did not end within 1.5 s" in reasons[3]
    assert "fake was ended by SIGABRT" in reasons[4]
    log = Path(reasons[1].partition("; see ")[2])
    assert log.is_relative_to(store.folder)
    assert log.read_text() == "now 000001\nout of memory, says the program\n"
    sleeper = int((fake.parent / "sleeper").read_text())
    wait_for(lambda: process_start(sleeper) is None, seconds=10)
    faults(fake)
    assert records(made(fake, tmp_path / "runs")) == undisturbed  # of the same run: the time-out is not in its identity


def test_clips_of_a_batch_that_ended_badly_count(fake: Path, tmp_path: Path) -> None:
    faults(fake, _3="crash")
    made(fake, tmp_path / "runs")
    asked = [[line["index"] for line in call["lines"]] for call in calls(fake)]
    assert asked == [[0, 1, 2, 3, 4, 5], [3], [4], [5]]


def test_an_interrupt_ends_the_program(fake: Path, tmp_path: Path) -> None:
    faults(fake, _0="hang")
    system = External(str(fake), dataset=FixtureDataset())
    system.keep_files_in(tmp_path)

    sleeper = fake.parent / "sleeper"

    def look(*_: Any) -> None:
        if sleeper.exists() and sleeper.read_text():
            signal.setitimer(signal.ITIMER_REAL, 0)
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 0.05, 0.05)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(system.generate(REQUESTS[:1]))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    pid = int(sleeper.read_text())
    wait_for(lambda: process_start(pid) is None, seconds=10)


@pytest.mark.e2e
def test_killed_and_resumed_it_makes_the_same_run(fake: Path, tmp_path: Path) -> None:
    out, whole = tmp_path / "killed", tmp_path / "whole"
    arguments = ("-s", f"external:{fake}", *FIXTURE[2:], "-n", str(N), "--batch-size", "2", "--out")
    faults(fake, seconds=0.1)
    process = start("generate", *arguments, out)
    wait_for(lambda: stored(out) >= 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    faults(fake)
    assert 2 <= stored(out) < N
    for folder in (out, whole):
        done = mmbench("generate", *arguments, folder)
        assert done.returncode == 0, done.stderr
    assert digests(out) == digests(whole)
    assert only_store(out).folder.name.startswith("external_fake-fixture_dataset-s0-")


def test_the_identity_is_the_command_and_the_files(fake: Path) -> None:
    def spec() -> Any:
        return External(str(fake), dataset=FixtureDataset()).spec()

    first, text = spec(), fake.read_text()
    assert set(first["declared"]["files"]) == {sys.executable, "fake.py"}
    fake.write_text(text.replace("timeout = 60", "timeout = 61").replace(f"batch_size = {N}", "batch_size = 1"))
    assert spec() == first
    changed = []
    for old, new in (('"{out}"]', '"{out}", "-v"]'), ("hello", "good day"), ("timeout", "version = 2\ntimeout")):
        fake.write_text(text.replace(old, new))
        changed.append(spec())
    fake.write_text(text + 'files = ["0.mkv"]\n')
    changed.append(spec())
    (fake.parent / "fake.py").write_text(PROGRAM + "# another version\n")
    changed.append(spec())
    assert len({json.dumps(s, sort_keys=True) for s in [first, *changed]}) == 6


BAD = [
    ("", "name is None"),
    ('name = "a b"\ncommand = ["ls", "{prompts}", "{out}"]', "name is 'a b'"),
    ('name = "a"\ncommand = "ls {prompts} {out}"', "command is"),
    ('name = "a"\ncommand = ["ls", "{out}"]', "{prompts}, the file to read"),
    (HEAD + "timeout = 0", "timeout is 0"),
    (HEAD + "batch_size = 1.5", "batch_size is 1.5"),
    (HEAD + "environment = { A = 1 }", "environment is"),
    (HEAD + 'weights = "fake"', "weights is 'fake'"),
    (HEAD + "tiemout = 5", "the key 'tiemout'"),
    (HEAD + 'directory = "nowhere"', "no directory"),
    (HEAD + 'files = ["nothing"]', "no file"),
    ('name = "a"\ncommand = ["no-such-program", "{prompts}", "{out}"]', "no program 'no-such-program'"),
    ('name = "a"\ncommand = ["./absent", "{prompts}", "{out}"]', "no program './absent'"),
    ("name = ", "is not TOML"),
]


@pytest.mark.parametrize(("text", "hint"), BAD, ids=[hint for _, hint in BAD])
def test_bad_declarations_say_what_is_wrong(tmp_path: Path, text: str, hint: str) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(MMBenchError) as caught:
        make_system(f"external:{tmp_path / 'bad.toml'}", dataset=FixtureDataset())
    assert hint in str(caught.value)


def test_names_with_an_argument(tmp_path: Path, fake: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert parse_system_name("external:a+b/c.toml") == SystemName("external", argument="a+b/c.toml")
    assert str(parse_system_name("external:c.toml")) == "external:c.toml"
    for name in ("external", f"external:{tmp_path / 'none.toml'}", "tiny:5"):
        with pytest.raises(UsageError):
            make_system(name, dataset=FixtureDataset())
    done = mmbench_here(capsys, "run", "-s", f"external:{fake}", "-m", "av_align", "-n", "2", "--out", tmp_path / "out")
    assert done.returncode == 1
    assert "sample 1 failed" in done.stderr  # bounce wants 2 s
    assert next((tmp_path / "out").glob("external_fake-bounce-s0-*/work/*/log.txt")).read_text()
    assert "external:FILE.toml" in mmbench_here(capsys, "show", "external").stdout


def test_without_a_harness_it_works_in_a_temporary_folder(
    fake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    clips = list(External(str(fake), dataset=FixtureDataset()).generate(REQUESTS[:2]))
    assert [clip.size() for clip in clips] == ["3x8x8@8+4000@16000"] * 2
    assert clips[0].notes["video"]["codec"] == "ffv1"
    assert os.listdir(tmp_path) == ["fake"]

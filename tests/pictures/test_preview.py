"""`mmbench preview`: what stands where on the sheet, what the files hold, and which runs may stand side by side."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mmbench.errors import IntegrityError, UsageError
from mmbench.media.clip_files import write_lossless
from mmbench.media.decode import decode
from mmbench.pictures import contact_sheet as sheet
from mmbench.pictures.columns import open_columns
from mmbench.pictures.preview import enlarged, find_places, preview
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.scores.records import save
from mmbench.types import Clip, Prompt, Request, Score
from tests.builders import clip as noise
from tests.builders import record
from tests.commands import mmbench_here


def grey(seconds: float = 2.0, frames: int = 16, size: tuple[int, int] = (32, 32)) -> Clip:
    """Frames of one grey each, 10 levels apart, over silence."""
    video = np.zeros((frames, *size, 3), np.uint8) + (10 * np.arange(frames, dtype=np.uint8))[:, None, None, None]
    return Clip(video, frames / seconds, np.zeros(round(seconds * 16000), np.float32), 16000)


@pytest.mark.parametrize("num_runs", [1, 2, 3, 5, 8])
def test_blocks_of_a_row_stand_under_their_names(num_runs: int) -> None:
    head, row = sheet.sheet_header(["run"] * num_runs), sheet.sheet_row("prompt", [grey()] * num_runs)
    width = sheet.block_width(num_runs)
    assert head.shape[1] == row.shape[1] == sheet.GAP + num_runs * (width + sheet.GAP)
    assert head.shape[1] <= max(sheet.SHEET_WIDTH, sheet.GAP + num_runs * (sheet.NARROWEST + sheet.GAP))
    for k in range(num_runs):  # silence is the darkest colour, from edge to edge
        left = sheet.GAP + k * (width + sheet.GAP)
        dark = (row[-sheet.GAP - sheet.AXIS_HEIGHT - 2] == row[-sheet.GAP - sheet.AXIS_HEIGHT - 2, left]).all(axis=-1)
        assert dark[left : left + width].all()
        assert not dark[left - 1]
        assert not dark[left + width : left + width + 1].any()


@pytest.mark.parametrize("width", [512, 853, 1024])
def test_a_frame_stands_at_its_time(width: int) -> None:
    strip = sheet.frame_strip(grey(), width / 2.0)
    assert strip.shape[1] == width
    step = 1 if width > 700 else 2
    for i in range(0, 16, step):
        middle = round((i + step / 2) * width / 16)
        np.testing.assert_allclose(strip[:, middle], 10 * i, atol=1)
    assert (np.diff(strip[0, :, 0].astype(int)) >= 0).all(), "no line between frames"


def test_few_frames_keep_their_shape_and_many_are_thinned() -> None:
    few = sheet.frame_strip(grey(frames=3, size=(32, 64)), 512)
    assert few.shape[0] == sheet.FRAME_HEIGHT
    shown = (few != sheet.VOID).any(axis=(0, 2))
    assert shown.sum() == 3 * 2 * sheet.FRAME_HEIGHT
    assert shown[round(1024 / 3) : round(1024 / 3) + 2 * sheet.FRAME_HEIGHT].all()
    many = sheet.frame_strip(replace(grey(frames=25), fps=12.5), 256)
    assert len(np.unique(many[0, :, 0])) <= 512 / sheet.LEAST_FRAME + 1


def test_a_shorter_clip_ends_earlier_and_an_absent_one_is_said_to_be() -> None:
    row = sheet.sheet_row("prompt", [grey(2.0), grey(1.0, 8), None])
    width, middle = sheet.block_width(3), sheet.TITLE + 20
    second = sheet.GAP + width + sheet.GAP
    assert (row[middle, second + width // 2 + 2 : second + width] == 255).all()
    third = second + width + sheet.GAP
    assert (row[middle, third : third + 40] == sheet.VOID).all()


@pytest.mark.parametrize(
    ("duration", "step"), [(2.0, 0.5), (10.0, 2.0), (0.375, 0.1), (4.0, 1.0), (1.0, 0.2), (5.0, 1.0)]
)
def test_ticks_are_round_and_few(duration: float, step: float) -> None:
    assert sheet.tick_step(duration) == pytest.approx(step)


def make_run(out: Path, system: str, *, seed: int = 0, indices: tuple[int, ...] = (0, 1), text: str = "a ball") -> Path:
    run = RunSpec(system, "d", seed, "none", {"system": system, "seed": seed})
    store = SampleStore.create(out, run)
    for i in indices:
        store.commit(Request(Prompt(f"p{i}", f"{text} {i}"), i, seed), noise(i, samples=6000), 0.1)
    return store.folder


class Links(HTMLParser):
    """What a page refers to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [str(value) for name, value in attrs if name in ("src", "href")]


def test_a_gallery_holds_what_can_be_seen_and_heard(tmp_path: Path) -> None:
    a, b = make_run(tmp_path, "a+x", text="<b> ball"), make_run(tmp_path, "b", indices=(1, 2), text="<b> ball")
    score = Score(0.5, 0.1, 2, per_sample=np.array([0.25, np.nan]))
    save(a, record(metric="m.v", n_expected=2, n_scored=1), score, [{"id": "000000"}, {"id": "000001"}])
    to = tmp_path / "look"
    rows, notes = preview(open_columns([a, b]), 8, to)
    assert notes == []
    assert [row["what"] for row in rows][2] == "4 videos with sound"
    text = (to / "index.html").read_text()
    links = Links(text).found
    assert sorted(links) == sorted(str(p.relative_to(to)).replace("+", "%2B") for p in to.glob("*/*.mp4"))
    assert len(links) == 4
    assert "://" not in text
    assert text.count("no sample") == 2
    assert "&lt;b&gt; ball 2" in text
    assert re.search(r"<dt>m</dt><dd>0.250</dd>.*<dt>m</dt><dd>unscored</dd>", text, re.DOTALL)
    clip = decode(to / a.name / "000001.mp4")
    assert clip.video.shape == (3, 256, 256, 3)
    assert len(clip.audio) == pytest.approx(6000, abs=2048)
    assert (to / "contact_sheet.png").read_bytes()[:4] == b"\x89PNG"


def test_small_videos_are_enlarged_pixel_by_pixel() -> None:
    small = noise(size=8)
    np.testing.assert_array_equal(enlarged(small).video[:, ::32, ::32], small.video)
    large = Clip(np.zeros((1, 256, 300, 3), np.uint8), 8.0, np.zeros(0, np.float32), 16000)
    assert enlarged(large) is large


@pytest.mark.e2e
def test_all_runs_are_taken_controls_first_and_submissions_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("runs")
    runs = [make_run(out, name) for name in ("a", "independent", "ground_truth")]
    made = submit(capsys, "mine", (0, 1))
    places, notes = find_places((), out)
    assert places == runs[::-1]
    (note,) = notes
    typed = mmbench_here(capsys, *note.partition("try: mmbench ")[2].split())
    assert typed.returncode == 0, typed.stderr
    assert find_places(("a-d", "ground", "mine"), out)[0] == [runs[0], runs[2], Path("mine")]
    for run in runs:
        shutil.rmtree(run)
    assert find_places((), out) == ([made], [])


def test_two_runs_of_one_system_are_told_apart_by_what_differs(tmp_path: Path) -> None:
    stores = [SampleStore.create(tmp_path, RunSpec("a", "d", 0, "none", {"steps": k})) for k in (2, 30)]
    assert [c.name for c in open_columns([s.folder for s in stores])] == ["a (steps=2)", "a (steps=30)"]


def submit(capsys: pytest.CaptureFixture[str], name: str, seeds: tuple[int, ...], first: int = 0) -> Path:
    """A folder of clips in the working directory, evaluated; returns the folder of its records."""
    Path(name).mkdir()
    for i, seed in enumerate(seeds, start=first):
        write_lossless(noise(seed, samples=6000), Path(name) / f"clip{i}.mkv")
    done = mmbench_here(capsys, "evaluate", name, "-m", "av_align")
    assert done.returncode == 0, done.stderr
    return next(Path("runs").glob(f"{name}-*"))


@pytest.mark.e2e
def test_submissions_stand_side_by_side_by_their_names_with_their_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    submit(capsys, "one", (0, 1, 2)), submit(capsys, "two", (3, 4), first=1)
    (tmp_path / "new").mkdir()
    write_lossless(noise(9, samples=6000), tmp_path / "new" / "clip2.mkv")
    shown = mmbench_here(capsys, "preview", "one", "two", "new", "--to", "look")
    assert shown.returncode == 0, shown.stderr
    text = (tmp_path / "look" / "index.html").read_text()
    rows = [re.findall(r'src="([^"]+)"|class="none">([^<]+)', row) for row in text.split("<tr>")[2:]]
    there = [[bool(file) for file, _ in row] for row in rows]
    assert there == [[True, False, False], [True, True, False], [True, True, True]]
    assert "<th>clip2<br>" in text
    assert "<dt>av_align</dt>" in text
    shown_there = decode(tmp_path / "look" / rows[2][1][0]).video.astype(int)
    off = [np.abs(shown_there - enlarged(noise(k, samples=6000)).video).mean() for k in range(5)]
    assert np.argmin(off) == 4, "the clip of the same name"
    assert "two to one: paired by file name, 2 of 3; only in one: clip0." in " ".join(shown.stdout.split())
    (tmp_path / "one" / "clip0.mkv").unlink()
    record = next((tmp_path / "runs").glob("one-*")).name
    gone = mmbench_here(capsys, "preview", record)
    assert gone.returncode == 1
    assert "others than" in gone.stderr
    assert mmbench_here(capsys, *gone.stderr.partition("try: mmbench ")[2].split()).returncode == 0


def test_a_clip_that_cannot_be_read_says_why_in_its_place(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", indices=(0, 1))
    file = run / "samples" / "000001.mkv"
    file.write_bytes(file.read_bytes()[:2000])
    rows, notes = preview(open_columns([run]), 2, tmp_path / "look")
    assert rows[2]["what"] == "1 videos with sound"
    assert notes == ["a: 1 clips cannot be read."]
    assert "000001.mkv holds" in (tmp_path / "look" / "index.html").read_text()


def test_random_weights_are_said_beside_samples_and_scores(tmp_path: Path) -> None:
    store = SampleStore.create(tmp_path, RunSpec("a", "d", 0, "random", {}))
    save(store.folder, record(extractor_weights="random"), Score(0.5, 0.1, 8), [None] * 8)
    (column,) = open_columns([store.folder])
    assert column.name == "a, random weights"
    assert column.values["m"] == "0.50 ± 0.10 (n = 8, random networks)"


def test_runs_that_do_not_pair_are_refused(tmp_path: Path) -> None:
    a, other_seed = make_run(tmp_path, "a"), make_run(tmp_path, "a", seed=1)
    with pytest.raises(UsageError, match="d seed 0, d seed 1 do not pair"):
        open_columns([a, other_seed])
    other_prompt = make_run(tmp_path, "c", text="two balls")
    with pytest.raises(UsageError, match="2 prompts"):
        preview(open_columns([a, other_prompt]), 2, tmp_path / "look")


@pytest.mark.e2e
def test_the_command_and_its_errors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(tmp_path, "a")
    good = mmbench_here(capsys, "preview", "a-d", "--out", tmp_path, "--format", "quiet")
    assert good.returncode == 0, good.stderr
    assert (tmp_path / "preview" / "index.html").is_file()
    for arguments, code, hint in [
        (["nothing", "--out", tmp_path], 2, "mmbench list runs"),
        (["--out", tmp_path / "empty"], 1, "mmbench run"),
        (["--out", tmp_path, "-n", "0"], 2, "mmbench preview --num 8"),
        (["--out", tmp_path, "--to", tmp_path / "a-d-file"], 1, "Cannot write to"),
    ]:
        (tmp_path / "a-d-file").write_text("")
        bad = mmbench_here(capsys, "preview", *arguments)
        assert bad.returncode == code, bad.stderr
        assert hint in bad.stderr


def test_a_damaged_run_is_left_out_and_named(tmp_path: Path) -> None:
    for system in ("a", "b"):
        SampleStore.create(tmp_path, RunSpec(system, "bounce", 0, "none", {}))
    first, second = sorted(tmp_path.iterdir())
    (first / "manifest.json").write_text("{")
    places, notes = find_places([], tmp_path)
    assert places == [second]
    assert f"damaged: {first.name}" in notes[0]
    (second / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match=first.name):
        find_places([], tmp_path)

"""`mmbench preview`: what the files hold, and which runs may stand side by side."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmbench.errors import IntegrityError, UsageError
from mmbench.media.clip_files import write_lossless
from mmbench.media.decode import decode
from mmbench.pictures.columns import open_columns
from mmbench.pictures.contact_sheet import LEGEND
from mmbench.pictures.panels import load_panels
from mmbench.pictures.preview import enlarged, find_places, preview, sample_title
from mmbench.pictures.rows import pair_columns
from mmbench.pictures.truth import Look
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.scores.records import save
from mmbench.types import Clip, Prompt, Request, Score
from tests.builders import clip as noise
from tests.builders import record
from tests.commands import mmbench_here


def make_run(out: Path, system: str, *, seed: int = 0, indices: tuple[int, ...] = (0, 1), text: str = "a ball") -> Path:
    run = RunSpec(system, "d", seed, "none", {"system": system, "seed": seed})
    store = SampleStore.create(out, run)
    for i in indices:
        store.commit(Request(Prompt(f"p{i}", f"{text} {i}"), i, seed), noise(i, samples=6000), 0.1)
    return store.folder


def test_what_can_be_seen_and_heard(tmp_path: Path) -> None:
    a, b = make_run(tmp_path, "a+x"), make_run(tmp_path, "b", indices=(1, 2))
    score = Score(0.5, 0.1, 2, per_sample=np.array([0.25, np.nan]))
    save(a, record(metric="m.v", n_expected=2, n_scored=1), score, [{"id": "000000"}, {"id": "000001"}])
    to = tmp_path / "look"
    columns = open_columns([a, b])
    assert [columns[0].scores(i) for i in (0, 1)] == [{"m": "0.250"}, {"m": "unscored"}]
    rows, notes = preview(columns, 8, to, gif=True)
    assert notes == ["True times of events are not looked for: Unknown dataset 'd'."]
    assert [row["what"] for row in rows] == [
        "contact sheet",
        "3 samples of 2 sets in step, each heard in turn",
        "3 samples of 2 sets in step, without sound",
    ]
    names = [f"{i:06d}.{suffix}" for i in range(3) for suffix in ("gif", "mp4")]
    assert sorted(file.name for file in to.iterdir()) == [*names, "contact_sheet.png"]
    turns = [len(decode(to / f"{i:06d}.mp4").video) // 9 for i in range(3)]  # 3 frames at 8 fps are 9 of the film
    assert turns == [1, 2, 1]


def test_a_sheet_holds_eight_samples_and_the_next_one_the_rest(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a", indices=tuple(range(9)))
    rows, _ = preview(open_columns([run]), 9, tmp_path / "look")
    assert [Path(row["file"]).name for row in rows[:-1]] == ["contact_sheet.png", "contact_sheet_2.png"]
    heights = [Image.open(row["file"]).height for row in rows[:-1]]
    header = 2 * LEGEND
    assert heights[0] - header == 8 * (heights[1] - header)


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
    columns = open_columns(find_places(("one", "two", "new"), Path("runs"))[0])
    rows, _ = pair_columns(columns, 8)
    assert rows == [[0, None, None], [1, 0, None], [2, 1, 0]]
    assert sample_title(columns, rows[2])[0] == "clip2"
    panels = load_panels(columns, rows[2], Look())
    assert "av_align" in panels[1].scores
    assert panels[1].clip is not None
    np.testing.assert_array_equal(panels[1].clip.video, noise(4, samples=6000).video, "the clip of the same name")
    shown = mmbench_here(capsys, "preview", "one", "two", "new", "--to", "look")
    assert shown.returncode == 0, shown.stderr
    assert sorted(file.name for file in Path("look").glob("*.mp4")) == [f"{i:06d}.mp4" for i in range(3)]
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
    columns = open_columns([run])
    assert "000001.mkv holds" in load_panels(columns, [1], Look())[0].reason
    rows, notes = preview(columns, 2, tmp_path / "look")
    assert rows[-1]["what"] == "2 samples of 1 sets in step, each heard in turn"
    assert notes[1:] == ["a: 1 clips cannot be read."]


def test_random_weights_are_said_beside_samples_and_scores(tmp_path: Path) -> None:
    store = SampleStore.create(tmp_path, RunSpec("a", "d", 0, "random", {}))
    score = Score(0.5, 0.1, 8, per_sample=np.full(8, 0.5))
    save(store.folder, record(extractor_weights="random"), score, [{"id": f"{i:06d}"} for i in range(8)])
    (column,) = open_columns([store.folder])
    assert column.name == "a, random weights"
    assert list(column.per_sample) == ["m (random networks)"]


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
    assert (tmp_path / "preview" / "contact_sheet.png").is_file()
    for arguments, code, hint in [
        (["nothing", "--out", tmp_path], 2, "mmbench list runs"),
        (["--out", tmp_path / "empty"], 1, "mmbench run"),
        (["--out", tmp_path, "-n", "0"], 2, "greater than or equal to 1"),
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

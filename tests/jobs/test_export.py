"""Exports for other benchmarks: what comes back is what was stored, and an interruption loses nothing."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from mmbench.errors import IncompleteError, MediaError, MMBenchError, UsageError
from mmbench.jobs.evaluate import evaluate_all
from mmbench.jobs.export import export_all
from mmbench.jobs.settings import Settings
from mmbench.jobs.submissions import WHOLE, Texts, open_submission
from mmbench.media.clip_files import write_preview
from mmbench.media.layouts.folder import EXPORT
from mmbench.media.layouts.known import LAYOUTS, recognise
from mmbench.runs.spec import RunSpec
from mmbench.runs.store import SampleStore
from mmbench.runs.stored import StoredSource
from mmbench.types import Clip, Prompt, Request
from tests.builders import clip
from tests.chaos.pieces import ffv1, flip
from tests.commands import mmbench_here
from tests.media.layouts.pieces import HARD


def store(out: Path, texts: Sequence[str], name: str = "made", skip: Sequence[int] = (), **size: int) -> SampleStore:
    """A run of clips of noise, all of one format; those in `skip` are missing."""
    made = SampleStore.create(out, RunSpec(name, "bounce", 0, "real", {"texts": list(texts)}))
    for index, text in enumerate(texts):
        if index not in skip:
            sample = replace(
                clip(index, **{"frames": 5, "size": 33, "samples": 9001, **size}), fps=Fraction(30000, 1001)
            )
            made.commit(Request(Prompt(f"p{index}", text), index, 0), sample, 0.0)
    return made


def send(run: SampleStore, layout: str, folder: Path, **options: bool) -> int:
    """Export a run; how many clips were written."""
    rows, _ = export_all([str(run.folder)], layout, folder, run.folder.parent, command=["mmbench", "export"], **options)
    return int(rows[0]["written"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_run_comes_back_clip_by_clip(layout: str, tmp_path: Path) -> None:
    run = store(tmp_path / "runs", HARD, skip=[3])
    assert send(run, layout, tmp_path / "there") == len(HARD) - 1
    back = open_submission(tmp_path / "there", "there", WHOLE, Texts(layout=layout))
    assert back.counts.failures == {}
    record = json.loads((tmp_path / "there" / EXPORT).read_text(encoding="utf-8"))
    assert [sample["prompt_id"] for sample in record["samples"]] == [f"p{i}" for i in range(len(HARD)) if i != 3]
    for sample, known in zip(back.samples, record["samples"], strict=True):
        assert sample is not None
        stored, read = run.source(known["index"]).load(), sample.source.load()
        assert Path(known["video"]).stem == sample.source.id
        assert sample.text == known["prompt"] == HARD[known["index"]]
        assert (read.digest(), read.fps) == (stored.digest(), stored.fps)
        assert "lossy" not in read.codecs()
    assert recognise(tmp_path / "there") == layout
    (tmp_path / "there" / EXPORT).unlink()
    assert recognise(tmp_path / "there") == layout  # by its folders and prompts


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_lossy_export_keeps_lengths_and_says_so(layout: str, tmp_path: Path) -> None:
    run = store(tmp_path / "runs", HARD[:2], samples=2669)  # round(5 / fps * 16000): as long as the picture
    rows, notes = export_all([str(run.folder)], layout, tmp_path / "there", tmp_path / "runs", lossy=True)
    assert rows[0]["lossy"] == "yes"
    assert notes[0].startswith("Lossy")
    record = json.loads((tmp_path / "there" / EXPORT).read_text(encoding="utf-8"))
    assert "both lossy" in record["codecs"]
    for sample in open_submission(tmp_path / "there", "there", WHOLE, Texts(layout=layout)).samples:
        assert sample is not None
        read = sample.source.load()
        assert (len(read.video), len(read.audio)) == (5, 2669)
        assert "lossy" in read.codecs()


@pytest.mark.e2e
@pytest.mark.parametrize("layout", LAYOUTS)
def test_scores_of_an_export_are_those_of_the_run(layout: str, tmp_path: Path) -> None:
    run = store(tmp_path / "runs", ["a", "b", "a"], frames=16, size=32, samples=8533)
    send(run, layout, tmp_path / "there")
    settings = Settings(metrics=("av_align",), out=tmp_path / "runs", quiet=True, workers=1)
    before, after = (
        evaluate_all(settings, [str(name)], texts=Texts(layout=layout))[0][0]
        for name in (run.folder, tmp_path / "there")
    )
    assert after.record.value == pytest.approx(before.record.value, abs=1e-9)
    assert after.record.baseline == pytest.approx(before.record.baseline, abs=1e-9)
    assert after.record.lossy is False
    assert after.record.n_scored == before.record.n_scored == 3


def test_an_interrupted_export_is_finished_by_typing_it_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store(tmp_path / "runs", ["a", "b", "c"])
    whole, there = StoredSource.load, tmp_path / "there"

    def stopped(source: StoredSource) -> Clip:
        if source.id == "000001":
            raise KeyboardInterrupt
        return whole(source)

    monkeypatch.setattr(StoredSource, "load", stopped)
    with pytest.raises(KeyboardInterrupt):
        send(run, "vbench", there)
    (there / ".partial" / ".clip.mp4.0a1b2c3d").write_text("half")  # as a killed process leaves it
    assert not (there / "prompts.json").exists()
    with pytest.raises(MMBenchError, match=r"unfinished export: 3 files missing, videos/b-0\.mp4") as stop:
        open_submission(there, "there", WHOLE, Texts(layout="vbench"))
    assert stop.value.next == "mmbench export"
    first = (there / "videos" / "a-0.mp4").stat().st_mtime_ns
    monkeypatch.undo()
    assert send(run, "vbench", there) == 2
    assert send(run, "vbench", there) == 0
    (there / "prompts.json").unlink()  # as a process leaves it that was killed between the last clip and the prompts
    with pytest.raises(MMBenchError, match="1 file missing, prompts"):
        open_submission(there, "there", WHOLE, Texts(layout="vbench"))
    assert send(run, "vbench", there) == 0
    assert (there / "videos" / "a-0.mp4").stat().st_mtime_ns == first
    assert sorted(p.name for p in there.iterdir()) == [EXPORT, "prompts.json", "videos"]
    assert len(open_submission(there, "there", WHOLE, Texts(layout="vbench")).sources) == 3


def test_a_longer_run_extends_its_export_but_no_name_gets_another_clip(tmp_path: Path) -> None:
    longer = store(tmp_path / "runs", ["a", "a", "b"])
    export_all([str(longer.folder)], "vbench", tmp_path / "there", tmp_path / "runs", num=2)
    assert send(longer, "vbench", tmp_path / "there") == 1
    gap = store(tmp_path / "others", ["a", "a"], skip=[0])
    send(gap, "vbench", tmp_path / "gap")
    gap.commit(Request(Prompt("p0", "a"), 0, 0), clip(9), 0.0)  # now a-0.mp4 would be this one
    with pytest.raises(UsageError, match="another export"):
        send(gap, "vbench", tmp_path / "gap")


def test_folders_of_other_things_are_not_touched(tmp_path: Path) -> None:
    run = store(tmp_path / "runs", ["a"])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("all of it")
    with pytest.raises(UsageError, match="not empty, and no export"):
        send(run, "vbench", tmp_path / "mine")
    send(run, "vbench", tmp_path / "there")
    for change in ({"layout": "javisbench"}, {"layout": "vbench", "lossy": True}):
        with pytest.raises(UsageError, match="another export: vbench"):
            send(run, folder=tmp_path / "there", **change)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="another export"):
        send(store(tmp_path / "others", ["b"]), "vbench", tmp_path / "there")
    assert [p.name for p in (tmp_path / "mine").iterdir()] == ["thesis.txt"]


def test_a_full_disk_leaves_whole_clips_and_says_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = store(tmp_path / "runs", ["a", "b"])

    def full(clip: Clip, file: Path) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr("mmbench.media.clip_files.write_exact", full)
        with pytest.raises(IncompleteError, match="No space left") as stop:
            send(run, "javisbench", tmp_path / "there")
    assert "same command" in stop.value.next
    assert not list((tmp_path / "there").glob("*.mp4"))
    assert send(run, "javisbench", tmp_path / "there") == 2


def test_several_runs_go_to_folders_of_their_own_and_alike_names_are_refused(tmp_path: Path) -> None:
    runs = [store(tmp_path / "runs", ["a"], name) for name in ("one", "two")]
    names = [str(run.folder) for run in runs]
    rows, _ = export_all(names, "javisbench", tmp_path / "there", tmp_path / "runs")
    assert {row["folder"] for row in rows} == {str(tmp_path / "there" / run.folder.name) for run in runs}
    with pytest.raises(UsageError, match="one folder"):
        export_all([names[0], names[0]], "javisbench", tmp_path / "twice", tmp_path / "runs")
    assert not (tmp_path / "twice").exists()


def test_a_folder_of_clips_is_exported_with_its_prompts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    clips = tmp_path / "clips"
    clips.mkdir()
    write_preview(clip(1, frames=8, size=32, samples=16000), clips / "dog.mp4")
    (clips / "broken.mp4").write_text("no video")
    (clips / "prompts.csv").write_text("file,prompt\ndog.mp4,a dog barks\n")
    with caplog.at_level(logging.WARNING, "mmbench"):
        rows, _ = export_all([str(clips)], "t2av-compass", tmp_path / "there", tmp_path / "runs")
    assert (rows[0]["clips"], rows[0]["left out"]) == (1, "1 no clip")
    (sample,) = open_submission(tmp_path / "there", "there", WHOLE, Texts(layout="t2av-compass")).samples
    (given,) = [s for s in open_submission(clips, "clips", WHOLE).samples if s is not None]
    assert sample is not None
    assert sample.text == "a dog barks"
    assert sample.source.load().digest() == given.source.load().digest()


@pytest.mark.parametrize("layout", ["vbench", "javisbench"])
def test_clips_that_only_decoding_shows_to_be_bad_are_named_and_left_out(
    layout: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    clips, there = tmp_path / "clips", tmp_path / "there"
    clips.mkdir()
    for k in range(4):
        write_preview(clip(k, frames=8, size=32, samples=16000), clips / f"{k}.mp4")
    whole, bad = (clips / "1.mp4").read_bytes(), flip(ffv1(), "video", 3, 0.5)
    (clips / "1.mp4").write_bytes(bad)
    (clips / "prompts.csv").write_text("\n".join(["file,prompt", *(f"{k}.mp4,a" for k in range(4))]))

    def send_clips() -> tuple[int, int, str]:
        (row,), _ = export_all([str(clips)], layout, there, tmp_path / "runs")
        return row["clips"], row["written"], row["left out"]

    first, again = send_clips(), send_clips()
    assert first[::2] == again[::2] == (3, "1 unreadable")
    assert again[1] == 0
    assert caplog.text.count("clip 1 cannot be read") == 2
    assert "pictures do not have their checksum" in caplog.text
    (left,) = json.loads((there / EXPORT).read_text())["left_out"]
    assert (left["prompt_id"], "checksum" in left["reason"]) == ("1", True)
    given = [s.source.load().digest() for s in open_submission(clips, "c", WHOLE).samples if s and s.source.id != "1"]
    back = open_submission(there, "there", WHOLE, Texts(layout=layout))
    assert [s.source.load().digest() for s in back.samples if s] == given
    assert back.counts.failures == {}
    if layout == "vbench":
        assert sorted(file.name for file in (there / "videos").iterdir()) == ["a-0.mp4", "a-1.mp4", "a-2.mp4"]
    (clips / "1.mp4").write_bytes(whole)
    if layout == "vbench":
        with pytest.raises(UsageError, match="another export"):
            send_clips()
    else:
        assert send_clips() == (4, 1, "")
    for file in clips.glob("*.mp4"):
        file.write_bytes(bad)
    with pytest.raises(MMBenchError, match="None of the 4 clips of clips can be read"):
        export_all([str(clips)], layout, tmp_path / "none", tmp_path / "runs")


def test_a_damaged_sample_of_a_run_is_left_out_until_it_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = store(tmp_path / "runs", ["a", "b"])
    media = run.folder / "samples" / "000001.mkv"
    whole = media.read_bytes()
    media.write_bytes(bytes(x ^ 4 * (k == len(whole) // 2) for k, x in enumerate(whole)))
    (row,), _ = export_all([str(run.folder)], "javisbench", tmp_path / "there", tmp_path / "runs")
    assert (row["clips"], row["left out"]) == (1, "1 unreadable")
    assert f"try: rm -f {media.with_suffix('.json')}" in caplog.text
    media.write_bytes(whole)
    (row,), _ = export_all([str(run.folder)], "javisbench", tmp_path / "there", tmp_path / "runs")
    assert (row["clips"], row["written"], row["left out"]) == (2, 1, "")


def test_a_damaged_copy_of_an_export_is_noticed(tmp_path: Path) -> None:
    run = store(tmp_path / "runs", ["a", "b"])
    send(run, "javisbench", tmp_path / "there")
    shutil.copy(tmp_path / "there" / "sample_0001.wav", tmp_path / "there" / "sample_0000.wav")
    first, second = open_submission(tmp_path / "there", "there", WHOLE, Texts(layout="javisbench")).sources
    with pytest.raises(MediaError, match="not what was exported"):
        first.load()
    assert second.load().digest() == run.source(1).load().digest()


def test_the_plain_evaluate_says_which_layout_to_type(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = store(tmp_path / "runs", ["a", "b"], frames=16, size=32, samples=8533)
    there = tmp_path / "there"
    done = mmbench_here(
        capsys, "export", run.folder, "--layout", "javisbench", "--out", there, "--runs", tmp_path / "runs"
    )
    assert done.returncode == 0, done.stderr
    assert "Next: torchrun" in done.stdout
    out = ["-m", "av_align", "--out", tmp_path / "runs"]
    refused = mmbench_here(capsys, "evaluate", there, *out)
    assert refused.returncode == 2
    assert f"try: mmbench evaluate {there} --layout javisbench" in refused.stderr
    scored = mmbench_here(capsys, "evaluate", there, "--layout", "javisbench", *out)
    assert scored.returncode == 0, scored.stderr
    (records,) = (tmp_path / "runs").glob("there-*")
    hint = mmbench_here(capsys, "evaluate", records, *out)
    assert f"try: mmbench evaluate {there} --layout javisbench" in hint.stderr
    compared = mmbench_here(capsys, "evaluate", run.folder, there, "--layout", "javisbench", *out)
    assert compared.returncode == 0, compared.stderr
    again = mmbench_here(capsys, "compare", run.folder, there, *out)
    assert again.returncode == 0, again.stderr
    for wrong, what in ((["--layout", "mpeg"], "No layout"), (["--layout", "vbench"], "export for javisbench")):
        failed = mmbench_here(capsys, "evaluate", there, *wrong, *out)
        assert failed.returncode == 2
        assert what in failed.stderr

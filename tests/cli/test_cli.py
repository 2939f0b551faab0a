"""The command line as its user meets it: the default job, other formats, and bad input."""

from __future__ import annotations

import json
import math
import os
import signal
import time
import weakref
from pathlib import Path

import pytest

from mmbench import __version__
from mmbench.cli.app import hear_every_interrupt, main
from tests.builders import strip_checksums
from tests.commands import FIXTURE, mmbench, mmbench_here, only_store


@pytest.fixture(scope="module")
def default_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the controls of the embedded default job in it."""
    out = tmp_path_factory.mktemp("default")
    result = mmbench("run", "-s", "ground_truth", "-s", "independent", "--out", out, "--format", "json")
    assert result.returncode == 0, result.stderr
    (out / "stdout.json").write_text(result.stdout)
    return out


def test_the_bare_command_compares_controls_models_and_their_joint(tmp_path: Path) -> None:
    planned = mmbench("run", "--dry-run", "--out", tmp_path, "--format", "json")
    assert planned.returncode == 0, planned.stderr
    rows = json.loads(planned.stdout)
    joint = ["tiny", "tiny_cascade", "tiny+mmdisco", "tiny+mmdisco-res_frieren"]
    assert [r["system"] for r in rows] == ["ground_truth", "independent", *joint]
    assert {r["to make"] for r in rows} == {64}
    assert not list(tmp_path.iterdir())


@pytest.mark.e2e
def test_the_default_job_tells_ground_truth_from_independent(default_run: Path) -> None:
    rows = {
        row["system"]: row
        for row in json.loads((default_run / "stdout.json").read_text())
        if "av_align" in row["metric"]
    }
    truth, independent = rows["ground_truth"], rows["independent"]
    assert truth["record"]["n_scored"] == 64
    assert independent["difference"]["high"] < 0, "the 95 % interval of the paired difference must exclude 0"
    assert truth["record"]["value"] > truth["record"]["baseline"] + 3 * truth["record"]["baseline_stderr"]
    low, high = independent["record"]["low"], independent["record"]["high"]
    assert low < independent["record"]["baseline"] < high, "independent pairs score like shuffled ones"


@pytest.mark.e2e
def test_table_shows_what_run_recorded(default_run: Path) -> None:
    result = mmbench("table", "--out", default_run, "--metric", "av_align", "--format", "json")
    assert result.returncode == 0, result.stderr
    assert [row["system"] for row in json.loads(result.stdout)] == ["ground_truth", "independent"]


@pytest.mark.e2e
def test_show_lets_a_stranger_repeat_the_run(default_run: Path) -> None:
    shown = json.loads(mmbench("show", "ground_truth-bounce", "--out", default_run, "--format", "json").stdout)
    assert shown["samples"] == {"present": 64, "failed": 0}
    made = shown["invocations"][0]
    assert made["resolved"]["seed"] == 0
    assert made["resolved"]["num_samples"] == 64
    assert made["command"][:2] == ["mmbench", "run"]
    assert {"python", "numpy", "librosa", "av"} <= set(made["packages"])
    assert made["machine"]["cores"] == os.cpu_count()
    record = next(r for r in shown["records"] if r["metric"] == "av_align.mmdisco_96ms")
    assert record["signature"].startswith("av_align|mmdisco_96ms|extractors:")
    beside = {r["metric"]: r["details"] for r in shown["records"]}
    assert beside["fvd_bounce.bounce_v1"]["kvd_stderr"] > 0
    assert beside["fad_bounce.bounce_v1"]["kad_stderr"] > 0
    text = mmbench("show", "ground_truth-bounce", "--out", default_run)
    assert "kvd" in text.stdout
    assert "signature  av_align | mmdisco_96ms | extractors:" in text.stdout, "below the table, not in a column of it"
    assert text.returncode == 0
    assert "Invocation 1" in text.stdout


@pytest.mark.e2e
def test_show_verify_finds_a_damaged_sample(default_run: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    assert mmbench("generate", *FIXTURE, "-n", "2", "--out", out).returncode == 0
    good = mmbench("show", "fixture", "--out", out, "--verify", "--format", "json")
    assert json.loads(good.stdout)["verified"] == 2
    samples = only_store(out).samples
    (samples / "000000.mkv").write_bytes((samples / "000001.mkv").read_bytes())
    bad = mmbench("show", "fixture", "--out", out, "--verify")
    assert bad.returncode == 4
    assert "Sample 0" in bad.stderr


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    result = mmbench("run", *FIXTURE, "-n", "3", "--out", tmp_path / "runs", "--dry-run", "--format", "json")
    assert json.loads(result.stdout)[0]["to make"] == 3
    assert not (tmp_path / "runs").exists()


@pytest.mark.e2e
def test_quiet_prints_names_only_and_logs_stay_off_stdout(tmp_path: Path) -> None:
    result = mmbench("generate", *FIXTURE, "-n", "1", "--out", tmp_path, "--format", "quiet", "-vv")
    assert result.stdout.split() == [only_store(tmp_path).folder.name]


@pytest.mark.parametrize(
    "command", ["run", "generate", "evaluate", "list", "show", "table", "merge", "doctor", "preview", "check"]
)
def test_every_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, command, "--help")
    assert result.returncode == 0
    assert f"mmbench {command}" in result.stdout.split("Examples:")[1]


@pytest.mark.e2e
def test_doctor_says_what_is_missing_and_what_to_type(tmp_path: Path) -> None:
    result = mmbench("doctor", "--out", tmp_path, "--format", "json", MMBENCH_HOME=str(tmp_path))
    rows = {row["check"]: row for row in json.loads(result.stdout)}
    assert rows["python"]["status"] == rows["torch"]["status"] == "ok"
    assert rows["weights i3d"]["status"] == "missing"
    assert rows["weights i3d"]["next"] == "mmbench weights fetch i3d"
    assert rows["system fixture_broken"]["status"] == "broken"
    found = [row["status"] for row in rows.values()]
    assert found == sorted(found, key=("broken", "missing", "ok").index)  # what is wrong comes first
    assert result.returncode == 1


def test_the_version_is_the_one_that_is_installed(capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "--version")
    assert result.returncode == 0
    assert result.stdout.startswith(f"mmbench {__version__}")


BAD = [
    (["run", "--system", "ground_thruth"], 2, "did you mean ground_truth?"),
    (["run", "--dataset", "bonce"], 2, "did you mean bounce"),
    (["run", "--metric", "av_align.96ms"], 2, "mmdisco_96ms"),
    (["run", "-n", "0"], 2, "a whole number from 1"),
    (["run", "--batch-size", "0"], 2, "--batch-size"),
    (["generate", "--shard", "2/2"], 2, "RANK/COUNT"),
    (["run", "--format", "yaml"], 2, "yaml"),
    (["evaluate", "{tmp}/nothing"], 1, "does not exist"),
    (["evaluate", "{tmp}/empty"], 1, "no usable clip"),
    (["evaluate", "{tmp}/text.mp4"], 1, "cannot be read as media"),
    (["show", "nothing"], 2, "mmbench list"),
    (["table"], 1, "mmbench run"),
    (["merge", "{tmp}/empty"], 1, "holds no run"),
    (["run", "--out", "{tmp}/text.mp4"], 2, "is a file"),
]


@pytest.mark.parametrize(("arguments", "code", "hint"), BAD, ids=[" ".join(a) for a, _, _ in BAD])
def test_bad_input_gets_one_clear_message(
    tmp_path: Path, arguments: list[str], code: int, hint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("not a video\n")
    arguments = [a.replace("{tmp}", str(tmp_path)) for a in arguments]
    if "--out" not in arguments:
        arguments += ["--out", str(tmp_path / "runs")]
    result = mmbench_here(capsys, *arguments)
    assert result.returncode == code, result.stderr
    assert hint in result.stderr
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc").is_dir(), reason="root may write everywhere here")
def test_a_folder_without_write_permission(tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    out = Path("/proc/self") if os.geteuid() == 0 else locked  # root ignores permissions, but not those of /proc
    result = mmbench("generate", *FIXTURE, "-n", "1", "--out", out / "runs")
    assert result.returncode == 1
    assert "Cannot write to" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.e2e
def test_a_corrupt_record_is_named_and_refused(tmp_path: Path) -> None:
    assert mmbench("run", *FIXTURE, "-n", "2", "--out", tmp_path).returncode == 0
    records = only_store(tmp_path).folder / "records.jsonl"
    records.write_text(records.read_text() + '{"run_id": "x", "val\n')
    result = mmbench("table", "--out", tmp_path)
    assert result.returncode == 4
    assert "records.jsonl line 2 is corrupt" in result.stderr
    assert "damaged" in mmbench("list", "runs", "--out", tmp_path).stdout


@pytest.mark.e2e
def test_a_changed_manifest_is_refused(tmp_path: Path) -> None:
    assert mmbench("generate", *FIXTURE, "-n", "1", "--out", tmp_path).returncode == 0
    manifest = strip_checksums(only_store(tmp_path).folder / "manifest.json")
    manifest.write_text(manifest.read_text().replace('"seed": 0', '"seed": 1'))
    result = mmbench("generate", *FIXTURE, "-n", "2", "--out", tmp_path)
    assert result.returncode == 4
    assert "was changed" in result.stderr


@pytest.mark.e2e
def test_published_clips_score_as_the_reference_says(clips_folder: Path, fixtures_folder: Path, tmp_path: Path) -> None:
    video = clips_folder / "audioset.mp4"
    cut = ("--clip-frames", "16", "--clip-stride", "17")
    result = mmbench("evaluate", video, *cut, "--out", tmp_path, "--format", "json")
    assert result.returncode == 0, result.stderr
    excess, row = json.loads(result.stdout)
    assert [r["metric"] for r in (excess, row)] == ["av_align excess.mmdisco_96ms ↑", "av_align.mmdisco_96ms ↑"]
    assert row["record"]["n_scored"] == 16
    assert row["record"]["lossy"] is True
    assert row["record"]["baseline"] is not None
    (values,) = tmp_path.glob("*/scores/av_align*.jsonl")
    scores = {r["index"]: r["value"] for r in map(json.loads, values.read_text().splitlines())}
    folder = fixtures_folder / "metrics" / "av_align_clips"
    compared = 0
    for entry in json.loads((folder / "clips.json").read_text()):
        if entry["file"] == "audioset.mp4":
            want = entry["scores"]["sr16000_hop1536"]["v1"]
            got = scores[entry["index"]]
            assert got is None if isinstance(want, str) else math.isclose(got, want, abs_tol=1e-9)
            compared += 1
    assert compared == 12


def test_ctrl_c_in_any_command_says_how_to_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("mmbench.registry.catalogue", interrupt)
    result = mmbench_here(capsys, "list", "systems")
    assert (result.returncode, result.stderr) == (3, "interrupted; the same command continues\n")


def test_ctrl_c_in_a_finaliser_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    class Thing:
        pass

    told: list[object] = []
    monkeypatch.setattr("sys.unraisablehook", told.append)
    hear_every_interrupt()
    thing = Thing()
    weakref.finalize(thing, interrupt)
    del thing
    with pytest.raises(KeyboardInterrupt):
        time.sleep(5)
    assert told == []
    weakref.finalize(thing := Thing(), int, "no number")
    del thing
    assert len(told) == 1, "other errors are told as before"


def test_ctrl_c_after_the_end_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []

    def late(number: int, handler: object) -> None:
        heard.append((number, handler))
        if len(heard) == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr("mmbench.cli.app.guarded", lambda command: 0)
    monkeypatch.setattr("signal.signal", late)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert heard == [(signal.SIGINT, signal.SIG_IGN)] * 2


def test_no_folder_for_what_numba_compiles_is_one_message(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object) -> None:
        raise RuntimeError("cannot cache function 'peak_pick': no locator available for file 'librosa/util/utils.py'")

    monkeypatch.setattr("mmbench.registry.catalogue", refuse)
    result = mmbench_here(capsys, "list", "systems")
    assert result.returncode == 3
    assert "Traceback" not in result.stderr
    assert "NUMBA_CACHE_DIR=/tmp/numba" in result.stderr

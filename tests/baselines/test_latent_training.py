"""audioldm_animatediff and auffusion_vc2 at tiny size, from a copy of VGGSound to a table: train, kill, resume, run."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from mmbench.baselines.models.latent.pair import LatentPair
from mmbench.experiments.training import pools
from mmbench.runs.store import SampleStore
from mmbench.types import DESIGNS
from tests.commands import digests, mmbench_here, start
from tests.media_files import flashes, write_media
from tests.vggsound_copy import FREE, HELD, OTHER, keys, sound

PAIRS = ("audioldm_animatediff", "auffusion_vc2")
TINY = ["--dataset", "vggsound", "--set", "size=tiny", "--device", "cpu", "--format", "json"]
FEW_STEPS = ["--set", "num_inference_steps=1"]
REAL, FAKE = 7, 5
TRAIN = ["train", *TINY, *FEW_STEPS, "--num-fake", str(FAKE), "--batch-size", "2"]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve videos of two labels; seven of them are not held out."""
    root = tmp_path_factory.mktemp("vggsound")
    for key in [*HELD[:3], *FREE[:5], *keys(OTHER, True)[:2], *keys(OTHER, False)[:2]]:
        write_media(root / f"{key}.mp4", flashes(20), sound(2.1))
    return root


@pytest.fixture(autouse=True)
def here(copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user who has the copy and nothing else, in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MMBENCH_DATA_VGGSOUND", str(copy))
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(pools, "CHUNK", 2)
    return tmp_path


def command(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    """What a command prints, which must work."""
    result = mmbench_here(capsys, *arguments)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize(("name", "design"), [("audioldm_animatediff", "vit_frieren"), ("auffusion_vc2", "res_mlp")])
def test_training_on_real_pairs_stopped_anywhere_ends_in_the_discriminator_that_then_guides(
    name: str, design: str, here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train = [*TRAIN, "--system", name, "--discriminator", design]
    whole = command(capsys, *train, "--steps", "3", "--out", "whole")
    counts = {p.name.rsplit("-", 1)[0]: len(list(p.glob("*.safetensors"))) for p in (here / "whole/pools").iterdir()}
    assert counts == {f"{name}-real": (REAL + 1) // 2, f"{name}-fake": (FAKE + 1) // 2}
    record = json.loads((Path(whole["weights"]).parent / "training.json").read_text())
    assert (record["config"]["text_drop"], record["num_real"], record["num_fake"]) == (0.1, REAL, FAKE)
    assert record["config"]["discriminator"]["design"] == design
    assert record["trained_on"] == f"vggsound ({REAL} real pairs), {name} ({FAKE} generated pairs)"

    made: list[str] = []
    for method, stop_after in (("encode", 3), ("draw", 2)):
        work = getattr(LatentPair, method)

        def stopped(*args: Any, work: Any = work, stop_after: int = stop_after) -> Any:
            if len(made) == stop_after:
                raise KeyboardInterrupt
            made.append("")
            return work(*args)

        made.clear()
        with monkeypatch.context() as patch:
            patch.setattr(LatentPair, method, stopped)
            assert mmbench_here(capsys, *train, "--steps", "3", "--out", "part").returncode == 130
    first = command(capsys, *train, "--steps", "1", "--out", "part")
    again = command(capsys, *train, "--steps", "3", "--out", "part")
    assert (first["steps"], again["resumed at"], again["steps"]) == (1, 1, 3)
    ours, theirs = load_file(again["weights"]), load_file(whole["weights"])
    assert all((ours[key] == theirs[key]).all() for key in theirs)

    monkeypatch.setenv("MMBENCH_DISCRIMINATORS", "whole")
    command(capsys, "generate", "--system", f"{name}+mmdisco-{design}", *TINY, *FEW_STEPS, "-n", "1")
    (manifest,) = here.glob("runs/*/manifest.json")
    guided = json.loads(manifest.read_text())["spec"]["system"]["mmdisco"]
    assert guided["weights"] == hashlib.sha256(Path(whole["weights"]).read_bytes()).hexdigest()[:32]


@pytest.mark.parametrize("name", PAIRS)
def test_every_design_generates_is_scored_and_stands_in_the_table(
    name: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    systems = [name, *(f"{name}+mmdisco-{design}" for design in DESIGNS)]
    chosen = [word for system in systems for word in ("--system", system)]
    scales = ["--set", "joint_scale=3000,3000"]  # untrained discriminators say little
    rows = command(capsys, "run", *chosen, *TINY, *FEW_STEPS, *scales, "-n", "2", "-m", "av_align")
    assert [row["n"] for row in rows] == ["2"] * 7
    stores = [SampleStore.open(path.parent) for path in here.glob("runs/*/manifest.json")]
    drawn = {store.run.system: [store.record(i).digest for i in range(2)] for store in stores}
    assert len({digest for made in drawn.values() for digest in made}) == 2 * 7  # each moved the pair its own way
    table = command(capsys, "table", "--format", "json")
    assert sorted(row["system"] for row in table) == sorted(drawn)
    assert {row["weights"] for row in table} == {"tiny"}


def test_a_guided_run_killed_anywhere_goes_on_to_the_same_samples(
    copy: Path, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["generate", "--system", "auffusion_vc2+mmdisco", *TINY, "--set", "num_inference_steps=2"]
    arguments += ["-n", "4", "--batch-size", "1"]
    command(capsys, *arguments, "--out", here / "whole")
    process = start(*arguments, "--out", here / "part", MMBENCH_DATA_VGGSOUND=str(copy))
    end = time.monotonic() + 600
    while not list(here.glob("part/*/samples/??????.json")):
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = digests(here / "part")
    assert 1 <= len(before) < 4
    command(capsys, *arguments, "--out", here / "part")
    assert digests(here / "part") == digests(here / "whole")

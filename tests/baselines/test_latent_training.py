"""A latent pair at tiny size on a copy of VGGSound: trained, stopped anywhere, resumed, and then guided."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from mmbench.baselines.models.latent.pair import LatentPair
from mmbench.experiments.training import pools
from tests.commands import mmbench_here
from tests.media_files import flashes, write_media
from tests.vggsound_copy import FREE, HELD, OTHER, keys, sound

pytestmark = pytest.mark.e2e

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


@pytest.mark.thorough
def test_training_on_real_pairs_stopped_anywhere_ends_in_the_discriminator_that_then_guides(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name, design = "audioldm_animatediff", "vit_frieren"
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
            assert mmbench_here(capsys, *train, "--steps", "3", "--out", "part").returncode == 3
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

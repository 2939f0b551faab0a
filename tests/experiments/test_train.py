"""`mmbench train` from the command line: pools, training, resuming, and what it refuses."""

from __future__ import annotations

import json
import os
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

import tests.fixture_distribution.mmbench_fixture  # noqa: F401 - registers its pair in this process
from mmbench.experiments.sweep.cell_jobs import lease_name, training_of
from mmbench.experiments.sweep.cells import declare_sweep
from mmbench.experiments.training import train as training
from mmbench.jobs.settings import Settings
from mmbench.leases import LeaseTable
from mmbench.mmdisco.training_config import FREE_TO_CHANGE, TrainConfig
from mmbench.registry import discover, make_dataset
from mmbench.system_names import make_system
from tests.commands import mmbench_here

PAIR = ["--system", "fixture_pair", "--dataset", "fixture_dataset"]
SMALL = ["--num-real", "6", "--num-fake", "5", "--batch-size", "2", "--format", "json"]


@pytest.fixture(autouse=True)
def _found() -> None:
    """Names that were looked for before the pair was registered are looked for again."""
    discover.cache_clear()


@pytest.mark.e2e
def test_training_leaves_weights_and_pools_and_resumes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = mmbench_here(capsys, "train", *PAIR, *SMALL, "--steps", "3", "--out", tmp_path)
    assert first.returncode == 0, first.stderr
    assert "training takes about" in first.stderr
    done = json.loads(first.stdout)
    assert (done["steps"], done["resumed at"]) == (3, 0)
    assert done["discriminator"] == "fixture_pair+mmdisco"
    with safe_open(done["weights"], framework="pt") as file:
        assert json.loads(file.metadata()["config"])["design"] == "res_mlp"
    took = json.loads((Path(done["weights"]).parent / "resources.jsonl").read_text())
    assert took["measured_over_predicted"] == pytest.approx(took["grown_bytes"] / took["predicted_bytes"], abs=1e-3)
    chunks = {p.parent.name.rsplit("-", 1)[0]: load_file(p) for p in tmp_path.glob("pools/*/*.safetensors")}
    assert {name: len(chunk["video"]) for name, chunk in chunks.items()} == {
        "fixture_pair-real": 6,
        "fixture_pair-fake": 5,
    }
    again = json.loads(mmbench_here(capsys, "train", *PAIR, *SMALL, "--steps", "5", "--out", tmp_path).stdout)
    assert (again["steps"], again["resumed at"]) == (5, 3)
    pools = {p.name for p in (tmp_path / "pools").iterdir()}
    for other, changed in ((["--re-pair"], "num_fake"), (["--pool-seed", "7"], "pairs")):
        refused = mmbench_here(capsys, "train", *PAIR, *SMALL, *other, "--steps", "5", "--out", tmp_path)
        assert f"{changed} is" in refused.stderr, "another training: it must not go on from this checkpoint"
    assert {p.name for p in (tmp_path / "pools").iterdir()} == pools, "refused before other pairs are made"
    for seed in ("7", "8"):
        anew = mmbench_here(
            capsys, "train", *PAIR, *SMALL, "--seed", seed, "--pool-seed", "0", "--steps", "2", "--out", tmp_path
        )
        assert anew.returncode == 0, anew.stderr
    assert {p.name for p in (tmp_path / "pools").iterdir()} == pools, "made once, trained on by all"


@pytest.mark.e2e
def test_a_training_has_one_process(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", *PAIR, *SMALL, "--steps", "3", "--out", tmp_path]
    assert mmbench_here(capsys, *command).returncode == 0
    (folder,) = tmp_path.glob("*/checkpoint.pt")
    before = folder.read_bytes()
    with LeaseTable(folder.parent / "leases").hold("training"):
        refused = mmbench_here(capsys, *command[:-3], "9", *command[-2:])
    assert refused.returncode == 1
    assert f"is being trained by process {os.getpid()}" in refused.stderr
    assert folder.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["--system", "ground_truth", "--dataset", "bounce"], "not a pair of diffusion models"),
        (["--system", "tiny+mmdisco", "--dataset", "bounce"], "names a guided system"),
        (["--system", "ground_thruth", "--dataset", "bounce"], "did you mean ground_truth"),
        (["--system", "ground_truth", "--dataset", "bounce", "--num-fake", "0"], "pools would be empty"),
    ],
    ids=["control", "guided", "typo", "empty"],
)
def test_what_cannot_be_trained_is_refused(
    arguments: list[str], hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = mmbench_here(capsys, "train", *arguments, "--out", tmp_path / "out")
    assert result.returncode == 2
    assert hint in result.stderr
    assert not (tmp_path / "out").exists()


def test_halves_that_were_made_together_are_not_re_paired(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    coupled = ["--system", "mm_diffusion", "--dataset", "bounce", "--weights", "random", "--set", "size=tiny"]
    result = mmbench_here(capsys, "train", *coupled, "--re-pair", "--out", tmp_path / "out")
    assert result.returncode == 2
    assert "without --re-pair" in result.stderr


def test_an_unknown_design_names_the_known_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = mmbench_here(capsys, "train", *PAIR, *SMALL, "--discriminator", "res_freiren", "--out", tmp_path)
    assert result.returncode == 2
    assert "res_frieren" in result.stderr


def test_every_constant_is_an_option_and_in_the_record_unless_it_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {
        "micro_batch": 3,
        "checkpointing": True,
        "learning_rate": 0.5,
        "weight_denoising": 2.0,
        "denoising_reduction": "sum",
        "text_drop": 0.25,
        "max_gradient_norm": 7.0,
        "ema_decay": 0.5,
        "precision": "bfloat16",
        "workers": 2,
    }
    seen: list[Any] = []
    monkeypatch.setattr(training, "train_discriminator", lambda settings: seen.append(settings) or {})
    typed = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", str(value))]
    typed.remove("True")
    assert mmbench_here(capsys, "train", *PAIR, *typed, "--dtype", "float16", "--out", tmp_path).returncode == 0
    assert (seen[0].options, seen[0].dtype) == (options, "float16")
    assert {f.name for f in fields(TrainConfig)} >= set(options)
    assert set(options) & set(FREE_TO_CHANGE) == {"micro_batch", "checkpointing", "workers"}


@pytest.mark.parametrize("name", ["auffusion_vc2", "audioldm_animatediff", "mm_diffusion"])
def test_pairs_of_another_precision_are_other_pairs(name: str) -> None:
    dataset = make_dataset("bounce")
    specs = [
        make_system(name, dataset=dataset, device="cpu", weights="random", size="tiny", dtype=dtype).spec()
        for dtype in ("float32", "float16")
    ]
    assert specs[0] != specs[1], "this is in the key of a pool"


def test_a_sweep_trains_in_its_own_precision_and_its_cells_do_not_depend_on_memory() -> None:
    run = Settings(systems=(), dataset="bounce")
    plain, half = (
        declare_sweep("table7", replace(run, dtype=dtype), system="tiny", training={}, rows=["loss all"])
        for dtype in ("float32", "float16")
    )
    small = replace(plain, micro_batch=2, checkpointing=True)
    (whole, other, parts) = (training_of(sweep, sweep.cells[0]) for sweep in (plain, half, small))
    assert (whole.dtype, other.dtype) == ("float32", "float16")
    assert whole.folder != other.folder
    assert (parts.options["micro_batch"], parts.options["checkpointing"]) == (2, True)
    assert (small.id, parts.folder, lease_name(small, small.cells[0])) == (
        plain.id,
        whole.folder,
        lease_name(plain, plain.cells[0]),
    )


@pytest.mark.thorough
@pytest.mark.e2e
def test_toy_prints_table_1_beside_the_paper(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    quick = ["toy", "--quick", "--seeds", "1", "--setting", "ind", "--loss", "all", "--format", "json"]
    result = mmbench_here(capsys, *quick, "--out", tmp_path)
    assert result.returncode == 0, result.stderr
    rows = {row["method"]: row for row in json.loads(result.stdout)}
    assert {"gt", "exact", "no_joint", "optimal", "all"} <= set(rows)
    assert rows["all"]["paper NLL"] == "1.94"
    assert rows["no_joint"]["numbers"]["nll"] > rows["all"]["numbers"]["nll"] > rows["gt"]["numbers"]["nll"]
    assert len((tmp_path / "records.jsonl").read_text().splitlines()) == len(rows)
    assert (tmp_path / "figure2_ind_sigma0.25.png").stat().st_size > 1000
    assert "toy" in json.loads((tmp_path / "invocations.jsonl").read_text())["command"]

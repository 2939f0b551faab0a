"""Names are found, misspelt names get a hint, broken plugins say why."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmbench.errors import UsageError
from mmbench.registry import Kind, catalogue, discover, make_metric, register
from mmbench.system_names import SystemName, make_system, parse_system_name
from mmbench.types import DESIGNS
from tests.commands import mmbench, mmbench_here


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("auffusion_vc2", SystemName("auffusion_vc2")),
        ("auffusion_vc2+mmdisco", SystemName("auffusion_vc2", "res_mlp")),
        ("tiny+mmdisco-res_frieren", SystemName("tiny", "res_frieren")),
        ("tiny+mmdisco-denoise", SystemName("tiny", "res_mlp", "denoise")),
        ("tiny+mmdisco-vit_naive-disc", SystemName("tiny", "vit_naive", "disc")),
        ("audioldm_animatediff+mmdisco-release", SystemName("audioldm_animatediff", "res_mlp", "release")),
    ],
)
def test_names_are_read(text: str, name: SystemName) -> None:
    assert parse_system_name(text) == name
    assert parse_system_name(str(name)) == name


@pytest.mark.parametrize("design", DESIGNS)
def test_every_design_survives_a_round_trip(design: str) -> None:
    assert parse_system_name(str(SystemName("base", design))).design == design


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("tiny+mmdico", "tiny+mmdisco[-DESIGN]"),
        ("tiny+mmdisco-res_freiren", "did you mean res_frieren?"),
        ("tiny+mmdisco-res_mlp-releas", "did you mean release?"),
        ("tiny+mmdisco-disc-all", "all"),
    ],
)
def test_wrong_names_get_a_hint(text: str, hint: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_system_name(text)
    assert hint in str(error.value)


def test_unknown_names_get_a_did_you_mean() -> None:
    with pytest.raises(UsageError, match="did you mean ground_truth"):
        make_system("ground_thruth")
    with pytest.raises(UsageError, match="did you mean av_align"):
        make_metric("av_algn")


def test_a_control_cannot_be_guided() -> None:
    with pytest.raises(UsageError, match="not a pair of diffusion models"):
        make_system("ground_truth+mmdisco")


def test_a_name_must_be_plain() -> None:
    with pytest.raises(ValueError, match="lower-case"):
        register("system", "My-System", "no")


@pytest.mark.parametrize("kind", ["system", "dataset", "metric"])
def test_the_catalogue_says_what_the_imported_files_register(kind: Kind) -> None:
    """Of our own files: what other tests register in this process comes and goes."""
    entries = {name: entry for name, entry in discover(kind)[0].items() if entry.origin.startswith("mmbench.")}
    rows = {row["name"]: row for row in catalogue(kind) if row["from"].startswith("mmbench.")}
    assert list(rows) == list(entries)
    for name, entry in entries.items():
        assert rows[name]["summary"] == entry.summary + " (+mmdisco)" * entry.guidable
        assert rows[name]["from"] == entry.origin


@pytest.mark.parametrize("kind", ["systems", "datasets", "metrics"])
def test_another_distribution_registers_its_own(kind: str) -> None:
    result = mmbench("list", kind, "--format", "json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows[f"fixture_{kind[:-1]}"]["from"] == "mmbench_fixture"
    assert len(rows) > 1


def test_a_broken_plugin_is_listed_with_its_error() -> None:
    result = mmbench("list", "systems")
    assert result.returncode == 1
    assert "fixture_broken" in result.stdout
    assert "needs a package that is not here" in result.stdout
    use = mmbench("run", "--system", "fixture_broken", "-n", "1")
    assert use.returncode == 1
    assert "needs a package that is not here" in use.stderr
    assert "mmbench doctor" in use.stderr


def test_show_lists_what_may_be_set_of_a_system_whatever_its_runs(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for run in ("tiny-bounce-s0-00000000", "tiny+mmdisco-bounce-s0-00000000"):
        (tmp_path / run).mkdir()
        (tmp_path / run / "manifest.json").write_text("{}")
    shown = mmbench_here(capsys, "show", "tiny", "--out", tmp_path).stdout
    assert "num_inference_steps=25" in shown
    assert "guidance" not in shown.partition("--set")[2]
    found = mmbench_here(capsys, "show", "tiny+mmdisco-b", "--out", tmp_path)
    assert "manifest" in found.stderr  # a beginning that is no name still finds its run

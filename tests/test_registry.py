"""Names are found, misspelt names get a hint, broken plugins say why."""

from __future__ import annotations

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmbench.metrics
from mmbench import registry
from mmbench.errors import MMBenchError, UsageError
from mmbench.registry import ACCEPTED, GROUPS, Kind, catalogue, discover, lookup, make_metric, register
from mmbench.system_names import SystemName, make_system, parse_system_name
from mmbench.types import DESIGNS
from tests import commands
from tests.commands import mmbench_here
from tests.conftest import REPOSITORY


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("auffusion_vc2", SystemName("auffusion_vc2")),
        ("auffusion_vc2+mmdisco", SystemName("auffusion_vc2", "res_mlp")),
        ("tiny+mmdisco-res_frieren", SystemName("tiny", "res_frieren")),
        ("tiny+mmdisco-denoise", SystemName("tiny", "res_mlp", "denoise")),
        ("tiny+mmdisco-fast", SystemName("tiny", "res_mlp", fast=True)),
        ("tiny+mmdisco-res_frieren-disc-fast", SystemName("tiny", "res_frieren", "disc", fast=True)),
        ("tiny+mmdisco-vit_naive-disc", SystemName("tiny", "vit_naive", "disc")),
        ("pipelines:a/b.toml", SystemName("pipelines", argument="a/b.toml")),
        ("pipelines:a+b.toml+mmdisco", SystemName("pipelines", "res_mlp", argument="a+b.toml")),
        ("pipelines:b+mmdisco.toml", SystemName("pipelines", argument="b+mmdisco.toml")),
        (
            "pipelines:b.toml+mmdisco-res_frieren-disc-fast",
            SystemName("pipelines", "res_frieren", "disc", "b.toml", fast=True),
        ),
        ("audioldm_animatediff+mmdisco-release", SystemName("audioldm_animatediff", "res_mlp", "release")),
        ("tiny+bestof-8", SystemName("tiny", candidates=8)),
        ("tiny+bestof-2-av_align.matched", SystemName("tiny", candidates=2, scorer="av_align.matched")),
        ("auffusion_vc2+aligner", SystemName("auffusion_vc2", aligner=True)),
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
        ("tiny+bestoff-4", "did you mean tiny+bestof?"),
        ("tiny+alinger", "did you mean tiny+aligner?"),
        ("tiny+aligner-fast", "takes nothing after it"),
        ("tiny+bestof", "mmbench run -s tiny+bestof-4"),
        ("tiny+bestof-0", "K from 1"),
        ("tiny+bestof-2-ib_av-av_align", "where one metric belongs"),
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
    with pytest.raises(UsageError, match=r"takes no \+bestof"):
        make_system("tiny_cascade+bestof-2")


def test_a_name_must_be_plain() -> None:
    with pytest.raises(ValueError, match="lower-case"):
        register("system", "My-System", "no")


FOLDERS = {"system": "baselines", "dataset": "mmbench/datasets", "metric": "metrics"}


def decorators(kind: Kind) -> dict[str, tuple[str, str]]:
    """Module and summary by name, of every decorated class or function anywhere in a kind's folder."""
    found = {}
    for file in sorted((REPOSITORY / FOLDERS[kind]).rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            for call in getattr(node, "decorator_list", []):
                if ast.unparse(call).startswith("register("):
                    said, name, summary = (ast.literal_eval(argument) for argument in call.args)
                    assert said == kind, f"{file} registers a {said}"
                    guidable = any(word.arg == "guidable" for word in call.keywords)
                    found[name] = f"{GROUPS[kind][0]}.{file.stem}", summary + ACCEPTED * guidable
    return found


@pytest.mark.parametrize("kind", ["system", "dataset", "metric"])
def test_every_decorator_in_the_folder_is_listed_and_imported(kind: Kind) -> None:
    """Of our own files: what other tests register in this process comes and goes."""
    written = decorators(kind)
    rows = {r["name"]: (r["from"], r["summary"]) for r in catalogue(kind) if r["from"].startswith("mmbench.")}
    assert rows == written
    entries = {name: e for name, e in discover(kind)[0].items() if e.origin.startswith("mmbench.")}
    assert {n: (e.origin, e.summary + ACCEPTED * e.guidable) for n, e in entries.items()} == written


@pytest.fixture
def metrics_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder whose files are metrics of ours, and only for this test."""
    known = discover("metric")[0]
    monkeypatch.setattr(mmbench.metrics, "__path__", [*mmbench.metrics.__path__, str(tmp_path)])
    monkeypatch.setitem(registry._registered, "metric", dict(known))
    discover.cache_clear()
    yield tmp_path
    discover.cache_clear()
    for file in tmp_path.glob("*.py"):
        sys.modules.pop(f"mmbench.metrics.{file.stem}", None)


def test_a_decorator_may_be_wrapped_over_lines(metrics_folder: Path) -> None:
    (metrics_folder / "loudness.py").write_text(
        "from mmbench.registry import register\n\n\n"
        "@register(\n    'metric',\n    'loudness',\n    summary='How loud '\n    'a sound is',\n)\n"
        "class Loudness:\n    def __init__(self, variant='plain'):\n        self.variant = variant\n"
    )
    rows = {row["name"]: row for row in catalogue("metric")}
    assert rows["loudness"]["summary"] == "How loud a sound is"
    assert "mmbench.metrics.loudness" not in sys.modules, "a list imports nothing"
    assert lookup("metric", "loudness").factory("peak").variant == "peak"


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("@register('metric', 'loudness', 'How loud'\nclass Loudness: ...\n", "SyntaxError"),
        ("@register('metric', NAME, 'How loud')\nclass Loudness: ...\n", "line 1: register takes literal values"),
    ],
    ids=["not Python", "not literal"],
)
def test_a_file_that_cannot_be_read_is_said_to_be_broken_and_hides_no_other(
    metrics_folder: Path, source: str, reason: str
) -> None:
    (metrics_folder / "loudness.py").write_text(source)
    *rows, bad = catalogue("metric")
    assert bad["broken"]
    assert reason in bad["summary"]
    assert "fvd" in {row["name"] for row in rows}
    with pytest.raises(MMBenchError, match=reason):
        make_metric("loudness")
    assert make_metric("av_align").name == "av_align"


@pytest.mark.parametrize("kind", ["systems", "datasets", "metrics"])
def test_another_distribution_registers_its_own(kind: str) -> None:
    result = commands.mmbench("list", kind, "--format", "json")
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert rows[f"fixture_{kind[:-1]}"]["from"] == "mmbench_fixture"
    assert len(rows) > 1


def test_a_broken_plugin_is_listed_with_its_error() -> None:
    result = commands.mmbench("list", "systems")
    assert result.returncode == 1
    assert "fixture_broken" in result.stdout
    assert "needs a package that is not here" in result.stdout
    use = commands.mmbench("run", "--system", "fixture_broken", "-n", "1")
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
    assert "guidance=" not in shown.partition("--set")[2]
    found = mmbench_here(capsys, "show", "tiny+mmdisco-b", "--out", tmp_path)
    assert "manifest" in found.stderr  # a beginning that is no name still finds its run

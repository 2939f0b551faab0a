"""Files of a user register what they hold, in every process; one that cannot be used says why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmbench import plugin_files, registry
from mmbench.errors import MMBenchError, UsageError
from mmbench.plugin_files import VARIABLE
from mmbench.registry import catalogue, discover, load_plugin, make_metric
from tests import commands
from tests.commands import DISTRIBUTION, environment, mmbench_here

METRIC = """
import os
import numpy as np
from mmbench.registry import register
from mmbench.statistics.estimates import mean_score
from {helper} import FACTOR


class Level:
    name, modality, batch_size, weights = "level", "video", 1, "none"

    def spec(self):
        return {{"version": 1}}

    def extract(self, batch):
        return [{{"level": np.array([FACTOR * clip.video.mean()]), "process": np.array(os.getpid())}} for clip in batch]


@register("metric", "{name}", "How bright a video is")
class LevelMetric:
    name, variant, version, higher_is_better, needs_reference = "{name}", "mean", 1, True, False

    def extractors(self):
        return [Level()]

    def score(self, features, reference, seed):
        return mean_score(np.array([np.nan if f is None else f["level"][0] for f in features["level"]]))
"""


def write_metric(file: Path, name: str = "level") -> Path:
    """A plugin with a metric, and a file beside it that it imports."""
    helper = f"{file.stem}_helper"
    file.parent.mkdir(exist_ok=True)
    file.with_name(f"{helper}.py").write_text("FACTOR = 1.0\n")
    file.write_text(METRIC.format(name=name, helper=helper))
    return file


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for plugins, which this process forgets afterwards."""
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr(sys, "path", [*sys.path, str(DISTRIBUTION)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(plugin_files, "_loaded", {})
    discover.cache_clear()
    for kind in registry.GROUPS:
        discover(kind)  # what is imported once registers once
    monkeypatch.setattr(registry, "_registered", {kind: dict(known) for kind, known in registry._registered.items()})
    before = set(sys.modules)
    discover.cache_clear()
    yield tmp_path
    discover.cache_clear()
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]


def test_a_plugin_registers_after_names_were_looked_up_and_once(folder: Path) -> None:
    with pytest.raises(UsageError, match="or --plugin FILE"):
        make_metric("level")
    file = write_metric(folder / "my_level.py")
    (folder / "link").symlink_to(folder)
    for spelled in (file, folder / "link" / file.name, file):
        (entry,) = load_plugin(str(spelled))
        assert (entry.kind, entry.name, entry.origin) == ("metric", "level", "my_level")
    assert make_metric("level").variant == "mean"
    assert {row["name"]: row["from"] for row in catalogue("metric")}["level"] == str(file)
    assert os.environ[VARIABLE] == str(file)


def test_a_plugin_that_another_one_or_a_pickle_imported_is_loaded_all_the_same(folder: Path) -> None:
    write_metric(folder / "my_level.py")
    (folder / "my_all.py").write_text("import my_level\n")
    assert load_plugin(folder / "my_all.py") == []
    assert [entry.name for entry in load_plugin(folder / "my_level.py")] == ["level"]


@pytest.mark.parametrize(
    ("file", "reason", "command"),
    [
        ("json.py", r"json is also the name of \S+/json/__init__.py", "mv -n {0}/json.py {0}/my_json.py"),
        ("my-level.py", "cannot be imported by its name", "mv -n {0}/my-level.py {0}/my_level.py"),
        ("3d.py", "cannot be imported by its name", "mv -n {0}/3d.py {0}/my_3d.py"),
        ("absent.py", "does not exist", "ls {0}"),
        ("level.txt", "is no Python file", "ls {0}"),
    ],
)
def test_a_name_that_cannot_be_imported_is_refused(folder: Path, file: str, reason: str, command: str) -> None:
    if file != "absent.py":
        (folder / file).write_text("raise RuntimeError('run')\n")
    with pytest.raises(UsageError, match=reason) as caught:
        load_plugin(folder / file)
    assert caught.value.next == command.format(folder)
    assert json.loads("1") == 1


def test_two_plugins_of_one_stem_are_refused_naming_both(folder: Path) -> None:
    first, second = write_metric(folder / "a" / "level.py"), write_metric(folder / "b" / "level.py", "brightness")
    load_plugin(first)
    with pytest.raises(UsageError, match=f"{second} would not be found: level is also the name of {first}"):
        load_plugin(second)
    assert make_metric("level").name == "level"
    assert os.environ[VARIABLE] == str(first)


@pytest.mark.parametrize(
    ("name", "other"),
    [("fvd", r"metrics/fvd\.py"), ("fixture_metric", r"mmbench_fixture\.py"), ("level", r"first\.py")],
)
def test_a_name_that_is_taken_is_refused_naming_both(folder: Path, name: str, other: str) -> None:
    load_plugin(write_metric(folder / "first.py"))
    second = write_metric(folder / "second.py", name)
    with pytest.raises(UsageError, match=rf"metric '{name}' of {second} is already registered by \S*{other}"):
        load_plugin(second)
    assert second not in plugin_files.named_plugins()
    assert discover("metric")[0][name].origin != "second"
    (entry,) = load_plugin(write_metric(second, "brightness"))  # once it is mended
    assert entry.name == "brightness"
    assert {"fvd", "level", "brightness"} <= set(discover("metric")[0])


@pytest.mark.parametrize(("name", "other"), [("fvd", "mmbench.metrics.fvd"), ("fixture_metric", "mmbench_fixture.py")])
def test_a_name_of_a_file_that_is_not_imported_yet_is_refused(tmp_path: Path, name: str, other: str) -> None:
    done = commands.mmbench("--plugin", write_metric(tmp_path / "my_level.py", name), "list", "metrics")
    assert done.returncode == 2
    assert f"my_level.py is already registered by {other}." in done.stderr.replace(f"{DISTRIBUTION}/", "")


@pytest.mark.parametrize(
    ("source", "helper", "reason"),
    [
        ("x = 1\n\nx = (\n", "", r"my_metric\.py:3: SyntaxError: '\(' was never closed"),
        ("x = 1\nimport packages_that_nobody_has\n", "", r"my_metric\.py:2: ModuleNotFoundError: .*nobody_has"),
        ("import my_helper\n", "x = 1\n\n1 / 0\n", r"my_helper\.py:3: ZeroDivisionError"),
        ("from mmbench.registry import register\nregister('metric', 'Level', '')\n", "", r"metric\.py:2: ValueError"),
        ("x = 1\n", "", "registers nothing"),
        ("import sys\nsys.exit(2)\n", "", r"my_metric\.py:2: SystemExit: 2"),
    ],
)
def test_a_broken_plugin_says_the_line(folder: Path, source: str, helper: str, reason: str) -> None:
    (folder / "my_metric.py").write_text(source)
    (folder / "my_helper.py").write_text(helper)
    with pytest.raises(MMBenchError, match=reason):
        load_plugin(folder / "my_metric.py")
    (folder / "my_metric.py").write_text(METRIC.format(name="ok", helper="my_helper"))
    (folder / "my_helper.py").write_text("FACTOR = 1.0\n")
    assert [e.name for e in load_plugin(folder / "my_metric.py")] == ["ok"]


def test_the_environment_names_plugins_of_every_command(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [write_metric(folder / "one" / "one.py"), write_metric(folder / "two.py", "brightness")]
    monkeypatch.setenv(VARIABLE, os.pathsep.join(map(str, files)))
    names = {row["name"] for row in json.loads(mmbench_here(capsys, "list", "metrics", "-f", "json").stdout)}
    assert {"level", "brightness", "fvd"} <= names
    files[0].write_text("x = (\n")
    shown = subprocess.run(
        [sys.executable, "-m", "mmbench", "show", "av_align"], env=environment(), capture_output=True, text=True
    )
    assert shown.returncode == 1
    assert "one.py:1: SyntaxError" in shown.stderr


def test_the_option_after_the_command_is_answered_with_the_right_order(capsys: pytest.CaptureFixture[str]) -> None:
    done = mmbench_here(capsys, "run", "-n", "2", "--plugin", "my level.py", "-m", "level")
    assert done.returncode == 2
    assert "try: mmbench --plugin 'my level.py' run -n 2 -m level" in done.stderr


def test_worker_processes_find_a_plugin(folder: Path) -> None:
    file = write_metric(folder / "plugins" / "my_level.py")
    code = f"""
from mmbench.features import decoding, extract as extraction
from mmbench.features.cache import FeatureCache
from mmbench.registry import load_plugin, make_metric
from tests.builders import MadeSource
from pathlib import Path
import os

decoding.POOL_PAYS_AFTER = 0.0
load_plugin({str(file)!r})
with FeatureCache(Path("features")) as cache:
    samples = [extraction.Sample(MadeSource(i), "") for i in range(12)]
    found = extraction.extract(samples, make_metric("level").extractors(), cache, workers=2)
print(sum(int(f["process"]) != os.getpid() for f in found.features["level"]))
"""
    done = subprocess.run([sys.executable, "-c", code], env=environment(), cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


SYSTEM = """
from mmbench.registry import register
from mmbench.types import Clip
from my_parts import LIGHT


@register("system", "grey", "Grey pictures, no sound to speak of")
class Grey:
    name, weights = "grey", "none"

    def __init__(self, *, dataset):
        self.format = dataset.format

    def spec(self):
        return {"version": 1}

    def generate(self, requests):
        import numpy as np
        f = self.format
        for request in requests:
            video = np.full((f.num_frames, f.height, f.width, 3), LIGHT)
            sound = 0.01 * request.rng("sound").standard_normal(f.num_samples)
            yield Clip.from_float(video, f.fps, sound, f.sample_rate)
"""


@pytest.mark.e2e
def test_an_edit_of_a_plugin_or_of_what_it_imports_is_another_run(tmp_path: Path) -> None:
    file, parts = tmp_path / "my_grey.py", tmp_path / "my_parts.py"

    def run_id() -> str:
        words = [
            "--plugin",
            file,
            "run",
            "-s",
            "grey",
            "--dry-run",
            "-n",
            "2",
            "-f",
            "json",
            "--out",
            tmp_path / "runs",
        ]
        done = commands.mmbench(*words)
        assert done.returncode == 0, done.stderr
        (row,) = json.loads(done.stdout)
        return str(row["run"])

    file.write_text(SYSTEM)
    parts.write_text("LIGHT = 0.5\n")
    first = run_id()
    parts.write_text("LIGHT = 0.6\n")
    second = run_id()
    file.write_text(SYSTEM.replace("0.01 *", "0.02 *"))
    assert len({first, second, run_id()}) == 3


@pytest.mark.e2e
@pytest.mark.thorough
def test_processes_of_torchrun_load_the_plugin(tmp_path: Path) -> None:
    (tmp_path / "my_grey.py").write_text(SYSTEM)
    (tmp_path / "my_parts.py").write_text("LIGHT = 0.5\n")
    write_metric(tmp_path / "my_level.py")
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--standalone", "-m", "mmbench"]
    plugins = ["--plugin", "my_grey.py", "--plugin", "my_level.py"]
    job = ["run", "-s", "grey", "-m", "level", "-n", "4"]
    done = subprocess.run(
        [*launch, *plugins, *job], env=environment(), cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    table = subprocess.run(
        [sys.executable, "-m", "mmbench", "table"], env=environment(), cwd=tmp_path, capture_output=True, text=True
    )
    assert "mean: level." in table.stdout  # records are read without the plugin


def test_a_plugin_that_was_edited_since_is_refused_not_used_as_it_was(folder: Path) -> None:
    file = write_metric(folder / "my_level.py")
    load_plugin(file)
    file.write_text(file.read_text() + "\n# edited\n")
    with pytest.raises(MMBenchError, match="was edited after it was imported"):
        load_plugin(file)
    assert make_metric("level").variant == "mean"  # a job that is under way goes on


def test_a_metric_that_is_none_is_refused_naming_what_it_lacks(folder: Path) -> None:
    register = "from mmbench.registry import register\n"
    (folder / "half.py").write_text(f"{register}\n@register('metric', 'half', '')\nclass Half:\n    name = 'half'\n")
    load_plugin(folder / "half.py")
    with pytest.raises(MMBenchError, match="metric half lacks variant, version, higher_is_better, needs_reference"):
        make_metric("half")

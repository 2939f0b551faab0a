"""Plugins of other distributions and files that exit, interrupt, hang or print: named, and no command ends."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.commands import DISTRIBUTION, mmbench
from tests.conftest import REPOSITORY

BEHAVIOURS = {
    "exits": "import sys; sys.exit(0)",
    "interrupts": "raise KeyboardInterrupt",
    "bases": "raise BaseException('base')",
    "prints": "print('[{}]')",
    "hangs": "import time; time.sleep(600)",
    "raises": "1 / 0",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a distribution whose plugins misbehave at their import."""
    folder = tmp_path_factory.mktemp("site")
    told = folder / "misbehaving-1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: misbehaving\nVersion: 1.0\n")
    entries = "".join(f"{name} = plugin_{name}\n" for name in BEHAVIOURS)
    (told / "entry_points.txt").write_text(f"[mmbench.systems]\n{entries}")
    for name, code in BEHAVIOURS.items():
        (folder / f"plugin_{name}.py").write_text(code + "\n")
    return folder


def test_no_plugin_ends_a_command_or_spoils_its_json(site: Path) -> None:
    path = f"{site}:{DISTRIBUTION}:{REPOSITORY}"
    done = mmbench("list", "systems", "--format", "json", PYTHONPATH=path, MMBENCH_PLUGIN_SECONDS="1.5")
    assert "Traceback" not in done.stderr
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert "tiny" in rows
    said = {name: rows[name]["summary"] for name in BEHAVIOURS if name in rows}
    assert "plugin_exits.py:1: SystemExit: 0" in said["exits"]
    assert "plugin_interrupts.py:1: KeyboardInterrupt" in said["interrupts"]
    assert "plugin_bases.py:1: BaseException: base" in said["bases"]
    assert "it took longer than 1.5 s" in said["hangs"]
    assert "ZeroDivisionError" in said["raises"]
    assert "prints" not in said
    assert "[{}]" in done.stderr
    done = mmbench("list", "datasets", PYTHONPATH=path, MMBENCH_PLUGIN_SECONDS="1.5")
    assert (done.returncode, "bounce" in done.stdout) == (0, True)


@pytest.mark.parametrize("name", ["exits", "interrupts", "hangs"])
def test_a_plugin_that_a_user_names_is_an_error_that_names_it(site: Path, name: str) -> None:
    file = site / f"plugin_{name}.py"
    done = mmbench("--plugin", file, "list", "systems", MMBENCH_PLUGIN_SECONDS="1")
    assert done.returncode == 1
    assert f"The plugin {file} cannot be imported" in done.stderr
    assert "Traceback" not in done.stderr

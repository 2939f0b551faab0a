"""The road runs one way, the command line stays light, and the three folders import as one package."""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.commands import environment
from tests.conftest import REPOSITORY

# prompts -> system -> store -> features -> metrics -> results -> tables; each may import what stands before it, and
# modules without a place here may not lead anybody uphill either.
ROAD = [
    ["errors"],
    ["types"],
    ["registry", "console", "statistics"],
    ["media", "sources", "metrics", "mmdisco"],
    ["datasets"],
    ["baselines"],
    ["runspec"],
    ["store"],
    ["generate", "feature_cache"],
    ["features"],
    ["reference"],
    ["results"],
    ["evaluate"],
    ["compare"],
    ["tables"],
    ["workflow"],
    ["show", "doctor"],
    ["cli"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(ROAD) for name in names}


def station(module: str) -> str:
    """The place on the road of mmbench.X or mmbench.X.Y."""
    return module.split(".")[1] if "." in module else ""


def imports(file: Path) -> set[str]:
    """Stations that a file imports, at the top or inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module == "mmbench":
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("mmbench."):
            found.add(station(str(node.module)))
        elif isinstance(node, ast.Import):
            found |= {station(a.name) for a in node.names if a.name.startswith("mmbench.")}
    return found - {"__version__"}


def modules() -> list[tuple[str, Path]]:
    files = [f for f in (REPOSITORY / "mmbench").glob("*.py") if f.stem != "__init__"]
    packages = [("mmdisco", "mmbench/mmdisco"), ("datasets", "mmbench/datasets")]
    packages += [("baselines", "baselines"), ("metrics", "metrics")]
    nested = [(name, f) for name, folder in packages for f in (REPOSITORY / folder).glob("*.py")]
    return [(f.stem, f) for f in files] + nested


def graph() -> dict[str, set[str]]:
    """Station -> stations it imports."""
    edges: dict[str, set[str]] = {}
    for name, file in modules():
        edges.setdefault(name, set()).update(imports(file) - {name})
    return edges


def reachable(start: str, edges: dict[str, set[str]]) -> dict[str, list[str]]:
    """Everything `start` imports, directly or not, with the way to it."""
    ways = {other: [start, other] for other in edges[start]}
    todo = list(ways)
    while todo:
        here = todo.pop()
        for other in edges.get(here, set()) - set(ways):
            ways[other] = [*ways[here], other]
            todo.append(other)
    return ways


@pytest.mark.parametrize("name", sorted(RANK))
def test_no_import_runs_uphill(name: str) -> None:
    edges = graph()
    assert name in edges, f"{name} is on the road but not in the house"
    for other, way in reachable(name, edges).items():
        assert RANK.get(other, -1) <= RANK[name], f"uphill: {' -> '.join(way)}"


def test_no_module_imports_itself_through_others() -> None:
    edges = graph()
    for name in edges:
        assert name not in reachable(name, edges), " -> ".join(reachable(name, edges)[name])


def test_the_walk_would_see_an_uphill_import(tmp_path: Path) -> None:
    file = tmp_path / "media.py"
    file.write_text(
        "def f():\n    from mmbench.cli.app import app\n    import mmbench.runs.store\n    from mmbench import tables\n"
    )
    assert imports(file) == {"cli", "store", "tables"}


@pytest.mark.parametrize("command", [["--help"], ["list", "systems"], ["list", "metrics"], ["list", "datasets"]])
def test_help_and_list_never_import_torch(command: list[str]) -> None:
    code = (
        "import sys; from mmbench.cli.app import app, guarded; sys.argv = ['mmbench', *sys.argv[1:]]; guarded(app); "
        "heavy = {'torch', 'librosa', 'cv2', 'scipy', 'diffusers', 'transformers'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    result = subprocess.run([sys.executable, "-c", code, *command], env=environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert "ground_truth" in result.stdout or command != ["list", "systems"]


def test_the_three_folders_are_one_package() -> None:
    import mmbench.baselines
    import mmbench.metrics

    assert mmbench.metrics.__name__ == "mmbench.metrics"
    for link, target in (("metrics", "../metrics"), ("baselines", "../baselines")):
        assert str((REPOSITORY / "mmbench" / link).readlink()) == target
    assert distribution("mmbench").entry_points.select(name="mmbench")


def test_every_package_folder_is_declared() -> None:
    import tomllib

    declared = set(tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {"mmbench"} | {f"mmbench.{p.parent.name}" for p in (REPOSITORY / "mmbench").glob("*/__init__.py")}
    assert found == declared


def test_no_file_is_longer_than_400_lines_and_the_median_is_short() -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for _, file in modules()}
    assert {f: n for f, n in lengths.items() if n > 400} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 140

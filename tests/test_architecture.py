"""The house: rooms import only from rooms below, no circle anywhere, a light command line, short files."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

import pytest

from tests.commands import environment
from tests.conftest import REPOSITORY

# From the door down: a room imports only from those below it. Modules on the ground floor of mmbench/ are one room.
ROOMS = [
    *("cli", "api"),
    *(
        "checks",
        "experiments",
        "study",
        "report",
        "leaderboard",
        "pages",
        "pictures",
        "jobs",
        "tables",
        "scores",
        "baselines",
        "metrics",
        "datasets",
    ),
    *("runs", "mmdisco", "features", "weights", "statistics", "media", "networks", "ground"),
]

DOORS = ("mmbench", "mmbench.__main__")

Graph = Mapping[str, frozenset[str]]


def files() -> list[Path]:
    """Every file of the package, as its folders at the top hold them."""
    folders = ("mmbench", "baselines", "metrics")
    return [file for folder in folders for file in (REPOSITORY / folder).rglob("*.py")]


def name_of(file: Path) -> str:
    """mmbench.room.module of a file."""
    parts = file.relative_to(REPOSITORY).with_suffix("").parts
    parts = parts if parts[0] == "mmbench" else ("mmbench", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(source: str, modules: frozenset[str]) -> frozenset[str]:
    """The `modules` that a source imports, at its top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names} & modules
            found |= inner or {node.module}
    return frozenset(found & modules)


@cache
def graph() -> Graph:
    """Module -> modules it imports; without `mmbench` itself, the library's door, and that of the command line."""
    sources = {name: file.read_text() for file in files() if (name := name_of(file)) not in DOORS}
    known = frozenset(sources)
    return {name: imported(source, known) - {name} for name, source in sources.items()}


def room_of(module: str) -> str:
    """The room of a module: its first folder."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 and (parts[1] in ROOMS) else "ground"


@cache
def packages() -> frozenset[str]:
    """Names of all folders."""
    return frozenset(name_of(f) for f in files() if f.stem == "__init__")


def folder_of(module: str) -> str:
    """The folder of a module."""
    return module if module in packages() else module.rpartition(".")[0]


def grouped(edges: Graph, group: Mapping[str, str]) -> Graph:
    """The same edges between groups of modules."""
    out: dict[str, set[str]] = {}
    for name, others in edges.items():
        out.setdefault(group[name], set()).update(group[other] for other in others)
    return {name: frozenset(others - {name}) for name, others in out.items()}


def circle(edges: Graph) -> list[str]:
    """Some circle of a graph, or []."""
    done: set[str] = set()

    def visit(name: str, way: list[str]) -> list[str]:
        if name in way:
            return [*way[way.index(name) :], name]
        if name in done:
            return []
        for other in sorted(edges.get(name, ())):
            if found := visit(other, [*way, name]):
                return found
        done.add(name)
        return []

    return next((found for name in sorted(edges) if (found := visit(name, []))), [])


def uphill(edges: Graph) -> list[str]:
    """Imports of a room above, as "a imports b"."""
    rank = {room: i for i, room in enumerate(ROOMS)}
    pairs = [(a, b) for a, others in edges.items() for b in others]
    return [f"{a} imports {b}" for a, b in pairs if rank[room_of(b)] < rank[room_of(a)]]


def test_every_folder_is_a_room_or_lies_in_one() -> None:
    folders = {f.parent.name for f in (REPOSITORY / "mmbench").glob("*/__init__.py")}
    assert folders == set(ROOMS) - {"ground"}
    assert {f.parent for f in files()} == {f.parent for f in files() if f.stem == "__init__"}


def test_no_import_runs_uphill() -> None:
    assert uphill(graph()) == []


@pytest.mark.parametrize("level", ["file", "folder", "room"])
def test_no_circle(level: str) -> None:
    groups = {"file": str, "folder": folder_of, "room": room_of}
    names = {name: groups[level](name) for name in graph()}
    assert circle(grouped(graph(), names)) == []


def test_the_walk_would_see_an_uphill_import_and_a_circle() -> None:
    source = (
        "def f():\n    from mmbench.cli import app\n    import mmbench.runs.store\n    from mmbench.types import Clip\n"
    )
    known = frozenset({"mmbench.cli", "mmbench.cli.app", "mmbench.runs.store", "mmbench.types"})
    found = imported(source, known)
    assert found == {"mmbench.cli.app", "mmbench.runs.store", "mmbench.types"}
    assert uphill({"mmbench.media.decode": found}) == [
        f"mmbench.media.decode imports {other}" for other in found if other != "mmbench.types"
    ]
    assert circle({"a": frozenset("b"), "b": frozenset("c"), "c": frozenset("b")}) == ["b", "c", "b"]


def test_every_folder_says_what_it_is_for() -> None:
    inits = [f for f in files() if f.stem == "__init__"]
    assert [str(f) for f in inits if not ast.get_docstring(ast.parse(f.read_text()))] == []


@pytest.mark.parametrize(
    "command", [["--help"], ["list", "systems"], ["list", "metrics"], ["list", "datasets"], ["list", "pipelines"]]
)
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


def test_no_file_is_longer_than_400_lines_and_the_median_is_short() -> None:
    lengths = {str(file): len(file.read_text().splitlines()) for file in files() if file.stem != "__init__"}
    assert {f: n for f, n in lengths.items() if n > 400} == {}
    assert sorted(lengths.values())[len(lengths) // 2] <= 120

"""A run's id follows the code that draws its samples: every constant of it, and nothing else."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmbench import code_identity
from mmbench.code_identity import DATASET_ROOMS, SYSTEM_ROOMS, code_digest, reached_modules
from mmbench.identity import digest_of
from mmbench.jobs.settings import DEFAULT_SYSTEMS
from mmbench.registry import discover, make_dataset
from mmbench.runs.spec import make_runspec
from mmbench.system_names import make_system
from tests.conftest import REPOSITORY

SYSTEMS = [f"mmbench.baselines.{f.stem}" for f in (REPOSITORY / "baselines").glob("*.py") if f.stem != "__init__"]
SOUNDS = ["mmbench.baselines.models.specvqgan.sound", "mmbench.baselines.models.difffoley.sound"]
DATASETS = [
    f"mmbench.datasets.{f.stem}" for f in (REPOSITORY / "mmbench/datasets").glob("*.py") if f.stem != "__init__"
]
TRAINS = {
    "training",
    "trainer",
    "training_config",
    "checkpoint",
    "reporting",
    "pairs",
    "noising",
    "stored",
    "batches",
    "memory",
    "recomputation",
}  # of the method, what trains and draws nothing
DRAWING = reached_modules([*SYSTEMS, *SOUNDS], SYSTEM_ROOMS) | reached_modules(DATASETS, DATASET_ROOMS)


ROOTS = {  # of each module, one that reaches it, with its rooms
    module: ([root], rooms)
    for roots, rooms in ((DATASETS, DATASET_ROOMS), ([*SYSTEMS, *SOUNDS], SYSTEM_ROOMS))
    for root in roots
    for module in reached_modules([root], rooms)
}


class _Edit(ast.NodeTransformer):
    """Changes the last constant that is no docstring."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        strings = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        annotations = {
            id(x)
            for n in ast.walk(tree)
            if isinstance(n, ast.arg | ast.FunctionDef)
            for a in [getattr(n, "annotation", None) or getattr(n, "returns", None)]
            if a
            for x in ast.walk(a)
        }
        literal = (int, float, str)
        plain = [n for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, literal)]
        self.at = [n for n in plain if id(n) not in strings | annotations and not isinstance(n.value, bool)]
        self.tree = tree

    def edited(self) -> str | None:
        if not self.at:
            return None
        node = self.at[-1]
        node.value = node.value + ("x" if isinstance(node.value, str) else 1)
        return ast.unparse(self.tree)


def with_source(monkeypatch: pytest.MonkeyPatch, module: str, source: str) -> None:
    """Let the digest see another text of one module."""
    real = code_identity.read_source
    monkeypatch.setattr(code_identity, "read_source", lambda name: source if name == module else real(name))


@pytest.mark.parametrize("module", sorted(DRAWING))
def test_a_constant_changed_in_any_file_that_draws_is_another_digest(
    module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any(not isinstance(n, ast.Expr) for n in ast.parse(DRAWING[module]).body):
        return  # a package of one docstring has nothing to change
    edited = _Edit(DRAWING[module]).edited() or f"{DRAWING[module]}\nchanged()"  # a file without constants
    roots, rooms = ROOTS[module]
    before = code_digest(roots, rooms)
    with_source(monkeypatch, module, edited)
    assert code_digest(roots, rooms) != before


@pytest.mark.parametrize("module", sorted(DRAWING))
def test_comments_docstrings_and_layout_change_nothing(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tree = ast.parse(DRAWING[module])
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            node.body[0] = ast.Expr(ast.Constant("Another docstring."))
    roots, rooms = ROOTS[module]
    before = code_digest(roots, rooms)
    with_source(monkeypatch, module, f"# a comment\n{ast.unparse(tree)}\n# another\n")
    assert code_digest(roots, rooms) == before


def test_every_file_of_systems_and_of_the_method_is_reached() -> None:
    files = [f for folder in ("baselines", "mmbench/mmdisco") for f in (REPOSITORY / folder).rglob("*.py")]
    known = {
        f"mmbench.{f.relative_to(REPOSITORY).as_posix().removeprefix('mmbench/')[:-3].replace('/', '.')}"
        for f in files
        if f.stem != "__init__" and "toy" not in f.parts
    }
    left = {m for m in known - set(DRAWING) if m.rpartition(".")[2] not in TRAINS}
    assert left == set()


@pytest.mark.parametrize(
    ("a", "b", "same"),
    [
        ("from torch import f as g\ng()", "from torch import h as g\ng()", False),
        ("x = 1\ny = 2", "y = 2\nx = 1", False),
        ("def f(x: int) -> int:\n    return x", "def f(x):\n    return x", True),
        ("import numpy as np", "import numpy as np\nimport os", True),
        ("A = 'mmbench.old.place:Class'", "A = 'mmbench.new.place:Class'", True),
        ("A = 'mmbench.place:Class'", "A = 'mmbench.place:Other'", False),
        ("f(1)", "report_step(1, 2)\nf(1)", True),
        ("@register('system', 'a', 'One.')\nclass A: ...", "@register('system', 'a', 'Two.')\nclass A: ...", True),
    ],
)
def test_what_counts(a: str, b: str, same: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"text_{digest_of(text)}" for text in (a, b)]  # what is read is kept for the life of the process
    for name, text in zip(names, (a, b), strict=True):
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    assert (code_digest(names[:1], ()) == code_digest(names[1:], ())) is same


def test_the_code_of_every_registered_system_and_dataset_is_found() -> None:
    bounce = make_dataset("bounce")
    digests = {
        n: make_runspec(make_system(n, dataset=bounce), bounce, 0, n, "bounce").spec for n in ("tiny", "ground_truth")
    }
    assert digests["tiny"]["system"]["code"] != digests["ground_truth"]["system"]["code"]
    assert digests["tiny"]["dataset"] == digests["ground_truth"]["dataset"]
    own = [e for kind in ("system", "dataset") for e in discover(kind)[0].values() if e.origin.startswith("mmbench.")]
    assert all(e.origin in DRAWING for e in own)


@pytest.mark.e2e
def test_a_moved_file_keeps_every_run_id(tmp_path: Path) -> None:
    def run_ids(root: Path) -> list[str]:
        env = {**os.environ, "PYTHONPATH": str(root)}
        command = [sys.executable, "-m", "mmbench", "run", "--dry-run", "--out", str(tmp_path / "none"), "-f", "json"]
        done = subprocess.run(command, env=env, cwd=tmp_path, capture_output=True, text=True, check=True)
        return re.findall(r'"run": "([^"]+)"', done.stdout)

    copy = tmp_path / "copy"
    for folder in ("mmbench", "baselines", "metrics"):
        shutil.copytree(REPOSITORY / folder, copy / folder, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    before = run_ids(copy)
    assert len(before) == len(DEFAULT_SYSTEMS)
    (copy / "baselines/parts/tiny_pair.py").write_text((copy / "baselines/models/tiny/pair.py").read_text())
    (copy / "baselines/models/tiny/pair.py").unlink()
    for file in [f for f in copy.rglob("*.py") if "mmbench.baselines.models.tiny.pair" in f.read_text()]:
        file.write_text(
            file.read_text().replace("mmbench.baselines.models.tiny.pair", "mmbench.baselines.parts.tiny_pair")
        )
    assert run_ids(copy) == before
    sampler = copy / "mmbench/mmdisco/samplers.py"
    sampler.write_text(sampler.read_text().replace('"trailing"', '"leading"') + "\nA = 1\n")
    assert set(run_ids(copy)).isdisjoint({name for name in before if "tiny" in name})

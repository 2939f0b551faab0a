"""Plugin files: Python files of a user, outside of this package, that register a system, a dataset or a metric.

`mmbench --plugin FILE.py` and MMBENCH_PLUGINS name them. A plugin is a module under its file's name, and its folder
comes last on sys.path: worker processes can import it, and nothing that is installed is hidden. The environment tells
processes that this one starts.
"""

from __future__ import annotations

import importlib
import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

from mmbench.contained import contained
from mmbench.errors import MMBenchError, UsageError, error_line
from mmbench.files import expand_user

VARIABLE = "MMBENCH_PLUGINS"  # files, separated as the folders of PATH are
_loaded: dict[Path, bytes] = {}  # what they held when they were imported


def named_plugins() -> list[Path]:
    """The files that MMBENCH_PLUGINS names."""
    return [place(name) for name in os.environ.get(VARIABLE, "").split(os.pathsep) if name]


def place(name: str | Path) -> Path:
    """Where a plugin is, the same however its folder is spelled."""
    file = expand_user(name)
    return file.parent.resolve() / file.name


@contextmanager
def imported(file: Path) -> Iterator[None]:
    """Import a plugin; if the block accepts it, by raising nothing, every process that this one starts finds it.

    Raises:
        UsageError: It is no Python file, or a module of another file has its name.
        MMBenchError: It cannot be imported; says the line.
    """
    before, content = set(sys.modules), file.read_bytes() if file.is_file() else b""
    try:
        _import(file)
        yield
    except MMBenchError:  # so that it can be mended and loaded again
        for name in set(sys.modules) - before:
            if Path(getattr(sys.modules[name], "__file__", None) or "").parent == file.parent:
                del sys.modules[name]
        raise
    _loaded[file] = content
    if file not in named_plugins():
        os.environ[VARIABLE] = os.pathsep.join([*map(str, named_plugins()), str(file)])


def is_loaded(file: Path) -> bool:
    """Whether this process has imported a plugin."""
    return file in _loaded


def require_unchanged(file: Path) -> None:
    """Raise MMBenchError if a plugin was edited since this process imported it: its old code would go on unnoticed."""
    if file.is_file() and file.read_bytes() != _loaded[file]:
        found = f"The plugin {file} was edited after it was imported, and its old code is in use."
        raise MMBenchError(found, "a new process, which imports it anew", "restart Python, or the notebook's kernel")


def _import(file: Path) -> None:
    module, folder = file.stem, str(file.parent)
    if file.suffix != ".py" or not file.is_file():
        found = "is no Python file" if file.exists() else "does not exist"
        raise UsageError(f"The plugin {file} {found}.", "a file of Python", f"ls {shlex.quote(folder)}")
    if not module.isidentifier():
        plain = "".join(c if c.isalnum() else "_" for c in module)
        better = plain if plain.isidentifier() else f"my_{plain}"
        raise UsageError(f"The plugin {file} cannot be imported by its name.", *_another_name(file, better))
    if folder not in sys.path:
        sys.path.append(folder)
    importlib.invalidate_caches()
    spec = _spec(module)
    if spec is None or not spec.origin or not Path(spec.origin).exists() or not file.samefile(spec.origin):
        other = f"{module} is also the name of {(spec and spec.origin) or 'a folder'}"
        raise UsageError(f"The plugin {file} would not be found: {other}.", *_another_name(file, f"my_{module}"))
    try:
        with contained():  # a script that parses its arguments exits
            importlib.import_module(module)
    except MMBenchError:
        raise
    except Exception as error:
        raise MMBenchError(f"The plugin {file} cannot be imported: {error_line(error)}") from error


def lies_beside_a_plugin(module: str) -> bool:
    """Whether a module, or the package it is in, lies in the folder of a plugin: a plugin and its helpers."""
    folders = {file.parent for file in named_plugins()}
    top = module.partition(".")[0]
    spec = _spec(top) if folders and top != "mmbench" else None
    if spec is None:
        return False
    places = spec.submodule_search_locations or ([spec.origin] if spec.origin else [])
    return any(Path(place).parent in folders for place in places)


def _another_name(file: Path, better: str) -> tuple[str, str]:
    """What an error expects and says to type."""
    renamed = file.with_name(f"{better}.py")
    return renamed.name, f"mv -n {shlex.quote(str(file))} {shlex.quote(str(renamed))}"


def _spec(top: str) -> ModuleSpec | None:
    """How a module without dots is found, without importing it."""
    try:
        return find_spec(top)
    except (ImportError, ValueError):
        return None

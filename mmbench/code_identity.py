"""Digest of the code that draws samples: its syntax, so that comments, docstrings and moved files change nothing.

A system's samples depend on the modules that its own module imports, lazily or not, within the rooms of systems, method
and networks. Those modules are parsed, never imported; a constant changed in any of them is another digest, hence
another run. Docstrings, comments, annotations of functions, imports, reports of progress and the names of files do not
count.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from mmbench.plugin_files import lies_beside_a_plugin

SYSTEM_ROOMS = ("mmbench.baselines", "mmbench.mmdisco", "mmbench.networks", "mmbench.media")
DATASET_ROOMS = ("mmbench.datasets", "mmbench.media")
REFERENCE = re.compile(r"(?:\w+\.)+\w+:(\w+)")  # "package.module:Class"


def code_digest(modules: Iterable[str], rooms: Sequence[str]) -> str:
    """First 16 hex digits of the sha256 over the syntax of `modules` and of what they reach.

    Args:
        modules: Names of the modules to begin with; they count wherever they are.
        rooms: Packages within which imports are followed, beside the packages of `modules` where those are not ours
            and, from plugins, the folders of plugins.
    """
    files = sorted(_syntax(module, source) for module, source in reached_modules(modules, rooms).items())
    return hashlib.sha256("\n".join(files).encode()).hexdigest()[:16]


def reached_modules(modules: Iterable[str], rooms: Sequence[str]) -> dict[str, str]:
    """Source text by name of `modules` and of every module that they import within `rooms`, directly or not."""
    todo = list(dict.fromkeys(modules))
    inside = (*rooms, *sorted({m.partition(".")[0] for m in todo} - {"mmbench"}))
    found: dict[str, str] = {}
    while todo:
        module = todo.pop()
        source = None if module in found else read_source(module)
        if source is None:
            continue
        found[module] = source
        plugin = lies_beside_a_plugin(module)  # what is ours has one digest with and without plugins
        todo += [m for m in _imports(module, source) if _is_within(m, inside) or (plugin and lies_beside_a_plugin(m))]
    return found


def _is_within(module: str, rooms: Iterable[str]) -> bool:
    return any(module == room or module.startswith(f"{room}.") for room in rooms)


@cache
def read_source(module: str) -> str | None:
    """Source text of a module, found on disk without importing it; None for what is no file of Python."""
    top, *parts = module.split(".")
    try:
        spec = find_spec(top)  # of a name without dots: nothing is imported
    except (ImportError, ValueError):
        return None
    if spec is None:
        return None
    if not parts and spec.origin and spec.origin.endswith(".py"):
        return Path(spec.origin).read_text(encoding="utf-8")
    for folder in spec.submodule_search_locations or ():
        stem = Path(folder, *parts)
        for file in (stem.with_name(f"{stem.name}.py"), stem / "__init__.py"):
            if parts and file.is_file():
                return file.read_text(encoding="utf-8")
    return None


@cache
def _imports(module: str, source: str) -> tuple[str, ...]:
    """Names of modules, and of what may be modules, that a source imports outside of TYPE_CHECKING."""
    names = []
    for node in _walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = module.split(".")[: -node.level] if node.level else []
            package = ".".join([*above, *([node.module] if node.module else [])])
            names += [package, *(f"{package}.{alias.name}" for alias in node.names)]
    return tuple(dict.fromkeys(names))


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from _walk(child)


@cache
def _syntax(module: str, source: str) -> str:
    """Digest of what a module does, in the order of its statements."""
    return hashlib.sha256(_written(ast.parse(source), module).encode()).hexdigest()


def _written(value: object, module: str) -> str:
    """A node as text that is the same under every version of Python: `ast.dump` is not."""
    if isinstance(value, list):
        return "[" + ",".join(text for item in value if (text := _written(item, module))) + "]"
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return repr(REFERENCE.sub(r"\1", value.value))  # a file may move
    if not isinstance(value, ast.AST):
        return repr(value)
    if isinstance(value, ast.Expr) and _calls(value.value, "report_step"):  # only tells a user how far the work is
        return ""
    if isinstance(value, ast.Import) or (isinstance(value, ast.If) and "TYPE_CHECKING" in ast.unparse(value.test)):
        return ""
    if isinstance(value, ast.ImportFrom):
        return ",".join(f"{a.name} as {a.asname}" for a in value.names if a.asname and not _is_module(value, a.name))
    fields = dict(ast.iter_fields(value))
    for unused in ("ctx", "kind", "type_comment", "type_params", "returns"):
        fields.pop(unused, None)
    if isinstance(value, ast.arg):
        fields.pop("annotation")
    if isinstance(value, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["body"] = value.body[ast.get_docstring(value, clean=False) is not None :]
    if isinstance(value, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        fields["decorator_list"] = [d for d in value.decorator_list if not _calls(d, "register")]
    told = ",".join(f"{name}={_written(item, module)}" for name, item in fields.items() if item not in (None, []))
    return f"{type(value).__name__}({told})"


def _is_module(node: ast.ImportFrom, name: str) -> bool:
    """Whether an imported name is a module, whose alias says where it lies and not what it does."""
    return (node.module or "").startswith("mmbench") and read_source(f"{node.module}.{name}") is not None


def _calls(expression: ast.expr, name: str) -> bool:
    return isinstance(expression, ast.Call) and isinstance(expression.func, ast.Name) and expression.func.id == name

"""Finds systems, datasets and metrics by name: in our own folders and in entry points of installed packages.

A file in `baselines/`, `metrics/` or `mmbench/datasets/` takes part by decorating a factory with literal names; using a
name imports such files, so they keep heavy imports inside functions. Files without the decorator (networks) are left
alone. Other distributions take part through the entry-point groups `mmbench.systems`, `mmbench.datasets` and
`mmbench.metrics`, each entry naming a module that decorates its factories.
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import re
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal

from mmbench.errors import MMBenchError, UsageError

Kind = Literal["system", "dataset", "metric"]
GROUPS: dict[Kind, tuple[str, str]] = {
    "system": ("mmbench.baselines", "mmbench.systems"),
    "dataset": ("mmbench.datasets", "mmbench.datasets"),
    "metric": ("mmbench.metrics", "mmbench.metrics"),
}


@dataclass(frozen=True)
class Entry:
    """A registered name: its factory, one line about it, where it comes from, and what a user may set."""

    kind: Kind
    name: str
    summary: str
    factory: Callable[..., Any]
    origin: str
    guidable: bool = False  # a pair of diffusion models: accepts +mmdisco


@dataclass(frozen=True)
class Broken:
    """A plugin that could not be imported, with the reason."""

    kind: Kind
    name: str
    origin: str
    error: str


_registered: dict[Kind, dict[str, Entry]] = {"system": {}, "dataset": {}, "metric": {}}


def register(kind: Kind, name: str, summary: str, *, guidable: bool = False) -> Callable[[Any], Any]:
    """Decorate the factory (class or function) of a system, dataset or metric.

    Args:
        kind: "system", "dataset" or "metric".
        name: Lower-case name, letters, digits and underscores.
        summary: One line for `mmbench list`.
        guidable: For systems: a pair of diffusion models that accepts +mmdisco.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{kind} name {name!r}: expected lower-case letters, digits and underscores")

    def add(factory: Any) -> Any:
        origin = factory.__module__
        known = _registered[kind].get(name)
        if known and known.origin != origin:
            raise ValueError(f"{kind} {name!r} of {origin} is already registered by {known.origin}")
        _registered[kind][name] = Entry(kind, name, summary, factory, origin, guidable)
        return factory

    return add


def _error_line(error: BaseException) -> str:
    return "".join(traceback.format_exception_only(error)).strip()


def _own_files(kind: Kind) -> list[tuple[str, str]]:
    """(module name, source) of our own files that register something of `kind`."""
    package_name = GROUPS[kind][0]
    folders = [Path(p) for p in importlib.import_module(package_name).__path__]
    files = sorted((f for folder in folders for f in folder.glob("*.py")), key=lambda f: f.stem)
    sources = [(f"{package_name}.{f.stem}", f.read_text(encoding="utf-8")) for f in files]
    return [(module, source) for module, source in sources if f'@register("{kind}"' in source]


def _load_entry_points(kind: Kind) -> list[Broken]:
    """Import what other distributions declare; return what could not be imported."""
    broken = []
    for entry in sorted(entry_points(group=GROUPS[kind][1]), key=lambda e: e.name):
        try:
            entry.load()
        except Exception as error:  # reported, so that one broken plugin never hides the others
            origin = f"{entry.value} ({entry.dist.name if entry.dist else 'unknown distribution'})"
            broken.append(Broken(kind, entry.name, origin, _error_line(error)))
    return broken


@cache
def discover(kind: Kind) -> tuple[dict[str, Entry], list[Broken]]:
    """Import every file and entry point of `kind`; return what registered, and what broke."""
    broken = []
    for module, _ in _own_files(kind):
        try:
            importlib.import_module(module)
        except Exception as error:
            broken.append(Broken(kind, module.rpartition(".")[2], module, _error_line(error)))
    broken += _load_entry_points(kind)
    return dict(sorted(_registered[kind].items())), broken


def _declared(kind: Kind) -> list[dict[str, Any]]:
    """Rows of our own files, read from their decorators without importing them: `mmbench list` must answer at once."""
    rows = []
    for module, source in _own_files(kind):
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "register":
                words = [a.value if isinstance(a, ast.Constant) else "" for a in node.args]
                guidable = any(k.arg == "guidable" for k in node.keywords)
                if words[0] == kind:
                    rows.append(_row(str(words[1]), str(words[2]), guidable, module))
    return rows


def _row(name: str, summary: str, guidable: bool, origin: str) -> dict[str, Any]:
    return {"name": name, "summary": summary + (" (+mmdisco)" * guidable), "from": origin, "broken": False}


def catalogue(kind: Kind) -> list[dict[str, Any]]:
    """Rows for `mmbench list`: every entry, and every broken plugin with its error."""
    rows = {row["name"]: row for row in _declared(kind)}
    broken = _load_entry_points(kind)
    for e in _registered[kind].values():
        rows.setdefault(e.name, _row(e.name, e.summary, e.guidable, e.origin))
    bad = [{"name": b.name, "summary": f"BROKEN: {b.error}", "from": b.origin, "broken": True} for b in broken]
    return [rows[name] for name in sorted(rows)] + bad


def lookup(kind: Kind, name: str) -> Entry:
    """The entry registered as `name`.

    Raises:
        UsageError: No such name; says which names are near.
        MMBenchError: A plugin of that name exists but is broken; says why.
    """
    entries, broken = discover(kind)
    if name in entries:
        return entries[name]
    for b in broken:
        if b.name == name:
            raise MMBenchError(f"The {kind} plugin {name!r} from {b.origin} is broken: {b.error}", "", "mmbench doctor")
    near = difflib.get_close_matches(name, entries, n=3, cutoff=0.5)
    raise UsageError(
        f"Unknown {kind} {name!r}.",
        f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(entries) or 'none'}",
        f"mmbench list {kind}s",
    )


def parameters_of(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a class or function, by name."""
    return inspect.signature(factory).parameters


def make_dataset(name: str, **settings: Any) -> Any:
    """Build the dataset called `name`, or of `name:argument` (folder:PATH)."""
    base, _, argument = name.partition(":")
    factory = lookup("dataset", base).factory
    return factory(argument, **settings) if argument else factory(**settings)


def make_metric(name: str, **settings: Any) -> Any:
    """Build the metric called `name`, or one of its presets as `name.variant`.

    Of `settings` (device, weights) a metric gets those its factory takes: one without networks has no use for them.
    """
    base, _, variant = name.partition(".")
    factory = lookup("metric", base).factory
    taken = {k: v for k, v in settings.items() if k in metric_settings(name)}
    return factory(variant, **taken) if variant else factory(**taken)


def metric_settings(name: str) -> set[str]:
    """Names of the settings that the metric called `name` takes: some of device and weights."""
    return set(parameters_of(lookup("metric", name.partition(".")[0]).factory)) - {"variant"}

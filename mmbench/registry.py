"""The registry of systems, datasets and metrics: finds them by name in this package and in installed ones.

A file in `baselines/`, `metrics/` or `mmbench/datasets/` takes part by decorating a factory with `@register(...)` of
literal values. Files are read as syntax to find the decorators, and those that have one are imported when a name of
their kind is used, so they keep heavy imports inside functions. Other distributions take part through the entry-point
groups `mmbench.systems`, `mmbench.datasets` and `mmbench.metrics`, each entry naming a module that decorates factories;
single files outside of any distribution take part as plugins (`plugin_files`).
"""

from __future__ import annotations

import ast
import difflib
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mmbench.contained import contained
from mmbench.dataset_names import SHAPE, DatasetName, parse_dataset_name
from mmbench.errors import MMBenchError, UsageError, error_line
from mmbench.plugin_files import imported, is_loaded, named_plugins, place, require_unchanged

if TYPE_CHECKING:  # `mmbench list` answers without numpy
    from mmbench.types import Dataset, Metric

Kind = Literal["system", "dataset", "metric"]
ACCEPTED = " (+mmdisco, +bestof, +aligner)"  # after the name of a pair of diffusion models
MEMBERS: dict[Kind, tuple[str, ...]] = {  # of the protocols of types.py
    "system": ("name", "weights", "spec", "generate"),
    "dataset": ("name", "format", "spec", "prompts", "real", "reference"),
    "metric": ("name", "variant", "version", "higher_is_better", "needs_reference", "extractors", "score"),
}
GROUPS: dict[Kind, tuple[str, str]] = {
    "system": ("mmbench.baselines", "mmbench.systems"),
    "dataset": ("mmbench.datasets", "mmbench.datasets"),
    "metric": ("mmbench.metrics", "mmbench.metrics"),
}


@dataclass(frozen=True)
class Entry:
    """A registered system, dataset or metric.

    Attributes:
        kind: Which of the three.
        name: What users type.
        summary: One line for `mmbench list`.
        factory: Class or function that builds it.
        origin: Module that registered it.
        guidable: For systems: a pair of diffusion models that accepts +mmdisco, +bestof and +aligner.
    """

    kind: Kind
    name: str
    summary: str
    factory: Callable[..., Any]
    origin: str
    guidable: bool = False


@dataclass(frozen=True)
class Broken:
    """A file or plugin that could not be read or imported, with the reason."""

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
        guidable: For systems: a pair of diffusion models that accepts +mmdisco, +bestof and +aligner.

    Raises:
        UsageError: Another module has registered that name.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{kind} name {name!r}: expected lower-case letters, digits and underscores")

    def add(factory: Any) -> Any:
        origin = factory.__module__
        known = _registered[kind].get(name)
        if known and known.origin != origin:
            raise _name_taken(kind, name, origin, known.origin)
        _registered[kind][name] = Entry(kind, name, summary, factory, origin, guidable)
        return factory

    return add


def _name_taken(kind: Kind, name: str, origin: str, known: str) -> UsageError:
    mine, theirs = (getattr(sys.modules.get(m), "__file__", None) or m for m in (origin, known))
    found = f"The {kind} {name!r} of {mine} is already registered by {theirs}."
    return UsageError(found, "a name of its own", f"another name in {mine}; mmbench list {kind}s shows those taken")


@dataclass(frozen=True)
class _Declared:
    """A `@register(...)` as it stands in a file that has not been imported."""

    module: str
    kind: str
    name: str
    summary: str
    guidable: bool = False


def _declarations(module: str, source: str) -> Iterator[_Declared]:
    """Read what a file registers from its syntax, however its decorators are wrapped over lines.

    Raises:
        SyntaxError: The file is not Python.
        ValueError: An argument is not a literal.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "register":
            given = dict(zip(("kind", "name", "summary"), node.args, strict=False))
            given |= {k.arg: k.value for k in node.keywords if k.arg}
            try:
                yield _Declared(module, **{key: ast.literal_eval(value) for key, value in given.items()})
            except (ValueError, TypeError) as error:
                raise ValueError(f"line {node.lineno}: register takes literal values: {error}") from error


def _read_own_files(kind: Kind) -> tuple[list[_Declared], list[Broken]]:
    """Read what our own files register of `kind`, without importing them, and which files cannot be read."""
    package = GROUPS[kind][0]
    folders = [Path(p) for p in importlib.import_module(package).__path__]
    declared, broken = [], []
    for file in sorted((f for folder in folders for f in folder.glob("*.py")), key=lambda f: f.stem):
        module, source = f"{package}.{file.stem}", file.read_text(encoding="utf-8")
        try:
            if "register" in source:  # most files are not parsed
                declared += [d for d in _declarations(module, source) if d.kind == kind]
        except (SyntaxError, ValueError) as error:
            broken.append(Broken(kind, file.stem, module, error_line(error)))
    return declared, broken


def _load_entry_points(kind: Kind) -> list[Broken]:
    """Import what other distributions declare; return what could not be imported."""
    broken = []
    for entry in sorted(entry_points(group=GROUPS[kind][1]), key=lambda e: e.name):
        try:
            with contained():
                entry.load()
        except Exception as error:  # reported, so that one broken plugin never hides the others
            origin = f"{entry.value} ({entry.dist.name if entry.dist else 'unknown distribution'})"
            broken.append(Broken(kind, entry.name, origin, error_line(error)))
    return broken


def load_plugin(path: str | Path) -> list[Entry]:
    """Import a Python file that registers systems, datasets or metrics, as `mmbench --plugin` does; once is enough.

    Args:
        path: The file. It may import others that lie beside it.

    Returns:
        What the file registered itself.

    Raises:
        UsageError: The file's name is that of another module, or it registers a name that is taken; names both.
        MMBenchError: It cannot be imported, with the line, registers nothing, or was edited since it was imported.
    """
    file = place(path)
    if is_loaded(file):
        require_unchanged(file)
    else:
        for kind in GROUPS:
            _load_entry_points(kind)  # their names are taken
        before = {kind: dict(entries) for kind, entries in _registered.items()}
        try:
            with imported(file):
                _check_new_names(before, file)
        except MMBenchError:
            _registered.update(before)
            raise
        discover.cache_clear()
    return [e for entries in _registered.values() for e in entries.values() if e.origin == file.stem]


def _check_new_names(before: Mapping[Kind, Mapping[str, Entry]], file: Path) -> None:
    """Refuse a plugin that has registered nothing, or a name of our own files, which may not be imported yet."""
    new = [e for kind in GROUPS for name, e in _registered[kind].items() if name not in before[kind]]
    own = {(d.kind, d.name): d.module for kind in GROUPS for d in _read_own_files(kind)[0]}
    for e in new:
        if own.get((e.kind, e.name), e.origin) != e.origin:
            raise _name_taken(e.kind, e.name, e.origin, own[e.kind, e.name])
    if not new and not any(e.origin == file.stem for kind in GROUPS for e in _registered[kind].values()):
        expected = "@register(...) above a class or function; docs/extending.md has templates"
        raise MMBenchError(f"The plugin {file} registers nothing.", expected)


def _load_named_plugins() -> None:
    for file in named_plugins():
        if not is_loaded(file):  # one that is edited while a job runs does not end it
            load_plugin(file)


@cache
def discover(kind: Kind) -> tuple[dict[str, Entry], list[Broken]]:
    """Import every file, plugin and entry point of `kind`; return what registered, and what broke.

    Raises:
        MMBenchError: A plugin that the user named cannot be used (see `load_plugin`).
    """
    _load_named_plugins()
    declared, broken = _read_own_files(kind)
    for module in dict.fromkeys(d.module for d in declared):
        try:
            importlib.import_module(module)
        except Exception as error:
            broken.append(Broken(kind, module.rpartition(".")[2], module, error_line(error)))
    broken += _load_entry_points(kind)
    return dict(sorted(_registered[kind].items())), broken


def _row(name: str, summary: str, guidable: bool, origin: str) -> dict[str, Any]:
    return {"name": name, "summary": summary + ACCEPTED * guidable, "from": origin, "broken": False}


def catalogue(kind: Kind) -> list[dict[str, Any]]:
    """List every entry and every broken plugin, one row each for `mmbench list`; our own files are not imported."""
    _load_named_plugins()
    declared, broken = _read_own_files(kind)
    rows = {d.name: _row(d.name, d.summary, d.guidable, d.module) for d in declared}
    broken += _load_entry_points(kind)
    plugins = {file.stem: str(file) for file in named_plugins()}
    for e in _registered[kind].values():
        rows.setdefault(e.name, _row(e.name, e.summary, e.guidable, plugins.get(e.origin, e.origin)))
    bad = [{"name": b.name, "summary": f"BROKEN: {b.error}", "from": b.origin, "broken": True} for b in broken]
    return [rows[name] for name in sorted(rows)] + bad


def lookup(kind: Kind, name: str) -> Entry:
    """Find the entry registered as `name`.

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
        (f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(entries) or 'none'},")
        + " or --plugin FILE.py",
        f"mmbench list {kind}s",
    )


def parameters_of(factory: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    """Parameters of a class or function, by name."""
    return inspect.signature(factory).parameters


def require_members(kind: Kind, name: str, made: object) -> None:
    """Raise MMBenchError unless what a factory made has every attribute and method of its protocol in `types.py`."""
    lacking = [m for m in MEMBERS[kind] if inspect.getattr_static(made, m, None) is None and not hasattr(made, m)]
    if lacking:
        found = f"The {kind} {name} lacks {', '.join(lacking)}."
        raise MMBenchError(found, f"what {kind.capitalize()} of mmbench/types.py has; docs/extending.md has a template")


def make_dataset(name: str, **settings: Any) -> Dataset:
    """Build the dataset called `name`: NAME, NAME:PATH, either with ?OPTION=VALUE&... after it.

    Options that ask for another shape of the clips come to the factory as one keyword, `shape`, others by their names.

    Raises:
        UsageError: No such dataset, or it has no such option, which says those that it has, or takes no path.
    """
    parsed = parse_dataset_name(name)
    factory = lookup("dataset", parsed.base).factory
    options = parsed.options | settings
    if parsed.argument and all(p.kind is p.KEYWORD_ONLY for p in parameters_of(factory).values()):
        found = f"The dataset {parsed.base} takes no path, and was given {parsed.argument!r}."
        raise UsageError(found, parsed.base, f"--dataset '{parsed.at('')}'")
    parameters = {p.name for p in parameters_of(factory).values() if p.kind is p.KEYWORD_ONLY}
    known = [*sorted(parameters - {"shape", "format"}), *(SHAPE if "shape" in parameters else ())]
    if unknown := [option for option in parsed.options if option not in known]:
        found = f"The dataset {parsed.base} has no option {unknown[0]!r}."
        fewer = DatasetName(parsed.base, parsed.argument, {k: v for k, v in parsed.options.items() if k in known})
        near = difflib.get_close_matches(unknown[0], known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(found, hint + (f"one of {', '.join(known)}" if known else "no option"), f"--dataset '{fewer}'")
    if parsed.shape:
        options = {key: value for key, value in options.items() if key not in SHAPE} | {"shape": parsed.shape}
    dataset: Dataset = factory(*[parsed.argument] * bool(parsed.argument), **options)
    require_members("dataset", parsed.base, dataset)
    return dataset


def make_metric(name: str, **settings: Any) -> Metric:
    """Build the metric called `name`, or one of its presets as `name.variant`.

    Of `settings` (device, weights) a metric gets those its factory takes: one without networks has no use for them.
    """
    base, _, variant = name.partition(".")
    factory = lookup("metric", base).factory
    taken = {k: v for k, v in settings.items() if k in metric_settings(name)}
    metric: Metric = factory(variant, **taken) if variant else factory(**taken)
    require_members("metric", base, metric)
    return metric


def full_metric_name(name: str) -> str:
    """A metric with its variant, fvd.stylegan_v_16f: the default one unless `name` says which.

    A metric whose factory takes no variant stays as it is.

    Raises:
        UsageError: No such metric.
    """
    base, _, variant = name.partition(".")
    taken = parameters_of(lookup("metric", base).factory).get("variant")
    default = taken.default if taken is not None and isinstance(taken.default, str) else ""
    return f"{base}.{variant or default}" if variant or default else base


def metric_settings(name: str) -> set[str]:
    """Names of the settings that the metric called `name` takes: some of device and weights."""
    return set(parameters_of(lookup("metric", name.partition(".")[0]).factory)) - {"variant"}

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
import json
import re
import traceback
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True)
class SystemName:
    """A parsed system name. `auffusion_vc2+mmdisco-res_frieren-denoise` has base, design and option.

    Attributes:
        base: Name of a registered system.
        design: Discriminator design, "res_mlp" unless given; None without +mmdisco.
        option: What else follows: a loss ("disc", "denoise"), "release", or "".
        argument: What follows a colon, for systems that take it: the file of `external:FILE.toml`.
    """

    base: str
    design: str | None = None
    option: str = ""
    argument: str = ""

    def __str__(self) -> str:
        if self.argument:
            return f"{self.base}:{self.argument}"
        if self.design is None:
            return self.base
        suffix = "" if self.design == "res_mlp" and not self.option else f"-{self.design}"
        return f"{self.base}+mmdisco{suffix}" + (f"-{self.option}" if self.option else "")


DESIGNS = tuple(f"{extractor}_{fusion}" for extractor in ("res", "vit") for fusion in ("mlp", "naive", "frieren"))
OPTIONS = ("all", "disc", "denoise", "release")
GIVEN = {"dataset", "device", "dtype", "weights", "guidance", "halves"}  # what factories get, though not by --set
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


def parse_system_name(text: str) -> SystemName:
    """Read `base`, `base:argument`, or `base+mmdisco` with -DESIGN, -OPTION or -DESIGN-OPTION after it."""
    base, colon, argument = text.partition(":")
    if colon:
        return SystemName(base, argument=argument)
    base, plus, rest = text.partition("+")
    if not plus:
        return SystemName(base)
    words = rest.split("-")
    if words[0] != "mmdisco":
        raise UsageError(f"Unknown suffix {'+' + rest!r} in system name {text!r}.", f"{base}+mmdisco[-DESIGN][-OPTION]")
    design = words.pop(1) if len(words) > 1 and words[1] in DESIGNS else "res_mlp"
    option = words.pop(1) if len(words) > 1 and words[1] in OPTIONS else ""
    if len(words) > 1:
        near = difflib.get_close_matches(words[1], [*DESIGNS, *OPTIONS], n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"Unknown part {words[1]!r} in system name {text!r}.",
            f"{hint}designs {', '.join(DESIGNS)}; options {', '.join(OPTIONS)}",
        )
    return SystemName(base, design, option)


def make_system(text: str, **settings: Any) -> Any:
    """Build the system called `text`; `settings` (device, dtype, dataset ...) reach its factory."""
    name = parse_system_name(text)
    entry = lookup("system", name.base)
    if name.argument and not takes_argument(entry.factory):
        raise UsageError(f"The system {name.base} takes no {name.argument!r}.", name.base, "mmbench list systems")
    if name.design is None:
        return entry.factory(*[name.argument] * bool(name.argument), **settings)
    if not entry.guidable:
        guidable = [e.name for e in discover("system")[0].values() if e.guidable]
        raise UsageError(
            f"{name.base!r} is not a pair of diffusion models, so MMDisCo cannot guide it.",
            f"one of {', '.join(guidable) or 'none registered yet'}",
            "mmbench list systems",
        )
    return entry.factory(guidance=name, **settings)


def read_options(texts: Sequence[str], systems: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Options of systems as users type them, "size=tiny" or "joint_scale=1,8": by system, those it takes.

    Raises:
        UsageError: Text without "=", or an option that none of the systems takes; says which there are.
    """
    taken = {name: options_of(lookup("system", parse_system_name(name).base)) for name in systems}
    options: dict[str, dict[str, Any]] = {name: {} for name in systems}
    for text in texts:
        key, equals, value = text.partition("=")
        takers = [name for name in systems if key in taken[name]]
        if not equals or not takers:
            known = sorted(set().union(*taken.values()))
            found = f"--set {text}: " + (f"{', '.join(systems)} has no option {key!r}." if equals else "no value.")
            raise UsageError(found, f"NAME=VALUE with NAME one of {', '.join(known) or 'none'}", "--set NAME=VALUE")
        for name in takers:
            options[name][key] = _option_value(value)
    return options


def options_of(entry: Entry) -> dict[str, Any]:
    """What a user may set of a system with --set, and the defaults; systems made of others say so themselves."""
    tell = getattr(entry.factory, "options", None)
    options = tell() if tell else keywords_of(entry.factory)
    return {name: default for name, default in options.items() if name not in GIVEN}


def takes_argument(factory: Callable[..., Any]) -> bool:
    """Whether a factory takes what follows the colon of a name."""
    return any(p.kind is p.POSITIONAL_OR_KEYWORD for p in inspect.signature(factory).parameters.values())


def keywords_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of a factory, and the defaults."""
    parameters = inspect.signature(factory).parameters.values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _option_value(text: str) -> Any:
    """JSON as 5, true or {"a": 1}, several of it with commas between, or the text itself: a path may hold commas."""
    for read in (json.loads, lambda text: tuple(json.loads(part) for part in text.split(","))):
        try:
            return read(text)
        except json.JSONDecodeError:
            continue
    return text


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
    taken = {k: v for k, v in settings.items() if k in inspect.signature(factory).parameters}
    return factory(variant, **taken) if variant else factory(**taken)

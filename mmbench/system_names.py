"""Names of systems as users type them, and the options that a system takes."""

from __future__ import annotations

import difflib
import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mmbench.errors import UsageError
from mmbench.registry import Entry, discover, lookup
from mmbench.types import DESIGNS, LOSSES


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


OPTIONS = (*LOSSES, "release")  # what may follow the design in a name


GIVEN = {"dataset", "device", "dtype", "weights", "guidance", "halves"}  # what factories get, though not by --set


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


GUIDANCE = {"joint_scale", "discriminator"}  # options that mean nothing to a pair without +mmdisco

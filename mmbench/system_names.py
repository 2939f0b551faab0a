"""Names of systems as users type them, and the options that a system takes."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from mmbench.errors import UsageError
from mmbench.optional_protocols import DeclaresOptions
from mmbench.registry import Entry, discover, lookup, parameters_of, require_members
from mmbench.types import DESIGNS, LOSSES


@dataclass(frozen=True)
class SystemName:
    """A parsed system name. `auffusion_vc2+mmdisco-res_frieren-denoise` has base, design and option.

    Attributes:
        base: Name of a registered system.
        design: Discriminator design, "res_mlp" unless given; None without +mmdisco.
        option: What else follows: a loss ("disc", "denoise"), "release", or "".
        argument: What follows a colon, for systems that take it: the file of `external:FILE.toml`, or of
            `pipelines:FILE.toml+mmdisco`, where it ends at the last "+" before mmdisco.
        fast: Whether "fast" comes last: guidance whose gradient is computed at some steps of the sampler alone.
        candidates: Pairs of which +bestof keeps one; 0 without it.
        scorer: The metric that +bestof chooses by; "" for the system's own.
        aligner: Whether +aligner guides by the gradient of an embedding's cosine.
    """

    base: str
    design: str | None = None
    option: str = ""
    argument: str = ""
    fast: bool = False
    candidates: int = 0
    scorer: str = ""
    aligner: bool = False

    @property
    def alone(self) -> SystemName:
        """The same without what follows the plus sign."""
        return SystemName(self.base, argument=self.argument)

    @property
    def addition(self) -> str:
        """What the pair is extended by: "mmdisco", "bestof", "aligner", or "" for the system alone."""
        return "mmdisco" if self.design else "bestof" if self.candidates else "aligner" if self.aligner else ""

    def __str__(self) -> str:
        words = [self.addition]
        if self.design is not None:
            words += [self.design] * (self.design != "res_mlp" or bool(self.option))
            words += [self.option] * bool(self.option) + ["fast"] * self.fast
        if self.candidates:
            words += [str(self.candidates), *([self.scorer] if self.scorer else [])]
        base = self.base + f":{self.argument}" * bool(self.argument)
        return base + (f"+{'-'.join(words)}" if self.addition else "")


OPTIONS = (*LOSSES, "release")  # what may follow the design in a name
ADDITIONS = {  # what may follow the plus sign of a pair of diffusion models, and its form
    "mmdisco": "mmdisco[-DESIGN][-OPTION][-fast]",
    "bestof": "bestof-K[-SCORER]",
    "aligner": "aligner",
}


COMMON: Mapping[str, Collection[Any] | None] = {  # settings of every job, and the values that ask nothing of a system
    "dataset": None,  # any
    "device": ("auto", "cpu"),  # a system without networks runs on the CPU
    "dtype": ("float32",),
    "weights": ("real",),
}


GIVEN = {*COMMON, "guidance", "modalities"}  # keyword arguments of factories that --set does not reach


def parse_system_name(text: str) -> SystemName:
    """Read `base`, or `base:argument`, either with one of `ADDITIONS` after a plus sign.

    Raises:
        UsageError: An unknown addition or part of one; says which is near.
    """
    base, colon, argument = text.partition(":")
    if colon:
        argument, plus, rest = argument.rpartition("+")
        if not plus or rest.partition("-")[0] not in ADDITIONS:  # a file's name may hold a +
            return SystemName(base, argument=argument + plus + rest)
    else:
        base, plus, rest = text.partition("+")
        if not plus:
            return SystemName(base)
    alone = SystemName(base, argument=argument)
    addition, *words = rest.split("-")
    if addition not in ADDITIONS:
        near = difflib.get_close_matches(addition, ADDITIONS, n=1)
        hint = f"did you mean {base}+{near[0]}? " if near else ""
        forms = ", ".join(f"{base}+{form}" for form in ADDITIONS.values())
        raise UsageError(f"Unknown suffix {'+' + rest!r} in system name {text!r}.", f"{hint}one of {forms}")
    return {"mmdisco": _read_guided, "bestof": _read_best_of, "aligner": _read_aligned}[addition](text, alone, words)


def _read_guided(text: str, alone: SystemName, words: list[str]) -> SystemName:
    design = words.pop(0) if words and words[0] in DESIGNS else "res_mlp"
    option = words.pop(0) if words and words[0] in OPTIONS else ""
    fast = words[:1] == ["fast"]
    if len(words) > fast:
        unknown, known = words[fast], [*DESIGNS, *OPTIONS, "fast"]
        near = difflib.get_close_matches(unknown, known, n=1)
        hint = f"did you mean {near[0]}? " if near else ""
        raise UsageError(
            f"Unknown part {unknown!r} in system name {text!r}.",
            f"{hint}designs {', '.join(DESIGNS)}; options {', '.join(OPTIONS)}; fast, which comes last",
        )
    return replace(alone, design=design, option=option, fast=fast)


def _read_best_of(text: str, alone: SystemName, words: list[str]) -> SystemName:
    count, *scorer = words or [""]
    if not (count.isascii() and count.isdecimal() and int(count) > 0):
        found = f"{text!r} does not say of how many pairs the best is kept."
        raise UsageError(found, f"{alone}+{ADDITIONS['bestof']} with K from 1", f"mmbench run -s {alone}+bestof-4")
    if len(scorer) > 1 or scorer == [""]:
        found = f"{text!r} has {'-'.join(scorer) or 'nothing'!r} where one metric belongs."
        raise UsageError(found, "name or name.variant of a metric", "mmbench list metrics")
    return replace(alone, candidates=int(count), scorer="".join(scorer))


def _read_aligned(text: str, alone: SystemName, words: list[str]) -> SystemName:
    if words:
        found = f"Unknown part {'-'.join(words)!r} in system name {text!r}."
        raise UsageError(found, f"{alone}+aligner, which takes nothing after it", f"mmbench run -s {alone}+aligner")
    return replace(alone, aligner=True)


def make_system(text: str, **settings: Any) -> Any:
    """Build the system called `text`.

    Args:
        text: Name, as `parse_system_name` reads it.
        **settings: Common settings (dataset, device, dtype, weights) and options of the system; its factory gets
            those that it takes.

    Raises:
        UsageError: No such system; a common setting that it does not take, with a value that asks for something; an
            option that it does not have.
    """
    name = parse_system_name(text)
    entry = lookup("system", name.base)
    if name.argument and not takes_argument(entry.factory):
        raise UsageError(f"The system {name.base} takes no {name.argument!r}.", name.base, "mmbench list systems")
    if name.addition and not entry.guidable:
        guidable = [e.name for e in discover("system")[0].values() if e.guidable]
        raise UsageError(
            f"{name.base!r} is not a pair of diffusion models, so it takes no +{name.addition}.",
            f"one of {', '.join(guidable) or 'none registered yet'}",
            "mmbench list systems",
        )
    options = {key: value for key, value in settings.items() if key not in COMMON}
    refuse_unknown_options(entry, options)
    common = divide_settings({key: value for key, value in settings.items() if key in COMMON}, [text])[text]
    guidance = {"guidance": name} if name.addition else {}
    system = entry.factory(*[name.argument] * bool(name.argument), **guidance, **common, **options)
    require_members("system", name.base, system)
    return system


def takes_setting(system: str, setting: str) -> bool:
    """Whether the factory of the system called `system` takes a common setting; one with **keywords takes all."""
    return bool(settings_taken_by(lookup("system", parse_system_name(system).base).factory, {setting: None}))


def settings_taken_by(factory: Callable[..., Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a factory takes: those that it names, or all if it has **keywords."""
    parameters = parameters_of(factory)
    free = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {key: value for key, value in settings.items() if free or key in parameters}


def divide_settings(
    settings: Mapping[str, Any], systems: Sequence[str], taken_elsewhere: Collection[str] = ()
) -> dict[str, dict[str, Any]]:
    """Common settings of a job by system: each system gets those that it takes.

    Args:
        settings: Values of `COMMON`, by name.
        systems: Names of the job's systems.
        taken_elsewhere: Settings that something else in the job takes, as metrics take weights.

    Raises:
        UsageError: A setting that nothing takes and that asks for something; says what the systems do take.
    """
    for setting, value in settings.items():
        neutral = COMMON[setting]
        ignored = setting not in taken_elsewhere and not any(takes_setting(name, setting) for name in systems)
        if ignored and neutral is not None and value not in neutral:
            raise UsageError(
                f"--{setting} {value}: {', '.join(systems)} {'do' if len(systems) > 1 else 'does'} not take it.",
                f"only {_options_in_words(systems)}",
                f"the same command without --{setting}",
            )
    return {name: {k: v for k, v in settings.items() if takes_setting(name, k)} for name in systems}


def _options_in_words(systems: Sequence[str]) -> str:
    """What a user may set of these systems, as options of a command."""
    common = [key for key in COMMON if any(takes_setting(name, key) for name in systems)]
    own = {key for name in systems for key in options_of(lookup("system", parse_system_name(name).base))}
    return ", ".join(f"--{key.replace('_', '-')}" for key in (*common, *sorted(own))) or "no options"


def refuse_unknown_options(entry: Entry, options: Collection[str]) -> None:
    """Raise UsageError if the system has no option of one of these names; **keywords alone may mean anything."""
    parameters = parameters_of(entry.factory)
    free = any(p.kind is p.VAR_KEYWORD for p in parameters.values()) and not isinstance(entry.factory, DeclaresOptions)
    known = options_of(entry)
    for option in options:
        if not (free or option in known or option in parameters):
            raise UsageError(
                f"{entry.name} has no option {option!r}.",
                f"one of {', '.join(known) or 'none'}",
                f"mmbench show {entry.name}",
            )


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
            about = f"mmbench show {parse_system_name(systems[0]).base}" if systems else "mmbench list systems"
            raise UsageError(found, f"NAME=VALUE with NAME one of {', '.join(known) or 'none'}", about)
        for name in takers:
            options[name][key] = _option_value(value)
    return options


def refuse_idle_guidance(texts: Sequence[str], systems: Sequence[str]) -> None:
    """Refuse options of the guidance in a job in which no system that knows them is guided in that way.

    Raises:
        UsageError: Such an option, which would change nothing; says which systems take it.
    """
    for text in texts:
        key = text.partition("=")[0]
        names = [parse_system_name(name) for name in systems]
        takers = [name for name in names if key in options_of(entry := lookup("system", name.base)) and entry.guidable]
        if key in GUIDANCE and takers and all(key not in GUIDES.get(name.addition, ()) for name in takers):
            bases = list(dict.fromkeys(name.base for name in takers))
            takes = [f"{base}+{guide}" for base in bases for guide, keys in GUIDES.items() if key in keys]
            raise UsageError(
                f"--set {text}: nothing guides {', '.join(dict.fromkeys(map(str, takers)))} by it, "
                "so it would change nothing.",
                f"{' or '.join(takes)}, which takes it",
                f"mmbench run {' '.join(f'-s {name}' for name in systems)} -s {takes[0]} --set {text}",
            )


def options_of(entry: Entry) -> dict[str, Any]:
    """Options that a user may set of a system with --set, and their defaults; `DeclaresOptions` gives its own."""
    factory = entry.factory
    options = factory.options() if isinstance(factory, DeclaresOptions) else keywords_of(factory)
    return {name: default for name, default in options.items() if name not in GIVEN}


def takes_argument(factory: Callable[..., Any]) -> bool:
    """Whether a factory takes what follows the colon of a name."""
    return any(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters_of(factory).values())


def keywords_of(factory: Callable[..., Any]) -> dict[str, Any]:
    """Keyword arguments of a factory, and the defaults."""
    parameters = parameters_of(factory).values()
    return {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}


def _option_value(text: str) -> Any:
    """JSON as 5, true or {"a": 1}, several of it with commas between, or the text itself: a path may hold commas."""
    for read in (json.loads, lambda text: tuple(json.loads(part) for part in text.split(","))):
        try:
            return read(text)
        except json.JSONDecodeError:
            continue
    return text


GUIDES = {  # options that mean nothing but to what guides a pair, by that
    "mmdisco": {"discriminator", "guidance_precision", "guided_every", "guided_steps", "joint_scale", "path"},
    "aligner": {"aligner_scale", "guidance_precision", "guided_every", "guided_steps", "path"},
}
GUIDANCE = set().union(*GUIDES.values())

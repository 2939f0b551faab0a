"""Options of systems as options of commands: `--size tiny` is read as `--set size=tiny`.

Which options there are is up to the registered systems, plugins included, so the parser cannot know them beforehand.
"""

from __future__ import annotations

import shlex
from collections.abc import Collection, Sequence
from typing import Any

from mmbench.cli.examples import WithExamples
from mmbench.errors import UsageError


def spelled_out(texts: Sequence[str], own: Collection[str]) -> list[str]:
    """A command line in which options of systems are spelled with --set.

    Args:
        texts: What was typed after the command's name.
        own: Options of the command itself, "--seed"; they come first where names collide.
    """
    defaults: dict[str, Any] | None = None
    out: list[str] = []
    rest = list(texts)
    while rest:
        text = rest.pop(0)
        if text == "--":
            return [*out, text, *rest]
        option, equals, value = text.partition("=")
        name = option[2:].replace("-", "_")
        if not option.startswith("--") or option in own:
            out.append(text)
            continue
        if defaults is None:
            defaults = _options_of_systems()
        if name not in defaults:
            out.append(text)
            continue
        if not equals:
            is_flag = isinstance(defaults[name], bool) and (not rest or rest[0] not in ("true", "false"))
            value = "true" if is_flag else rest.pop(0) if rest else ""
        out += ["--set", f"{name}={value}"]
    return out


def _options_of_systems() -> dict[str, Any]:
    from mmbench.registry import discover
    from mmbench.system_names import options_of

    found: dict[str, Any] = {}
    for entry in discover("system")[0].values():
        found |= options_of(entry)
    return found


class SystemOptions(WithExamples):
    """A command that takes options of systems by their names, too, if it takes them with --set."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Spell them out, then parse."""
        if "--plugin" in args:
            words = [ctx.info_name or "", *args]
            at = words.index("--plugin")
            moved = ["mmbench", *words[at : at + 2], *words[:at], *words[at + 2 :]]
            raise UsageError("--plugin stands after the command.", "it before the command", shlex.join(moved))
        own = {text for parameter in self.params for text in (*parameter.opts, *parameter.secondary_opts)}
        if "--set" in own:
            args = spelled_out(args, {*own, *self.get_help_option_names(ctx)})
        return super().parse_args(ctx, args)

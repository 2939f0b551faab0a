"""A pipeline of diffusers as its source describes it: what a call takes and returns, and how its loop steps.

Nothing is imported: sources are parsed. diffusers 0.42.1: src/diffusers/pipelines.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SPEAKS_OF_MEDIA = re.compile(r"\b(frames|videos?|audios?)=|Video\w*Output\(")  # what returns neither needs no parsing
STEP = ("model_output", "timestep", "sample")

Loops = tuple[ast.For | ast.While, ...]  # those around a statement, outermost first


@dataclass(frozen=True)
class Step:
    """A call of a scheduler's `step`.

    Attributes:
        scheduler: The expression that steps, as "self.scheduler".
        arguments: Positional arguments, as expressions; those of `STEP` also where they are named.
        keywords: Names of keyword arguments.
        loops: What the loops around it run over, as expressions, outermost first.
        round: The body of the innermost loop.
    """

    scheduler: str
    arguments: tuple[str, ...]
    keywords: tuple[str, ...]
    loops: tuple[str, ...]
    round: str


@dataclass(frozen=True)
class PipelineSource:
    """What the source of a pipeline class says.

    Attributes:
        name: The class.
        arguments: Names of all arguments of its call.
        required: Those without a default.
        returns: Names of what its output holds, and the output's class.
        steps: Every place where a call steps a scheduler.
        most_steps: How often one round of a loop steps at most.
        scheduler: The class of scheduler that it is made with, as annotated.
        text: The source of the class.
    """

    name: str
    arguments: tuple[str, ...]
    required: tuple[str, ...]
    returns: frozenset[str]
    steps: tuple[Step, ...]
    most_steps: int
    scheduler: str
    text: str


def read_sources() -> list[PipelineSource]:
    """All pipelines of the installed diffusers whose call may return frames or sound, by name."""
    found = find_spec("diffusers")
    folders = list(found.submodule_search_locations or ()) if found else []
    files = [file for folder in folders for file in (Path(folder) / "pipelines").rglob("pipeline_*.py")]
    sources = [source for file in sorted(files) for source in _read_file(file)]
    return sorted(sources, key=lambda source: source.name)


def _read_file(file: Path) -> Iterator[PipelineSource]:
    text = file.read_text(encoding="utf-8")
    if ".step(" in text and SPEAKS_OF_MEDIA.search(text):
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef) and (source := read_class(node, text)):
                yield source


def read_class(node: ast.ClassDef, text: str) -> PipelineSource | None:
    """The source of one class of a file's `text`; None if it defines no call of its own."""
    methods = {m.name: m for m in node.body if isinstance(m, ast.FunctionDef)}
    if "__call__" not in methods:
        return None
    call = methods["__call__"].args
    positional = [a.arg for a in call.args[1:]]
    required = positional[: len(positional) - len(call.defaults)]
    walk = _Walk(methods)
    walk.rounds(methods["__call__"].body, ())
    made_with = methods["__init__"].args.args if "__init__" in methods else []
    return PipelineSource(
        node.name,
        (*positional, *(a.arg for a in call.kwonlyargs)),
        tuple(required),
        _returns(methods["__call__"]),
        tuple(walk.steps),
        walk.most,
        " ".join(ast.unparse(a.annotation) for a in made_with if a.arg == "scheduler" and a.annotation),
        "\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]),
    )


def _returns(call: ast.FunctionDef) -> frozenset[str]:
    outputs = [n.value for n in ast.walk(call) if isinstance(n, ast.Return) and isinstance(n.value, ast.Call)]
    names = {k.arg for output in outputs for k in output.keywords if k.arg}
    return frozenset(names | {ast.unparse(output.func) for output in outputs})


class _Walk:
    """Finds the steps that a call takes, in its own methods too, with the loops around them."""

    def __init__(self, methods: dict[str, ast.FunctionDef]) -> None:
        self.methods = methods
        self.steps: list[Step] = []
        self.most = 0

    def rounds(self, body: Sequence[ast.stmt], loops: Loops) -> int:
        """Steps that one pass through `body` takes at most, outside the loops within it."""
        return sum(self._statement(statement, loops) for statement in body)

    def _statement(self, node: ast.stmt, loops: Loops) -> int:
        if isinstance(node, ast.For | ast.While):
            self.most = max(self.most, self.rounds(node.body, (*loops, node)))
            return 0
        if isinstance(node, ast.If):
            return max(self.rounds(node.body, loops), self.rounds(node.orelse, loops))
        if isinstance(node, ast.With | ast.Try):
            return self.rounds(node.body, loops)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            return 0
        return sum(self._expression(n, loops) for n in ast.walk(node) if isinstance(n, ast.Call))

    def _expression(self, node: ast.Call, loops: Loops) -> int:
        if not isinstance(node.func, ast.Attribute) or node.func.attr not in ("step", *self.methods):
            return 0
        owner, name = ast.unparse(node.func.value), node.func.attr
        if owner == "self" and name in self.methods:
            inner = self.methods.pop(name)  # a helper, followed once: none calls itself
            count = self.rounds(inner.body, loops)
            self.methods[name] = inner
            return count
        if name != "step":
            return 0
        by_name = {k.arg: k.value for k in node.keywords if k.arg}
        given = [a for a in node.args if not isinstance(a, ast.Starred)]
        given += [by_name[name] for name in STEP[len(given) :] if name in by_name]
        arguments = tuple(map(ast.unparse, given))
        over = tuple(ast.unparse(loop.iter if isinstance(loop, ast.For) else loop.test) for loop in loops)
        body = "\n".join(map(ast.unparse, loops[-1].body)) if loops else ""
        self.steps.append(Step(owner, arguments, tuple(by_name), over, body))
        return 1

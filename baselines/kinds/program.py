"""Somebody else's program that makes clips: what is declared of it, how it is run, and what it leaves.

A declaration is a TOML file:

    name = "ovi"                                   # the system is then called external:ovi
    command = ["uv", "run", "generate.py", "--prompts", "{prompts}", "--out", "{out}"]
    directory = "."                                # where it runs, seen from this file
    timeout = 3600                                 # of one batch [s]
    batch_size = 8                                 # prompts it gets at once
    files = ["models/ovi.safetensors"]             # whose content is part of the run's identity
    environment = { CUDA_VISIBLE_DEVICES = "0" }   # added to the user's own; recorded, so no place for secrets
    weights = "real"                               # or trained, tiny, random, none
    version = 1                                    # raised by hand when what it makes changes unseen

Only `name` and `command` are needed. Files that the command names, as generate.py here, are part of the identity, too.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_args

from mmbench.errors import MMBenchError, UsageError
from mmbench.media.regular_files import read_regular
from mmbench.processes import ending_with_us
from mmbench.types import Weights

PROMPTS, OUT, LOG = "prompts.jsonl", "out", "log.txt"
GRACE = 5.0  # [s] between asking a process group to end and killing it
DEFAULT_TIMEOUT = 3600.0


class ProgramError(RuntimeError):
    """The program crashed, ran out of time, or left nothing usable for a sample."""


@dataclass(frozen=True)
class Declaration:
    """A user's declaration of a program, as the head of this file shows it."""

    name: str
    command: Sequence[str]
    root: Path
    directory: str = "."
    timeout: float = DEFAULT_TIMEOUT
    batch_size: int = 1
    files: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    weights: Weights = "real"
    version: int = 1

    @property
    def folder(self) -> Path:
        """The directory that the program runs in."""
        return (self.root / self.directory).resolve()

    def spec(self) -> dict[str, Any]:
        """All that is known to change its clips: how it is called, and digests of its files; no place, no time-out."""
        named = [word for word in self.command if (self.folder / word).is_file()]
        digests = {name: sha256(self.folder / name) for name in (*named, *self.files)}
        called = {"name": self.name, "version": self.version, "command": list(self.command)}
        return {**called, "environment": dict(self.environment), "files": digests}


def sha256(path: Path) -> str:
    """Digest of a file, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_declaration(path: Path) -> Declaration:
    """The declaration in a TOML file, checked.

    Raises:
        UsageError: No such file, not TOML, or a key that is missing, unknown or of the wrong kind.
        MMBenchError: The program, its directory or a file of it is not here.
    """
    try:
        found = tomllib.loads(read_regular(path).decode())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", "a TOML file", "external:FILE.toml") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}.", "name and command, as docs/extending.md shows") from error
    known = {f.name for f in fields(Declaration)} - {"root"}
    if unknown := sorted(set(found) - known):
        raise UsageError(f"{path} has the key {unknown[0]!r}.", f"of {', '.join(sorted(known))}")
    for key, (fits, what) in CHECKS.items():
        if (key in found or key in ("name", "command")) and not fits(found.get(key)):
            raise UsageError(f"{path}: {key} is {found.get(key)!r}.", what)
    declared = Declaration(root=path.parent, **found)
    if not declared.folder.is_dir():
        raise MMBenchError(f"{path}: there is no directory {declared.folder}.", "where the program runs")
    if lacking := [name for name in declared.files if not (declared.folder / name).is_file()]:
        raise MMBenchError(f"{path}: there is no file {declared.folder / lacking[0]}.", "every file it lists")
    program, search = declared.command[0], {**os.environ, **declared.environment}.get("PATH")
    if not ((declared.folder / program).is_file() if "/" in program else shutil.which(program, path=search)):
        raise MMBenchError(f"{path}: there is no program {program!r}.", "one that is installed, or its path")
    return declared


def _words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)


def _placed(command: Any) -> bool:
    text = " ".join(command) if _words(command) and command else ""
    return "{prompts}" in text and "{out}" in text


CHECKS: Mapping[str, tuple[Any, str]] = {
    "name": (
        lambda v: isinstance(v, str) and bool(re.fullmatch(r"[A-Za-z0-9][\w.-]*", v)),
        "letters, digits, _ . and -",
    ),
    "command": (_placed, "a list of words with {prompts}, the file to read, and {out}, the folder to write to"),
    "directory": (lambda v: isinstance(v, str), "a path"),
    "timeout": (lambda v: type(v) in (int, float) and v > 0, "seconds, more than 0"),
    "batch_size": (lambda v: type(v) is int and v > 0, "a whole number from 1"),
    "files": (_words, "a list of paths"),
    "environment": (lambda v: isinstance(v, dict) and _words([*v.values()]), "a table of texts"),
    "weights": (lambda v: v in get_args(Weights), f"one of {', '.join(get_args(Weights))}"),
    "version": (lambda v: type(v) is int, "a whole number"),
}


def run_program(declared: Declaration, lines: Sequence[Mapping[str, Any]], work: Path) -> str:
    """Give the program its prompts and wait until it ends; nothing of its process group outlives that.

    Args:
        declared: The program.
        lines: One mapping per prompt.
        work: A folder that is there; gets the prompts, the folder for the clips, and what the program printed.

    Returns:
        What went wrong, one sentence; "" if it ended well.
    """
    (work / OUT).mkdir()
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    (work / PROMPTS).write_text(text, encoding="utf-8")
    places = {"{prompts}": str(work / PROMPTS), "{out}": str(work / OUT)}
    command = [re.sub("|".join(places), lambda found: places[found[0]], word) for word in declared.command]
    if "/" in command[0]:
        command[0] = str(declared.folder / command[0])
    with (work / LOG).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=declared.folder,
            env={**os.environ, **declared.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a group of its own: the first Ctrl-C lets it finish, and all of it can be ended
        )
        with ending_with_us(process.pid):
            try:
                code = process.wait(declared.timeout)
            except subprocess.TimeoutExpired:
                return f"{declared.name} did not end within {declared.timeout:g} s"
            finally:
                _end_group(process)
    if code < 0:
        return f"{declared.name} was ended by {signal.Signals(-code).name}"
    return f"{declared.name} ended with exit code {code}" if code else ""


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children: SIGTERM if it still runs, then SIGKILL."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):  # the latter is what some systems say of a group of zombies
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()

"""Damages one file of a finished folder of runs at a time, and says what commands make of it.

    python -m tests.chaos.mutations --seed 0 --count 60      # all kinds of files and of damage, drawn by seed

Prints a line per mutation, JSON, with a verdict: "detected" (a message, or an error that names it), "healed" (the same
numbers, with a message), "harmless" (the same numbers) or one of FAILURES.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.chaos.folder import build, failed, readers
from tests.chaos.forked import Outcome, command, warm

FAILURES = ("silent", "traceback", "hang")
PASSING = ("time", "seconds", "cpu_seconds", "peak_memory_bytes", "sample", "invocations", "resources", "memory")
LEFT_OUT = (".lock", ".py", ".md", ".csv", ".png", ".html")  # not read again


@dataclass(frozen=True)
class Mutation:
    """Damage of one file: what, where, and the command that looked at it, with its verdict."""

    file: str
    kind: str
    place: int
    command: str
    verdict: str
    message: str


def mutate(data: bytes, kind: str, place: int) -> bytes:
    """Damage data of at least a byte.

    Args:
        data: The content of a file.
        kind: One of KINDS.
        place: From 0 to eight times the length: a bit.
    """
    at = place // 8
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << place % 8]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "doubled tail":
        return data + data[at:]
    return data[:at] + bytes(min(64, len(data) - at)) + data[at + 64 :]  # zeros, as a file system leaves them


KINDS = ("flip", "cut", "doubled tail", "zeros")


def files_of(folder: Path) -> dict[str, list[str]]:
    """Paths in a folder by kind of file, so that kinds with few files are drawn as often as those with many."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.stat().st_size and not path.name.endswith(LEFT_OUT):
            name = path.relative_to(folder).as_posix()
            kinds.setdefault(re.sub(r"[\d-]{3,}.*?(?=/|\.|$)", "#", name), []).append(name)
    return kinds


def numbers(text: str) -> Any:
    """What a command printed, without times and what each start adds."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: plain(v) for k, v in value.items() if k not in PASSING}
        return [plain(v) for v in value] if isinstance(value, list) else value

    try:
        return plain(json.loads(text))
    except ValueError:
        return text


def judge(done: Outcome, before: Outcome) -> str:
    """The verdict on a command, beside what it did without damage."""
    if done.code is None:
        return "hang"
    if failed(done):
        return "traceback"
    said = set(done.err.splitlines()) - set(before.err.splitlines())
    if done.code == before.code and numbers(done.out) == numbers(before.out):
        return "healed" if said else "harmless"
    return "detected" if said or "damaged" in done.out else "silent"


def carry_out(seed: int, count: int, commands: int, sweep: bool) -> Iterator[Mutation]:
    """Draw mutations and judge them, each by so many of the commands that look at the file."""
    rng = random.Random(seed)
    warm()
    with tempfile.TemporaryDirectory() as place:
        whole, work = Path(place) / "whole", Path(place) / "work"
        build(whole, sweep)
        kinds = files_of(whole)
        untouched: dict[tuple[str, ...], Outcome] = {}

        def run(words: tuple[str, ...], file: str = "", damaged: bytes = b"") -> Outcome:
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(whole, work)
            if file:
                (work / file).write_bytes(damaged)
            return command(work, words)

        order = [kind for _ in range(1 + count // len(kinds)) for kind in rng.sample(sorted(kinds), len(kinds))]
        for name in order[:count]:
            file, kind = rng.choice(kinds[name]), rng.choice(KINDS)
            data = (whole / file).read_bytes()
            bit = rng.randrange(8 * len(data))
            words = readers(file)
            for chosen in rng.sample(words, min(commands, len(words))):
                if chosen not in untouched:
                    untouched[chosen] = run(chosen)
                done = run(chosen, file, mutate(data, kind, bit))
                last = (done.err.strip().splitlines() or [""])[-1]
                yield Mutation(file, kind, bit, " ".join(chosen[:2]), judge(done, untouched[chosen]), last)


def main() -> int:
    """Draw as asked, print a line for each, and the counts last; 1 if any failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--commands", type=int, default=1)
    parser.add_argument("--sweep", action="store_true", help="also damage a sweep")
    asked = parser.parse_args()
    counts: dict[str, int] = {}
    for mutation in carry_out(asked.seed, asked.count, asked.commands, asked.sweep):
        print(json.dumps(asdict(mutation)), flush=True)
        counts[mutation.verdict] = counts.get(mutation.verdict, 0) + 1
    print(json.dumps(counts))
    return int(any(verdict in counts for verdict in FAILURES))


if __name__ == "__main__":
    sys.exit(main())

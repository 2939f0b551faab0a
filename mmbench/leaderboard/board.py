"""A leaderboard on disk: a folder with one file per submission, which may be a git repository."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.files import write_whole
from mmbench.identity import digest_bytes
from mmbench.leaderboard.definitions import find_definition_faults, note_unchecked
from mmbench.leaderboard.protocol import Protocol, protocol_of
from mmbench.leaderboard.reading import list_reasons, read_submission, refuse
from mmbench.leaderboard.submission import Entry

SAME = 1e-3  # relative difference up to which machines may disagree on one number of the same clips


@dataclass(frozen=True)
class Added:
    """A submission that is on the board now: its file there, its entries, and what could not be checked."""

    file: Path
    entries: Sequence[Entry]
    notes: Sequence[str]


def read_board(folder: Path) -> list[Entry]:
    """The entries of a board, every file of it checked, in the order of file names and lines.

    Raises:
        UsageError: There is no such folder, or it holds no submission.
        IntegrityError: Lines were changed, or contradict each other; names all.
    """
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        again = shlex.join(["mmbench", "leaderboard", "add", "FILE", "--board", str(folder)])
        raise UsageError(f"{folder} holds no submissions.", "a folder that mmbench leaderboard add wrote to", again)
    entries: list[Entry] = []
    refused: list[str] = []
    for file in files:
        found, reasons = read_submission(file, file.name)
        entries, refused = [*entries, *found], [*refused, *reasons]
    refused += find_repeats([], entries)
    if refused:
        again = f"git -C {shlex.quote(str(folder))} checkout -- . or move them elsewhere and add what was sent"
        raise IntegrityError(
            f"{folder} is damaged:{list_reasons(refused)}", "files as mmbench leaderboard add left them", again
        )
    return entries


def add(files: Sequence[Path], folder: Path, dry_run: bool = False) -> list[Added]:
    """Put submissions on a board: all of them, or, where a line of one is refused, none.

    Args:
        files: Submissions, as `export` wrote them.
        folder: The board's folder; made if it is not there.
        dry_run: Say what would be added; write nothing.

    Raises:
        IntegrityError: Names every line that is refused, with the reason: changed, not whole, not plausible, not of
            the metric that it names, there already, or in contradiction to one that is there.
        MMBenchError: The folder cannot be written; nothing was added.
    """
    known = read_board(folder) if any(folder.glob("*.jsonl")) else []
    refused: list[str] = []
    new: list[tuple[Path, list[Entry]]] = []
    for file in files:
        entries, reasons = read_submission(file)
        if reasons:
            refused += reasons
            continue
        refused += [f"{entry.origin}: {fault}" for entry in entries for fault in find_definition_faults(entry)]
        refused += find_repeats([*known, *(e for _, earlier in new for e in earlier)], entries)
        new.append((file, entries))
    if refused:
        refuse(refused)
    contents = {folder / _file_name(entries, file.read_bytes()): file.read_bytes() for file, entries in new}
    if not dry_run:
        _write_all(contents)
    return [Added(path, entries, note_unchecked(entries)) for path, (_, entries) in zip(contents, new, strict=True)]


def _write_all(contents: dict[Path, bytes]) -> None:
    written: list[Path] = []
    try:
        for path, content in contents.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, content)
            written.append(path)
    except OSError as error:
        for path in written:
            path.unlink()
        found = f"Cannot write to {next(iter(contents)).parent}: {error.strerror}. Nothing was added."
        raise MMBenchError(found, "a folder you may write to", "--board FOLDER") from error


def _file_name(entries: Sequence[Entry], content: bytes) -> str:
    team = re.sub(r"[^a-z0-9]+", "-", entries[0].author.team.lower()).strip("-")[:40] or "team"
    return f"{team}-{entries[0].author.date}-{digest_bytes(content)[:8]}.jsonl"


def find_repeats(known: Sequence[Entry], entries: Sequence[Entry]) -> list[str]:
    """What in new entries is on a board already, or contradicts what is: by name, or by the clips that were scored.

    Args:
        known: Entries on the board.
        entries: New ones; they are held against each other, too.
    """
    refused = []
    named: dict[tuple[tuple[str, str, str], Protocol], Entry] = {}
    scored: dict[tuple[str, Protocol], Entry] = {}
    for number, entry in enumerate([*known, *entries]):
        protocol = protocol_of(entry)
        same_name = named.setdefault((entry.key, protocol), entry)
        same_clips = scored.setdefault((entry.clips, protocol), entry)
        if number < len(known):
            continue
        told = f"{entry.origin}: {entry.record.metric} of {entry.name}"
        if same_name is not entry:
            is_same = _agree(same_name, entry) and same_name.clips == entry.clips
            what = "is there already" if is_same else "contradicts one of this name; another --version tells them apart"
            refused.append(f"{told} {what}: {same_name.origin}")
        elif same_clips is not entry and not _agree(same_clips, entry):
            values = f"{entry.record.value} here and {same_clips.record.value} in {same_clips.origin}"
            refused.append(f"{told}: the same clips have the value {values}")
    return refused


def _agree(a: Entry, b: Entry) -> bool:
    x, y = a.record.value, b.record.value
    return x == y if x is None or y is None else abs(x - y) <= SAME * max(abs(x), abs(y))

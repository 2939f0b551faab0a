"""sha256 of files and folders: cached, so that gigabytes are hashed once, and recorded beside what they describe."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmbench.console import log
from mmbench.files import json_bytes, write_whole

Hashes = dict[str, str]  # path below the folder (of a file: its name) -> sha256


class DigestCache:
    """Digests by path, size, times and inode, kept in one small JSON file; a file that changed is hashed again."""

    def __init__(self, ledger: Path) -> None:
        self.ledger = ledger

    def known(self, path: Path) -> Hashes | None:
        """Digests of a file, or of all files of a folder, if none has to be hashed for it."""
        cached, hashes = read_json(self.ledger), {}
        for name, file in files(path).items():
            *stamp, digest = cached.get(str(file), [""])
            if stamp != _stamp(file):
                return None
            hashes[name] = digest
        return hashes

    def hashes(self, path: Path, anew: bool = False) -> Hashes:
        """Digests of a file, or of all files of a folder; hashes what is not known, or `anew` all."""
        known = None if anew else self.known(path)
        if known is not None:
            return known
        stamps = {name: (str(file), _stamp(file)) for name, file in files(path).items()}
        hashes = hash_files(path)  # after the stamps: a change meanwhile makes them stale
        self._keep({file: [*stamp, hashes[name]] for name, (file, stamp) in stamps.items()})
        return hashes

    def remember(self, path: Path, hashes: Hashes) -> None:
        """Keep digests that were computed while the file had another name."""
        self._keep({str(file): [*_stamp(file), hashes[name]] for name, file in files(path).items()})

    def _keep(self, entries: Mapping[str, Any]) -> None:
        try:
            write_json(self.ledger, {**read_json(self.ledger), **entries})
        except OSError as error:  # a read-only home costs time, not correctness
            log.info("Digests are not cached: %s", error)


def hash_files(path: Path) -> Hashes:
    """sha256 of a file, or of every file of a folder."""
    hashes = {}
    for name, file in files(path).items():
        with file.open("rb") as stream:
            hashes[name] = hashlib.file_digest(stream, "sha256").hexdigest()
    return hashes


def total_bytes(path: Path) -> int:
    """Size of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in files(path).values())


def listing(hashes: Hashes) -> str:
    """The text that `sha256sum` prints for these files, sorted by path; `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(hashes.items()))


def digest_of(hashes: Hashes) -> str:
    """Digest of a file; of a folder of several, that of its listing."""
    if len(hashes) == 1:
        return next(iter(hashes.values()))
    return hashlib.sha256(listing(hashes).encode()).hexdigest()


def record_path(path: Path) -> Path:
    """Where the digest of `path` is recorded: FILE.sha256 beside it."""
    return path.with_name(path.name + ".sha256")


def recorded(path: Path) -> Hashes | None:
    """Digests recorded beside `path` on first use, if any."""
    file = record_path(path)
    if not file.exists():
        return None
    lines = (line.partition("  ") for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n"))
    return {name: digest for digest, _, name in lines}


def record(path: Path, hashes: Hashes) -> None:
    """Write digests beside `path`, to be compared with from now on."""
    try:
        write_whole(record_path(path), listing(hashes).encode())
    except OSError as error:
        log.warning("The digest of %s cannot be recorded beside it: %s", path, error)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object, empty if the file is absent or not one."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object so that a reader finds the old or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json_bytes(value, indent=1) + b"\n")


def files(path: Path) -> dict[str, Path]:
    """Files by their path below a folder; a file by its name."""
    if path.is_file():
        return {path.name: path}
    return {p.relative_to(path).as_posix(): p for p in sorted(path.rglob("*")) if p.is_file()}


def _stamp(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]  # mtime alone can be set back

"""Files of stored samples, wherever they lie: loose under their own names, or in a pack.

Anybody may pack or unpack a run while others read it: what was listed in one place is looked for in the other.
"""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from mmbench.errors import IntegrityError, MediaError, MMBenchError
from mmbench.files import read_json, read_lines
from mmbench.media.clip_files import read_lossless
from mmbench.media.sources import file_digest
from mmbench.runs.pack_index import Packed
from mmbench.runs.packs import Packs
from mmbench.types import Clip

INVOCATIONS = "invocations.jsonl"
RETRY = "--retry-failed"

T = TypeVar("T")


def find_stored(path: Path) -> Path | Packed:
    """Where a file of a sample lies: under its own path, or in a pack; one that is nowhere, under its path."""
    return path if path.exists() else Packs(path.parent).members().get(path.name, path)


def read_stored(path: Path, read: Callable[[Path | Packed], T]) -> T:
    """Read a file of a sample where it lies, and once more if it was packed or unpacked meanwhile."""
    place = find_stored(path)
    try:
        return read(place)
    except (OSError, MMBenchError):
        moved = find_stored(path)
        if moved == place:
            raise
        return read(moved)


def read_stored_json(path: Path) -> Any:
    """A JSON file of a sample; raises IntegrityError as `mmbench.files.read_json` does."""
    return read_stored(path, lambda place: place.read_json() if isinstance(place, Packed) else read_json(place))


def stored_size(path: Path) -> int | None:
    """Size [bytes] of a file of a sample; None where there is no such file."""
    try:
        return read_stored(path, lambda place: place.place.size if isinstance(place, Packed) else place.stat().st_size)
    except FileNotFoundError:
        return None


@dataclass(frozen=True)
class StoredSource:
    """A stored sample as a ClipSource; its record holds its content's digests.

    Attributes:
        id: Its index, in six digits.
        path: Its media's own path, whether they are loose or packed.
        digest: Always "".
    """

    id: str
    path: Path
    digest: str = ""

    @property
    def remedy(self) -> str:
        """What to type if it is damaged: the command that made it, which makes again what is removed.

        What is packed stays where it is: with --retry-failed the command finds the damage and removes it itself. An
        older failure of the sample would count again without it.
        """
        try:
            commands = [line["command"] for line in read_lines(self.path.parents[1] / INVOCATIONS)]
        except (IntegrityError, KeyError):
            commands = []
        again = shlex.join(commands[-1]) if commands else "mmbench run ..., as before"
        files = [find_stored(self.path.with_suffix(suffix)) for suffix in (".json", ".mkv")]
        packed = any(isinstance(file, Packed) for file in files)
        failed = find_stored(self.path.with_suffix(".failed.json"))
        if (packed or isinstance(failed, Packed) or failed.exists()) and RETRY not in again.split():
            again = f"{again} {RETRY}"
        return again if packed else f"rm -f {shlex.join(map(str, files))} && {again}"

    @property
    def file_digest(self) -> str:
        """sha256 of its media's bytes, whatever its record says of them; raises MediaError if there are none."""
        return read_stored(self.path, lambda place: _sha256(place) if isinstance(place, Packed) else file_digest(place))

    def load(self) -> Clip:
        """Decode the sample; MediaError if it is damaged."""
        return read_stored(
            self.path, lambda place: _decode(place) if isinstance(place, Packed) else read_lossless(place)
        )


def _decode(media: Packed) -> Clip:
    try:
        with media.open() as file:
            return read_lossless(file)
    except OSError as error:
        raise _unreadable(media, error) from error


def _sha256(media: Packed) -> str:
    try:
        with media.open() as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise _unreadable(media, error) from error


def _unreadable(media: Packed, error: OSError) -> MediaError:
    found = f"{media} cannot be read: {error.strerror or error}."
    return MediaError(found, "a pack that you may read", f"ls -l {shlex.quote(str(media.pack))}")

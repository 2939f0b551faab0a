"""Where every checkpoint lies: finds, fetches and verifies the files of `known_weights`, and opens them safely.

Searched in this order: MMBENCH_WEIGHTS_<NAME> (a path), $MMBENCH_HOME/weights (default ~/.cache/mmbench/weights), and
./checkpoints as MMDisCo lays it out. A digest that nobody published is recorded beside the file as FILE.sha256 on
first use, and every later use is held to it. Digests are cached by (path, size, mtime), so a file is hashed once.
"""

from __future__ import annotations

import difflib
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.weights import file_digests as digests
from mmbench.weights import headers, licences
from mmbench.weights.download import download, download_from_hub
from mmbench.weights.known import KNOWN, Weight

OFF = ("", "0", "false", "no", "off")


@dataclass(frozen=True)
class Verdict:
    """A file or folder whose digest was checked.

    Attributes:
        name: Name in the table.
        path: Where it lies.
        sha256: Digest of the file; of a folder, that of its `sha256sum` listing sorted by path.
        trust: Held to a "published" digest, to the one "recorded" on first use, or used "first" now.
    """

    name: str
    path: Path
    sha256: str
    trust: Literal["published", "recorded", "first"]


def home() -> Path:
    """The folder mmbench keeps its own files in: $MMBENCH_HOME, else mmbench in the user's cache folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(os.environ.get("MMBENCH_HOME") or f"{cache}/mmbench").expanduser().absolute()


def entry(name: str) -> Weight:
    """The table's entry called `name`; UsageError with near names if there is none."""
    if name in KNOWN:
        return KNOWN[name]
    near = difflib.get_close_matches(name, KNOWN, n=3, cutoff=0.5)
    expected = f"did you mean {' or '.join(near)}?" if near else f"one of {', '.join(KNOWN)}"
    raise UsageError(f"Unknown weights {name!r}.", expected, "mmbench weights list")


def locate(name: str) -> Path:
    """Where `name` lies; nothing is hashed (see `verify`).

    Raises:
        MMBenchError: It is nowhere; says which file is expected where, and how to get it.
    """
    weight = entry(name)
    if path := _find(weight):
        return path
    raise MMBenchError(f"The weights {name!r} ({weight.purpose}) are not here.", _wanted(weight), _remedy(weight))


def verify(name: str) -> Verdict:
    """Check the digest of `name`, hashing it only if it changed since the last time.

    Raises:
        IntegrityError: Size or digest differ from what was published, or recorded on first use; a file of it is
            missing or cut off.
        MMBenchError: It is nowhere.
    """
    path = locate(name)
    _check_size(entry(name), path)
    _check_whole(entry(name), path)
    return _hold(entry(name), path, _cache().hashes(path))


def find_fault(name: str) -> MMBenchError | None:
    """What `verify` would raise; nothing is recorded, and hashed is only what changed since it was hashed last."""
    weight = entry(name)
    try:
        path = locate(name)
        _check_size(weight, path)
        _check_whole(weight, path)
        if _expected(weight, path) is not None:
            _hold(weight, path, _cache().hashes(path))
    except MMBenchError as error:
        return error
    return None


def whereabouts(name: str, member: str = "") -> str:
    """What to type for the right file, and its address; `member` is a file of a folder."""
    weight = entry(name)
    source = weight.sources[0] if weight.sources else ""
    if source.startswith("hf://"):
        repository, _, rest = source.removeprefix("hf://").partition("@")
        revision, _, file = rest.partition("/")
        source = f"https://huggingface.co/{repository}/resolve/{revision}/{file or member}"
    return f"{_remedy(weight)}{f'; it is {source}' if source and weight.sha256 is None else ''}"


def digest(name: str) -> str:
    """The verified sha256 of `name`, for the spec of what uses it."""
    return verify(name).sha256


def status() -> list[dict[str, Any]]:
    """One row per known entry: name, status (present, missing, corrupt), verified, bytes, licence, purpose, path.

    Sizes and cached digests decide; nothing is hashed, so the answer is instant.
    """
    rows = []
    for weight in KNOWN.values():
        status, verified, size = "missing", False, weight.bytes
        if path := _find(weight):
            size, known, expected = digests.total_bytes(path), _cache().known(path), _expected(weight, path)
            verified = known is not None and known == expected
            wrong = size != (weight.bytes or size) or (known and expected and not verified)
            status = "corrupt" if wrong else "present"
        row: dict[str, Any] = {"name": weight.name, "status": status, "verified": verified, "bytes": size}
        rows.append(row | {"licence": weight.licence, "purpose": weight.purpose, "path": str(path) if path else None})
    return rows


def verify_all(names: Sequence[str] = ()) -> tuple[list[dict[str, Any]], MMBenchError | None]:
    """Verify `names`, or all that are present; return one row each, and the first failure."""
    notes = {"published": "as published", "recorded": "as recorded", "first": "digest unknown, recorded on first fetch"}
    rows, failure = [], None
    for name in names or [weight.name for weight in KNOWN.values() if _find(weight)]:
        row: dict[str, Any] = {"name": name, "status": "ok"}
        try:
            verdict = verify(name)
            row |= {"digest": notes[verdict.trust], "sha256": verdict.sha256, "path": str(verdict.path)}
        except MMBenchError as error:
            failure = failure or error
            row |= {"status": "corrupt" if isinstance(error, IntegrityError) else "missing", "digest": error.found}
        rows.append(row)
    return rows, failure


def fetch(name: str, *, accept_licence: bool = False, offline: bool = False, quiet: bool = False) -> Path:
    """Have `name` here and verified, downloading it if need be; an interrupted download is resumed.

    Args:
        name: Name in the table.
        accept_licence: Accept a non-commercial licence, once; as does MMBENCH_ACCEPT_LICENCE=1 or =NAME,NAME.
        offline: Open no connection; as do MMBENCH_OFFLINE=1 and HF_HUB_OFFLINE=1.
        quiet: No progress on stderr.

    Returns:
        Its path. Nothing lies there that was not verified.

    Raises:
        IntegrityError: What arrived has another size or digest; it is kept beside as FILE.bad and never used.
        MMBenchError: Offline, the licence is not accepted, no source, or no source answers.
    """
    weight, destination = entry(name), home() / "weights" / entry(name).file
    if path := _usable(weight):
        return path
    if offline or any(os.environ.get(v, "0").lower() not in OFF for v in ("MMBENCH_OFFLINE", "HF_HUB_OFFLINE")):
        remedy = f"{_remedy(weight)} where there is a network, and copy the file to {destination}"
        raise MMBenchError(f"mmbench is offline, and {name!r} is not here or not whole.", _wanted(weight), remedy)
    if not weight.sources:
        remedy = f"{_remedy(weight)}, and copy it to {destination}"
        raise MMBenchError(f"{name!r} can only be downloaded by hand.", _wanted(weight), remedy)
    licences.require_consent(weight, home() / "licences.json", accept_licence)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with destination.with_name(destination.name + ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path := _usable(weight):  # another process fetched it meanwhile
            return path
        if destination.exists():
            _set_aside(destination, destination)
        part = destination.with_name(destination.name + ".part")
        _download(weight, part, quiet)
        hashes = digests.hash_files(part)
        hashes = {destination.name: hashes[part.name]} if part.is_file() else hashes
        try:
            _check_size(weight, part)
            _hold(weight, destination, hashes)
        except IntegrityError as error:
            kept = f"{error.next}; what came is kept as {_set_aside(part, destination)}"
            raise IntegrityError(error.found, error.expected, kept) from None
        os.replace(part, destination)
        _cache().remember(destination, hashes)
    return destination


def open_torchscript(name: str, map_location: str = "cpu") -> Any:
    """Load the TorchScript module `name` once its published digest matched: TorchScript is code, not only numbers."""
    if entry(name).sha256 is None:
        found = f"{name!r} holds code and nobody published its digest, so it is not opened."
        raise MMBenchError(found, "a sha256 in mmbench/known_weights.py")
    path = verify(name).path
    import torch

    return torch.jit.load(str(path), map_location=map_location)


def load_state_dict(name: str, member: str = "", map_location: str = "cpu") -> dict[str, Any]:
    """Read tensors of `name` after its digest was checked; never runs code that a pickle holds.

    Args:
        name: Name in the table.
        member: For a folder or a .tar.gz: which file in it; of several that match a pattern such as
            `*/checkpoints/*.ckpt` the last by name.
        map_location: Device the tensors come to.

    Returns:
        What the file holds, as saved: a state dict, or a dict with one inside (Lightning: "state_dict").

    Raises:
        IntegrityError: It is damaged.
        MMBenchError: It holds more than tensors and plain containers, or no member matches.
    """
    from mmbench.weights.tensors import read_tensors

    path = verify(name).path
    try:
        return read_tensors(path, member, map_location)
    except IntegrityError as error:
        record = "" if entry(name).sha256 else f" and {digests.record_path(path)}"
        remedy = f"delete it{record}, then {_remedy(entry(name))}"
        raise IntegrityError(error.found, error.expected, remedy) from error


def _variable(weight: Weight) -> str:
    return f"MMBENCH_WEIGHTS_{weight.name.upper()}"


def _override(weight: Weight) -> Path | None:
    path = os.environ.get(_variable(weight))
    return Path(path).expanduser().absolute() if path else None


def _find(weight: Weight) -> Path | None:
    return next((path.absolute() for path in _candidates(weight) if path.exists()), None)


def _usable(weight: Weight) -> Path | None:
    """Where it lies if it is whole; None if a download can mend that."""
    path = _override(weight)
    if path is not None and not path.exists():
        raise MMBenchError(f"{_variable(weight)} names {path}, which does not exist.", "", _remedy(weight))
    try:
        return verify(weight.name).path if _find(weight) else None
    except IntegrityError as error:
        if path is not None:
            raise  # what the user points at would win over any download
        log.warning("%s", error.found)
        return None


def _candidates(weight: Weight) -> Iterator[Path]:
    if path := _override(weight):
        yield path
        return
    for folder in (home() / "weights", Path("checkpoints")):
        yield from (folder / file for file in (weight.file, *weight.also))
    if weight.bytes is not None:  # by its name alone only where the size tells it from a namesake
        namesakes = sorted(Path("checkpoints").rglob(Path(weight.file).name))
        yield from (path for path in namesakes if path.is_file() and path.stat().st_size == weight.bytes)


def _wanted(weight: Weight) -> str:
    size = f"{weight.bytes:,} bytes" if weight.bytes is not None else "size not published"
    if path := _override(weight):
        return f"{path} ({size}), as {_variable(weight)} says"
    return f"{' or '.join((weight.file, *weight.also))} ({size}) in {home() / 'weights'} or ./checkpoints"


def _remedy(weight: Weight) -> str:
    if _override(weight):
        return f"point {_variable(weight)} at the right file, or unset it"
    return f"mmbench weights fetch {weight.name}" if weight.sources else f"download it by hand from {weight.page}"


def _cache() -> digests.DigestCache:
    return digests.DigestCache(home() / "digests.json")


def _expected(weight: Weight, path: Path) -> digests.Hashes | None:
    return {path.name: weight.sha256} if weight.sha256 else digests.recorded(path)


def _check_size(weight: Weight, path: Path) -> None:
    size = digests.total_bytes(path)
    if weight.bytes is not None and size != weight.bytes:
        expected = f"{weight.bytes:,} bytes"
        raise IntegrityError(f"{weight.name}: {path} has {size:,} bytes.", expected, _remedy(weight))


def _check_whole(weight: Weight, path: Path) -> None:
    """Files that must be there are, and none is cut off, as far as their ends and headers tell."""
    expected = digests.recorded(path) or {}
    for member in weight.members:
        names = member.split("|")
        if not any((path / name).is_file() for name in names):
            known = "".join(f", sha256 {expected[name]}" for name in names if name in expected)
            found = f"{weight.name}: {path / names[0]} is missing."
            raise IntegrityError(found, " or ".join(names) + known, whereabouts(weight.name, names[0]))
    for name, file in digests.files(path).items():
        if wrong := headers.damage(file):
            known = f", sha256 {expected[name]}" if name in expected else ""
            found = f"{weight.name}: {file} {wrong}."
            raise IntegrityError(found, f"a whole file{known}", whereabouts(weight.name, name))


def _hold(weight: Weight, path: Path, hashes: digests.Hashes) -> Verdict:
    """Compare with what was published or recorded for `path`; with neither, record it."""
    expected = _expected(weight, path)
    if expected is None:
        digests.record(path, hashes)
    elif hashes != expected:
        name = min(n for n in {*hashes, *expected} if hashes.get(n) != expected.get(n))
        where = path / name if name != path.name else path
        found = f"{weight.name}: {where} has sha256 {hashes.get(name, 'none: it is missing')}."
        note = "" if weight.sha256 else f"; if the change is meant, delete {digests.record_path(path)}"
        raise IntegrityError(found, f"sha256 {expected.get(name, 'none: no such file')}", _remedy(weight) + note)
    trust: Literal["published", "recorded", "first"] = "published" if weight.sha256 else "recorded"
    return Verdict(weight.name, path, digests.digest_of(hashes), trust if expected else "first")


def _set_aside(path: Path, destination: Path) -> Path:
    bad = destination.with_name(destination.name + ".bad")
    shutil.rmtree(bad) if bad.is_dir() else bad.unlink(missing_ok=True)
    os.replace(path, bad)
    return bad


def _download(weight: Weight, part: Path, quiet: bool) -> None:
    if weight.sha256 is None and part.is_file():
        part.unlink()  # without a digest nothing could tell that both halves are of one file
    failures = []
    for source in weight.sources:
        try:
            if source.startswith("hf://"):
                return download_from_hub(source, weight.patterns, part, quiet)
            return download(source, part, weight.bytes, quiet)
        except MMBenchError as error:
            failures.append(f"{error.found} Expected {error.expected}." if error.expected else error.found)
    raise MMBenchError(" ".join(failures), _wanted(weight), f"{_remedy(weight)} again: it goes on where it stopped")

"""Checkpoints held to their digests: verifies the files of `known`, lists them, and opens them safely.

A digest that nobody published is recorded beside the file as FILE.sha256 on first use, and every later use is held to
it; MMBENCH_REQUIRE_DIGESTS forbids such trust. Digests are cached (`file_digests`), so a file is hashed once.
`locations` says where files are searched, `fetch` downloads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import file_digests as digests
from mmbench.weights import headers
from mmbench.weights.bounds import require_modest
from mmbench.weights.hub import linked_commit
from mmbench.weights.known import KNOWN
from mmbench.weights.locations import REQUIRE_DIGESTS, entry, find, home, is_on, locate, remedy_for, whereabouts
from mmbench.weights.weight import Weight


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


def verify(name: str, anew: bool = False) -> Verdict:
    """Check the digest of `name`, hashing it only if it changed since the last time.

    Args:
        name: Name in the table.
        anew: Hash it whether or not it changed: a disk can lose bits without a trace.

    Raises:
        IntegrityError: Size or digest differ from what was published, or recorded on first use; a file of it is
            missing or cut off.
        MMBenchError: It is nowhere.
    """
    path = locate(name)
    check_size(entry(name), path)
    check_whole(entry(name), path)
    return hold_to_digest(entry(name), path, digest_cache().hashes(path, anew))


def find_fault(name: str) -> MMBenchError | None:
    """The error that `verify` would raise, or None; records nothing, and hashes only what is not known."""
    weight = entry(name)
    try:
        path = locate(name)
        check_size(weight, path)
        check_whole(weight, path)
        if _expected(weight, path) is not None:
            hold_to_digest(weight, path, digest_cache().hashes(path))
    except MMBenchError as error:
        return error
    return None


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
        if path := find(weight):
            size, known, expected = digests.total_bytes(path), digest_cache().known(path), _expected(weight, path)
            verified = known is not None and known == expected
            wrong = size != (weight.bytes or size) or (known and expected and not verified)
            status = "corrupt" if wrong else "present"
        row: dict[str, Any] = {"name": weight.name, "status": status, "verified": verified, "bytes": size}
        rows.append(row | {"licence": weight.licence, "purpose": weight.purpose, "path": str(path) if path else None})
    return rows


def verify_all(names: Sequence[str] = ()) -> tuple[list[dict[str, Any]], MMBenchError | None]:
    """Hash `names`, or all that are present, and verify them; return one row each, and the first failure."""
    notes = {"published": "as published", "recorded": "as recorded", "first": "digest unknown, recorded on first fetch"}
    rows, failure = [], None
    for name in names or [weight.name for weight in KNOWN.values() if find(weight)]:
        row: dict[str, Any] = {"name": name, "status": "ok"}
        try:
            verdict = verify(name, anew=True)
            commit = linked_commit(verdict.path)
            digest = notes[verdict.trust] + (f"; commit {commit[:10]}" if commit else "")
            row |= {"digest": digest, "sha256": verdict.sha256, "path": str(verdict.path)}
        except MMBenchError as error:
            failure = failure or error
            row |= {"status": "corrupt" if isinstance(error, IntegrityError) else "missing", "digest": error.found}
        rows.append(row)
    return rows, failure


def open_torchscript(name: str, map_location: str = "cpu") -> Any:
    """Load the TorchScript module `name` once its published digest matched: TorchScript is code, not only numbers."""
    if entry(name).sha256 is None:
        found = f"{name!r} holds code and nobody published its digest, so it is not opened."
        raise MMBenchError(found, "a sha256 in mmbench/weights/known.py")
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
        remedy = f"delete it{record}, then {remedy_for(entry(name))}"
        raise IntegrityError(error.found, error.expected, remedy) from error


def check_size(weight: Weight, path: Path) -> None:
    """Raise IntegrityError if a file has another size than was published."""
    size = digests.total_bytes(path)
    if weight.bytes is not None and size != weight.bytes:
        expected = f"{weight.bytes:,} bytes"
        raise IntegrityError(f"{weight.name}: {path} has {size:,} bytes.", expected, remedy_for(weight))


def check_whole(weight: Weight, path: Path) -> None:
    """Files that must be there are, and none is cut off, as far as their ends and headers tell."""
    expected = digests.recorded(path) or {}
    for member in weight.members:
        names = member.split("|")
        if not any((path / name).is_file() for name in names):
            known = "".join(f", sha256 {expected[name]}" for name in names if name in expected)
            found = f"{weight.name}: {path / names[0]} is missing."
            raise IntegrityError(found, " or ".join(names) + known, whereabouts(weight.name, names[0]))
    for name, file in digests.files(path).items():
        require_modest(file)
        if wrong := headers.damage(file):
            known = f", sha256 {expected[name]}" if name in expected else ""
            found = f"{weight.name}: {file} {wrong}."
            raise IntegrityError(found, f"a whole file{known}", whereabouts(weight.name, name))


def hold_to_digest(weight: Weight, path: Path, hashes: digests.Hashes) -> Verdict:
    """Compare with what was published or recorded for `path`; with neither, record it, and say so.

    Raises:
        IntegrityError: It is another; or there is none, and MMBENCH_REQUIRE_DIGESTS forbids to trust what is here.
    """
    expected = _expected(weight, path)
    if expected is None:
        digest = digests.digest_of(hashes)
        if is_on(REQUIRE_DIGESTS):
            found = f"{weight.name}: nobody published a digest of {path}, and none is recorded; its sha256 is {digest}."
            remedy = f"compare it with its publisher's, then {REQUIRE_DIGESTS}=0 mmbench weights verify {weight.name}"
            raise IntegrityError(found, f"a known digest, as {REQUIRE_DIGESTS} asks", remedy)
        recorded_in = digests.record_path(path).name
        log.warning("%s: sha256 %s, trusted on first use and recorded in %s", weight.name, digest, recorded_in)
        digests.record(path, hashes)
    elif hashes != expected:
        name = min(n for n in {*hashes, *expected} if hashes.get(n) != expected.get(n))
        where = path / name if name != path.name else path
        found = f"{weight.name}: {where} has sha256 {hashes.get(name, 'none: it is missing')}."
        note = "" if weight.sha256 else f"; if the change is meant, delete {digests.record_path(path)}"
        raise IntegrityError(found, f"sha256 {expected.get(name, 'none: no such file')}", remedy_for(weight) + note)
    trust: Literal["published", "recorded", "first"] = "published" if weight.sha256 else "recorded"
    return Verdict(weight.name, path, digests.digest_of(hashes), trust if expected else "first")


def _expected(weight: Weight, path: Path) -> digests.Hashes | None:
    return {path.name: weight.sha256} if weight.sha256 else digests.recorded(path)


def digest_cache() -> digests.DigestCache:
    """The digests of all checkpoints that were hashed before."""
    return digests.DigestCache(home() / "digests.json")

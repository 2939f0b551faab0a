"""Fetches checkpoints: download, resume, licence gate; nothing lies in its place that was not verified."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import file_digests as digests
from mmbench.weights import licences
from mmbench.weights.checkpoints import check_size, digest_cache, hold_to_digest, verify
from mmbench.weights.download import download, download_from_hub
from mmbench.weights.known import Weight
from mmbench.weights.locations import entry, find, home, overriding_path, remedy_for, variable_of, wanted_text

OFF = ("", "0", "false", "no", "off")


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
        remedy = f"{remedy_for(weight)} where there is a network, and copy the file to {destination}"
        raise MMBenchError(f"mmbench is offline, and {name!r} is not here or not whole.", wanted_text(weight), remedy)
    if not weight.sources:
        remedy = f"{remedy_for(weight)}, and copy it to {destination}"
        raise MMBenchError(f"{name!r} can only be downloaded by hand.", wanted_text(weight), remedy)
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
            check_size(weight, part)
            hold_to_digest(weight, destination, hashes)
        except IntegrityError as error:
            kept = f"{error.next}; what came is kept as {_set_aside(part, destination)}"
            raise IntegrityError(error.found, error.expected, kept) from None
        os.replace(part, destination)
        digest_cache().remember(destination, hashes)
    return destination


def _usable(weight: Weight) -> Path | None:
    """Where it lies if it is whole; None if a download can mend that."""
    path = overriding_path(weight)
    if path is not None and not path.exists():
        raise MMBenchError(f"{variable_of(weight)} names {path}, which does not exist.", "", remedy_for(weight))
    try:
        return verify(weight.name).path if find(weight) else None
    except IntegrityError as error:
        if path is not None:
            raise  # what the user points at would win over any download
        log.warning("%s", error.found)
        return None


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
    raise MMBenchError(
        " ".join(failures), wanted_text(weight), f"{remedy_for(weight)} again: it goes on where it stopped"
    )

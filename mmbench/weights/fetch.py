"""Fetches checkpoints: download, resume, licence gate; nothing lies in its place that was not verified."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mmbench.console import log
from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import file_digests as digests
from mmbench.weights import hub, licences
from mmbench.weights.checkpoints import check_size, check_whole, digest_cache, hold_to_digest, verify
from mmbench.weights.download import download
from mmbench.weights.locations import entry, find, home, is_on, overriding_path, remedy_for, variable_of, wanted_text
from mmbench.weights.weight import HubSource, Weight


def fetch(name: str, *, accept_licence: bool = False, offline: bool = False, quiet: bool = False) -> Path:
    """Have `name` here and verified, downloading it if need be; an interrupted download is resumed.

    Args:
        name: Name in the table.
        accept_licence: Accept a non-commercial licence, once; as does MMBENCH_ACCEPT_LICENCE=1 or =NAME,NAME.
        offline: Open no connection, take what is in the hub's cache; as do MMBENCH_OFFLINE=1 and HF_HUB_OFFLINE=1.
        quiet: No progress on stderr.

    Returns:
        Its path; of what comes from the hub, a link into the hub's cache. Nothing lies there that was not verified.

    Raises:
        IntegrityError: What arrived has another size or digest; it is never used, and kept: as FILE.bad beside, or in
            the hub's cache.
        MMBenchError: Offline, the licence is not accepted, no source, or no source answers.
    """
    weight, destination = entry(name), home() / "weights" / entry(name).file
    if path := _usable(weight):
        return path
    offline = offline or is_on("MMBENCH_OFFLINE") or is_on("HF_HUB_OFFLINE")
    sources = [s for s in weight.sources if not offline or _may_be_cached(weight, s, destination)]
    if offline and not sources:
        raise _offline_error(weight, destination)
    if not sources:
        remedy = f"{remedy_for(weight)}, and copy it to {destination}"
        raise MMBenchError(f"{name!r} can only be downloaded by hand.", wanted_text(weight), remedy)
    licences.require_consent(weight, home() / "licences.json", accept_licence)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with destination.with_name(destination.name + ".lock").open("w") as lock:
        with suppress(OSError):  # not every network disk has locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        if path := _usable(weight):  # another process fetched it meanwhile
            return path
        if destination.exists():
            _set_aside(destination, destination)
        part = destination.with_name(destination.name + ".part")
        if hub.is_link(part):
            hub.remove(part)  # left by a process that was ended; no download may write through it
        try:
            _download(weight, sources, part, offline, quiet)
        except MMBenchError as error:
            if offline:
                raise _offline_error(weight, destination) from error
            raise
        hashes = digests.hash_files(part)
        hashes = {destination.name: hashes[part.name]} if part.is_file() else hashes
        try:
            check_size(weight, part)
            check_whole(weight, part)
            hold_to_digest(weight, destination, hashes)
        except IntegrityError as error:
            if offline and weight.patterns:
                raise _offline_error(weight, destination) from error
            raise IntegrityError(error.found, error.expected, _next_after(error, weight, part, destination)) from None
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


def _may_be_cached(weight: Weight, source: str, destination: Path) -> bool:
    """Whether the hub's cache can stand in for the hub: a folder only if its digests tell that no file is missing."""
    return source.startswith("hf://") and (not weight.patterns or digests.recorded(destination) is not None)


def _offline_error(weight: Weight, destination: Path) -> MMBenchError:
    remedy = f"{remedy_for(weight)} where there is a network, and copy the file to {destination}"
    return MMBenchError(
        f"mmbench is offline, and {weight.name!r} is not here or not whole.", wanted_text(weight), remedy
    )


def _next_after(error: IntegrityError, weight: Weight, part: Path, destination: Path) -> str:
    """What to do about bytes that are not the right ones; sets them aside."""
    if hub.is_link(part):
        source = next(s for s in weight.sources if s.startswith("hf://"))
        hub.remove(part)
        wanted = HubSource.parse(source)
        kind = "dataset" if wanted.of_data else "model"
        return f"hf cache rm {kind}/{wanted.repository}, where the wrong file is, then {error.next}"
    return f"{error.next}; what came is kept as {_set_aside(part, destination)}"


def _set_aside(path: Path, destination: Path) -> Path:
    bad = destination.with_name(destination.name + ".bad")
    if hub.is_link(path):
        hub.remove(path)
    else:
        hub.remove(bad)
        os.replace(path, bad)
    return bad


def _download(weight: Weight, sources: Sequence[str], part: Path, offline: bool, quiet: bool) -> None:
    if weight.sha256 is None and part.is_file():
        part.unlink()  # without a digest nothing could tell that both halves are of one file
    failures = []
    for source in sources:
        try:
            if source.startswith("hf://"):
                return hub.link_from_hub(source, weight.patterns, part, offline, quiet)
            if source.endswith("/"):
                for member in weight.members:
                    download(source + member, part / member, None, quiet)
                return None
            return download(source, part, weight.bytes, quiet)
        except MMBenchError as error:
            failures.append(f"{error.found} Expected {error.expected}." if error.expected else error.found)
    raise MMBenchError(
        " ".join(failures), wanted_text(weight), f"{remedy_for(weight)} again: it goes on where it stopped"
    )

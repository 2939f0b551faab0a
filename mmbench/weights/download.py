"""Downloads large files so that they can be interrupted and resumed."""

from __future__ import annotations

import math
import shutil
from http import HTTPStatus
from pathlib import Path

from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.progress import progress

BLOCK = 1 << 18  # [bytes]
ATTEMPTS = 5  # connections in one call, each of which must have brought new bytes for the next to be tried
TIMEOUT = 60.0  # [s] without a single byte
MEGABYTE = 1_000_000


def download(url: str, part: Path, size: int | None, quiet: bool = False) -> None:
    """Complete `part` from `url` with HTTP Range requests; what has arrived stays in `part` whatever happens.

    Nothing here says that the bytes are the right ones: the caller compares the digest.

    Args:
        url: https address (http is accepted as given, but https is never left for http).
        part: The partial file; absent, or the first bytes of what `url` serves.
        size: Bytes expected, if known: a server that offers another number is refused before its first byte.
        quiet: No progress on stderr.

    Raises:
        MMBenchError: The server refuses, offers another size, or went away; or the disk is too full.
    """
    import http.client
    import urllib.error

    part.parent.mkdir(parents=True, exist_ok=True)
    reason = ""
    for _ in range(ATTEMPTS):
        before = _length(part)
        try:
            if _append(url, part, size, quiet):
                return
            reason = "the connection was closed early"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and before:
                part.unlink()  # longer than what is served: the start of something else
                continue
            raise MMBenchError(f"{url} answers {error.code} {error.reason}.") from error
        except (OSError, http.client.HTTPException) as error:
            reason = str(getattr(error, "reason", error)) or type(error).__name__
        log.info("%s: %s at %d bytes", url, reason, _length(part))
        if _length(part) <= before:
            break
    of = f" of {size:,}" if size is not None else ""
    raise MMBenchError(f"{url}: {reason}; {_length(part):,}{of} bytes are here.")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _append(url: str, part: Path, size: int | None, quiet: bool) -> bool:
    """One connection: append what the server sends; say whether that is all."""
    from urllib.request import Request, urlopen

    start = _length(part)
    if size is not None and start >= size:
        if start == size:
            return True
        part.unlink()  # longer than the file it should become: the start of something else
        start = 0
    # Compressed transfer would make byte ranges those of the compressed stream.
    headers = {"User-Agent": "mmbench", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    with urlopen(Request(url, headers=headers), timeout=TIMEOUT) as response:
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise MMBenchError(f"{url} redirects to {response.url}.", "an encrypted connection")
        if response.status != HTTPStatus.PARTIAL_CONTENT:
            start = 0  # the server ignores Range and sends the whole file
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise MMBenchError(f"{url} sends bytes {response.headers.get('Content-Range')}.", f"bytes {start}-")
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        if size is not None and total is not None and total != size:
            raise MMBenchError(f"{url} offers {total:,} bytes.", f"{size:,} bytes")
        end = size if total is None else total
        if end is not None and shutil.disk_usage(part.parent).free < end - start:
            raise MMBenchError(f"The disk of {part.parent} is too full.", f"{end - start:,} free bytes")
        megabytes = math.ceil(((end or start) - start) / MEGABYTE)
        with (
            part.open("ab" if start else "wb") as out,
            progress(f"{part.name.removesuffix('.part')} [MB]", megabytes, quiet or end is None) as bar,
        ):
            received = 0
            while block := response.read(BLOCK):
                out.write(block)
                received += len(block)
                bar.advance(received // MEGABYTE - bar.done)
    return end is None or start + received >= end

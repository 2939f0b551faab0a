"""Features computed by several processes that share a cache: each takes clips that no other is at.

    CACHE/together/<digest>/000003            chunk 3 of these clips under these extractors is in the cache
    CACHE/together/<digest>/leases/000003     the process that computes it

Which process computes a chunk changes no bit: chunks are whole batches, whatever the number of processes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress

from mmbench.errors import MediaError
from mmbench.features.cache import FeatureCache
from mmbench.features.extractor_identity import identify_extractor
from mmbench.files import make_folder, write_json
from mmbench.identity import digest_of
from mmbench.leases import LeaseTable
from mmbench.progress import Stage
from mmbench.types import ClipSource, Extractor

CHUNK = 64  # clips, at least: what is lost with a process, and what the last of them wait for
PAUSE = 0.5  # [s] between looks at chunks that other processes are at


def share_work(
    sources: Sequence[ClipSource | None],
    extractors: Sequence[Extractor],
    cache: FeatureCache,
    compute: Callable[[range], None],
    stage: Stage,
) -> None:
    """Return once every chunk of some clips is computed, by this process or by another.

    A chunk whose process died is computed by another. What failed of a chunk is not in the cache.

    Args:
        sources: The clips; None for those that do not exist.
        extractors: Those that look at them.
        cache: Where features go; reopened at the end, so that those of other processes are seen.
        compute: Puts the features of these clips into the cache.
        stage: Told of each pair of a clip and an extractor.
    """
    assert cache.folder is not None
    folder = cache.folder / "together" / _digest(sources, extractors)
    leases, size = LeaseTable(folder / "leases"), _whole_batches(extractors)
    starts = range(0, len(sources), size)
    left = {f"{start // size:06d}": range(start, min(start + size, len(sources))) for start in starts}
    make_folder(folder)
    while left:
        took = False
        for name, places in list(left.items()):
            with leases.hold(name) as lease:
                if done := (folder / name).exists():
                    stage.skip(len(extractors) * len(places))
                elif lease is not None:
                    compute(places)
                    cache.flush()
                    write_json(folder / name, {"clips": len(places)})
                    stage.advance(len(extractors) * len(places))
                    done = took = True
            if done:
                del left[name]
        if left and not took:
            time.sleep(PAUSE)
    cache.reopen()


def _whole_batches(extractors: Sequence[Extractor]) -> int:
    """The least number of clips from `CHUNK` on that all extractors' batches divide, as far as the largest does."""
    largest = max((e.batch_size for e in extractors), default=1)
    return -(-CHUNK // largest) * largest


def _digest(sources: Sequence[ClipSource | None], extractors: Sequence[Extractor]) -> str:
    """What tells one such work from another."""

    def name(source: ClipSource | None) -> str:
        if source is not None:
            with suppress(MediaError):  # a file that went away since it was listed; whoever decodes it says so
                return source.digest or source.id
        return ""

    by = [identify_extractor(extractor) for extractor in extractors]
    return digest_of({"clips": [name(source) for source in sources], "by": by})[:32]

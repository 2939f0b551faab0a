"""What numba compiles for librosa is kept right by however many processes that compile it at once."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from mmbench.networks.compiled import import_librosa


def test_entries_of_one_index_that_are_written_at_once_are_all_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import_librosa()
    from numba.core.caching import IndexDataCacheFile

    write = IndexDataCacheFile._save_index

    def slowly(self: Any, overloads: Any) -> None:
        time.sleep(0.02)  # in which the others read what is there
        write(self, overloads)

    monkeypatch.setattr(IndexDataCacheFile, "_save_index", slowly)
    caches = [IndexDataCacheFile(str(tmp_path), "f", "stamp") for _ in range(8)]
    threads = [threading.Thread(target=cache.save, args=(f"key {k}", k)) for k, cache in enumerate(caches)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [caches[0].load(f"key {k}") for k in range(8)] == list(range(8))


def test_threads_that_are_the_first_at_once_do_not_wait_for_themselves(tmp_path: Path) -> None:
    import_librosa()
    import_librosa.__wrapped__()  # as a second thread calls it that came before the first had ended
    from numba.core.caching import IndexDataCacheFile

    cache = IndexDataCacheFile(str(tmp_path), "f", "stamp")
    thread = threading.Thread(target=cache.save, args=("key", 1), daemon=True)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()
    assert cache.load("key") == 1

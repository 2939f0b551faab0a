"""What decoding in a process of its own would cost: its start, and each clip beside decoding here and in a thread.

    python scripts/time_decoder_processes.py

Rounds are interleaved and the fastest counts, for other work may go on beside. `results/reliability/README.md` has what
it printed.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread

import numpy as np

from mmbench.media.clip_files import write_preview
from mmbench.media.decode import decode
from mmbench.types import Clip

ROUNDS = 21
SHAPES = {"2 s of 64x64 at 8 fps": (16, 64, 8), "10 s of 256x256 at 25 fps": (250, 256, 25)}


def serve(pipe: Connection) -> None:
    """Decode what is named, and send it back, until told otherwise."""
    from mmbench.media.decode import decode

    pipe.send("ready")
    while path := pipe.recv():
        pipe.send(decode(path))


def in_thread(path: str) -> None:
    thread = Thread(target=decode, args=(path,))
    thread.start()
    thread.join()


def seconds_of(call: Callable[[], object]) -> float:
    begun = time.perf_counter()
    call()
    return time.perf_counter() - begun


def main() -> None:
    """Print a line for the start, and one for each shape of clips."""
    ours, theirs = get_context("spawn").Pipe()
    child = get_context("spawn").Process(target=serve, args=(theirs,))
    print(f"start: {seconds_of(lambda: (child.start(), ours.recv())):.2f} s")
    for name, (frames, size, fps) in SHAPES.items():
        small = np.random.default_rng(0).integers(0, 256, (frames, size // 8, size // 8, 3), dtype=np.uint8)
        video = small.repeat(8, 1).repeat(8, 2)
        clip = Clip(video, fps, np.zeros(16000 * frames // fps, np.float32), 16000)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "clip.mp4")
            write_preview(clip, Path(path))
            ways = {
                "here": lambda path=path: decode(path),
                "thread": lambda path=path: in_thread(path),
                "process": lambda path=path: (ours.send(path), ours.recv()),
            }
            rounds = [{way: seconds_of(call) for way, call in ways.items()} for _ in range(ROUNDS)]
        best = {way: min(taken[way] for taken in rounds) for way in ways}
        ratios = ", ".join(f"{way} {best[way] / best['here']:.2f}" for way in ("thread", "process"))
        print(f"{name}: here {1000 * best['here']:.1f} ms; times that: {ratios}")
    ours.send(None)
    child.join()


if __name__ == "__main__":
    main()

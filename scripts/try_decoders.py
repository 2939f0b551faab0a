"""Do other programs read exact MP4s of `mmbench export` bit by bit? The record is results/layouts/README.md.

`write` needs mmbench, `read` only numpy and the decoders that are to be tried:

    .venv/bin/python scripts/try_decoders.py write clips
    other/bin/python scripts/try_decoders.py read clips      # with decord, opencv-python-headless, imageio-ffmpeg
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

SIZES = ((24, 48, 64, 8.0), (25, 33, 45, 25.0), (30, 240, 320, 30000 / 1001))  # frames, height, width, rate [1/s]


def write(folder: Path) -> None:
    """Clips of noise, seed 0, as MP4s and as arrays."""
    from mmbench.media.clip_files import write_exact
    from mmbench.types import Clip

    folder.mkdir()
    rng = np.random.default_rng(0)
    for k, (frames, height, width, fps) in enumerate(SIZES):
        video = rng.integers(0, 256, (frames, height, width, 3), dtype=np.uint8)
        audio = rng.uniform(-1, 1, round(frames / fps * 44100)).astype(np.float32)
        clip = Clip(video, fps, audio, 44100)
        write_exact(clip, folder / f"{k}.mp4")
        np.savez(folder / f"{k}.npz", video=video, audio=clip.audio_int16())


def by_opencv(file: str, cv2: Any) -> Iterator[np.ndarray]:
    """Frames as OpenCV gives them."""
    video = cv2.VideoCapture(file)
    while (read := video.read())[0]:
        yield read[1][..., ::-1]


def by_decord(file: str, decord: Any) -> np.ndarray:
    """Frames as decord gives them."""
    video = decord.VideoReader(file)
    return np.asarray(video.get_batch(range(len(video))).asnumpy())


def by_ffmpeg(file: str, imageio_ffmpeg: Any, *form: str) -> bytes:
    """Pixels or samples as the ffmpeg program gives them, which moviepy starts, too."""
    words = [imageio_ffmpeg.get_ffmpeg_exe(), "-loglevel", "error", "-i", file, *form, "-"]
    return subprocess.run(words, check=True, capture_output=True).stdout


def read(folder: Path) -> None:
    """Print for every decoder that is installed whether all clips came back exactly."""
    tried: dict[str, Callable[[str, Any], bytes]] = {
        "cv2": lambda file, module: np.stack(list(by_opencv(file, module))).tobytes(),
        "decord": lambda file, module: by_decord(file, module).tobytes(),
        "imageio_ffmpeg": lambda file, module: by_ffmpeg(file, module, "-f", "rawvideo", "-pix_fmt", "rgb24"),
        "imageio_ffmpeg sound": lambda file, module: by_ffmpeg(file, module, "-f", "s16le"),
    }
    for name, decode in tried.items():
        module = importlib.import_module(name.split()[0])
        version = module.get_ffmpeg_version() if "ffmpeg" in name else module.__version__
        exact = 0
        for file in sorted(folder.glob("*.mp4")):
            known = np.load(file.with_suffix(".npz"))["audio" if "sound" in name else "video"]
            exact += decode(str(file), module) == known.tobytes()
        print(f"{name} {version}: {exact} of {len(SIZES)} exact")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))

"""Landscape and AIST++ as MM-Diffusion's authors have them: 16 frames of 64x64 at 10 fps with their 1.6 s of sound.

A folder holds `train` and `test`, each with videos of several seconds at any depth. Statistics are made of `train`, as
the authors' are; clips held out for the controls come from `test`. Clips are cut and scaled as in researchmm/
MM-Diffusion@7250222:mm_diffusion/multimodal_datasets.py: a clip may begin at every tick of 10 fps, frame j is the one
on screen at that tick, pictures are fitted into 64x64 (bicubic, not smoothed, the rest black), and of the sound the
first channel is taken. There the last frame's share of a faster source's sound is silent; here it is heard.

Nothing here has a text: every prompt is empty.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np

from mmbench.datasets.lazy import LazyItems
from mmbench.datasets.places import data_places
from mmbench.errors import MediaError, MMBenchError
from mmbench.registry import register
from mmbench.types import Clip, ClipFormat, Item, Prompt, Request, Spec, digest_bytes

FORMAT = ClipFormat(num_frames=16, height=64, width=64, fps=10.0, num_samples=25600, sample_rate=16000)
PAGE = "https://drive.google.com/drive/folders/14A1zaQI5EfShlv3QirgCGeNFzZBzQ3lq"
VERSION = 1


def frame_index(start: int, fps: Fraction) -> list[int]:
    """Source frames on screen at ticks start, start + 1, ... of the format's 10 fps."""
    rate = Fraction(FORMAT.fps)
    return [int((start + j) * fps / rate) for j in range(FORMAT.num_frames)]


def num_starts(num_frames: int, fps: Fraction) -> int:
    """Ticks at which a whole clip may begin in a video of `num_frames` frames."""
    return max(0, int(num_frames * Fraction(FORMAT.fps) / fps) - FORMAT.num_frames + 1)


def why_none(report: dict[str, Any], form: ClipFormat = FORMAT) -> str | None:
    """Why a probed video, which has pictures, holds no clip; None if it does. Sound may end early."""
    video = report["video"]
    if not report["audio"]:
        return "it has no sound"
    if not num_starts(video["frames"], Fraction(video["fps"])):
        return (
            f"{float(video['frames'] / Fraction(video['fps'])):.3f} s of video, not {form.num_frames / form.fps:.3f} s"
        )
    return None


def fit(picture: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 scaled to lie within the format's size, bicubic as torch's, centred on black."""
    import cv2

    (h, w), height, width = picture.shape[:2], FORMAT.height, FORMAT.width
    ratio = min(Fraction(height, h), Fraction(width, w))
    size = max(1, int(h * ratio)), max(1, int(w * ratio))
    scaled = picture if size == (h, w) else cv2.resize(picture, size[::-1], interpolation=cv2.INTER_CUBIC)
    out = np.zeros((height, width, 3), np.uint8)
    top, left = (height - size[0]) // 2, (width - size[1]) // 2
    out[top : top + size[0], left : left + size[1]] = scaled
    return out


def cut(path: Path, start: int) -> Clip:
    """The clip of a video that begins at tick `start`.

    Raises:
        MediaError: The video cannot be decoded, has no sound, or ends before the clip does.
    """
    from mmbench.decode import record
    from mmbench.resample import resample_audio

    recording = record(path, channel="first", scale=fit)
    index = frame_index(start, recording.fps)
    if recording.sound is None or index[-1] >= len(recording.video):
        raise MediaError(f"{path} has no clip at tick {start}.", "16 frames at 10 fps, with sound")
    span = math.ceil(FORMAT.num_frames * recording.fps / Fraction(FORMAT.fps))  # frames that last 1.6 s at least
    sound = resample_audio(recording.clip(index[0], span), FORMAT.sample_rate)
    audio = np.zeros(FORMAT.num_samples, np.float32)
    heard = sound.audio[: FORMAT.num_samples]
    audio[: len(heard)] = heard
    steps = [*sound.notes["steps"], f"ticks {start} .. {start + FORMAT.num_frames - 1} of 10 fps, fitted into 64x64"]
    if len(heard) < len(audio):
        steps.append(f"samples {len(heard)} -> {len(audio)}, silence at the end")
    return Clip(recording.video[index], FORMAT.fps, audio, FORMAT.sample_rate, {**sound.notes, "steps": steps})


class Part:
    """The videos of `train` or `test`, and where clips begin in them; probed when first asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @cached_property
    def hashes(self) -> dict[str, str]:
        """sha256 by path below the folder; hashed once, then known by size and time of change."""
        from mmbench.digests import DigestCache
        from mmbench.sources import VIDEO_SUFFIXES
        from mmbench.weights import home

        if not self.folder.is_dir():
            return {}
        found = DigestCache(home() / "digests.json").hashes(self.folder)
        return {name: sha256 for name, sha256 in found.items() if Path(name).suffix.lower() in VIDEO_SUFFIXES}

    @cached_property
    def starts(self) -> dict[str, int]:
        """Number of clips by path below the folder, of videos that have any; the others are named in the log."""
        from mmbench.console import log
        from mmbench.sources import probe_file

        counts = {}
        for name in self.hashes:
            try:
                report = probe_file(self.folder / name)
                why = why_none(report) if report["video"] else "it has no video"
            except MediaError as error:
                why = error.found
            if why:
                log.warning("%s is not used: %s", self.folder / name, why)
            else:
                counts[name] = num_starts(report["video"]["frames"], Fraction(report["video"]["fps"]))
        if not counts:
            found = f"{self.folder} holds {len(self.hashes)} videos, none with a clip of 1.6 s and sound."
            raise MMBenchError(found, "the authors' videos", f"ls {self.folder}; they are at {PAGE}")
        return counts

    def item(self, name: str, start: int) -> Item:
        """The clip of one video that begins at one tick."""
        where = {"file": f"{self.folder.name}/{name}", "tick": start}
        id = f"{Path(name).with_suffix('').as_posix()}-{start:04d}"
        return Item(id, Prompt(id, "", where), cut(self.folder / name, start))


class MMDiffusionData:
    """A folder with `train` and `test`; see the module.

    Args:
        name: Registered name.
        folder: The authors' name of the folder.
        path: Where it is. Without it MMBENCH_DATA_<NAME>, $MMBENCH_HOME/data/<folder> and ./data/<folder> are tried.

    Attributes:
        root: The folder.

    Raises:
        MMBenchError: It is nowhere, or has no videos in `train`.
    """

    format = FORMAT
    missing, preparable = (), False  # nobody published a list of the videos; clips begin anywhere in them
    why_none = staticmethod(why_none)
    default_metrics = ("fvd", "fad", "ib_av", "av_align")

    def __init__(self, name: str, folder: str, path: str = "") -> None:
        self.name = name
        variable, places = data_places(name, folder, path)
        root = next((place for place in places if (place / "train").is_dir()), None)
        if root is None:
            tried = " or ".join(str(place) for place in places)
            raise MMBenchError(
                f"{name}: {tried} is not here, or has no folder train.",
                f"{folder} as its authors distribute it, with the folders train and test",
                f"download {folder} from {PAGE}, then --dataset {name}:PATH or export {variable}=PATH",
            )
        self.root, self.train, self.test = root, Part(root / "train"), Part(root / "test")
        if not self.train.hashes:
            raise MMBenchError(f"{self.train.folder} holds no videos.", f"those of {folder}", f"ls {self.train.folder}")

    @property
    def videos(self) -> dict[str, str]:
        """Path below the root of every video, by itself."""
        names = [f"{part.folder.name}/{name}" for part in (self.train, self.test) for name in part.hashes]
        return dict(zip(names, names, strict=True))

    @cached_property
    def _digest(self) -> str:
        parts = (("train", self.train), ("test", self.test))
        return digest_bytes(*(f"{p}/{n}\0{h}".encode() for p, part in parts for n, h in sorted(part.hashes.items())))

    def spec(self) -> Spec:
        """Version, format, and a digest of the names and contents of all videos; no path."""
        count = {"num_train": len(self.train.hashes), "num_test": len(self.test.hashes)}
        return {"name": self.name, "version": VERSION, "format": asdict(FORMAT), **count, "digest": self._digest}

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """`num` empty prompts; the samples differ by their ids."""
        return [Prompt(f"{i:05d}", "") for i in range(num)]

    def real(self, request: Request, stream: str) -> Item:
        """A clip of `test`, all that could be cut out of it being equally likely.

        Raises:
            MMBenchError: There is no folder `test`, or no usable video in it.
        """
        if not self.test.hashes:
            found = f"{self.test.folder} holds no videos, so there are no held-out clips."
            raise MMBenchError(
                found, "the test half, for ground_truth and independent", f"ls {self.test.folder.parent}"
            )
        names, ends = list(self.test.starts), list(accumulate(self.test.starts.values()))
        pick = int(request.rng(stream).integers(ends[-1]))
        k = bisect_right(ends, pick)
        return self.test.item(names[k], pick - (ends[k - 1] if k else 0))

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """Clips of `train`, spread evenly over its videos; no clip twice, though clips of one video may overlap.

        Args:
            num: How many, at most as many as there are; None takes one clip of every video.
            seed: Of the order of the videos, and of where each one's clips begin.
        """
        starts = self.train.starts
        rng = np.random.Generator(np.random.PCG64([seed, 0x7261696E]))
        order = {name: rng.permutation(starts[name]) for name in rng.permutation(sorted(starts)).tolist()}
        wanted = len(order) if num is None else min(num, sum(starts.values()))
        chosen: list[tuple[str, int]] = []
        for turn in range(max(starts.values())):
            if len(chosen) >= wanted:
                break
            chosen += [(name, int(ticks[turn])) for name, ticks in order.items() if turn < len(ticks)]
        return Reference(self.train, chosen[:wanted])


class Reference(LazyItems):
    """Clips of one part, decoded when indexed."""

    def __init__(self, part: Part, chosen: Sequence[tuple[str, int]]) -> None:
        self.part, self.chosen = part, chosen

    def make(self, choice: tuple[str, int]) -> Item:
        """Decode one clip by its video's name and first tick."""
        return self.part.item(*choice)


@register("dataset", "landscape_ind", "Landscape as MM-Diffusion has it: nature, 1.6 s, 64x64 at 10 fps, no texts.")
def landscape_ind(path: str = "") -> MMDiffusionData:
    """Nine kinds of scenes, 928 videos in clips of 10 s (arXiv 2212.09478)."""
    return MMDiffusionData("landscape_ind", "landscape", path)


@register("dataset", "aistpp", "AIST++ as MM-Diffusion has it: dance to music, 1.6 s, 64x64 at 10 fps, no texts.")
def aistpp(path: str = "") -> MMDiffusionData:
    """Street dance of the AIST database, cropped to the dancer (arXiv 2212.09478)."""
    return MMDiffusionData("aistpp", "AIST++_crop", path)

"""Systems made of two halves: a cascade makes sound for videos; independent halves know nothing of each other.

The video half is any registered system: of a pair that can be loaded by half its video model alone, else the whole,
whose sound is dropped. Its clips are taken from its own run where there is one (`mmbench.types.OnVideos`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any, ClassVar, Protocol

import numpy as np

from mmbench.registry import lookup
from mmbench.system_names import GIVEN, GUIDANCE, keywords_of, make_system, options_of, parse_system_name
from mmbench.types import Clip, ClipFormat, Dataset, Request, Spec, System, Videos, Weights

VERSION = 1  # raised when the code of this file changes what is drawn
LEAST_REAL: tuple[Weights, ...] = ("random", "tiny", "trained", "real", "none")
SOUND = "sound_"  # what the options of a video-to-audio model are called, beside those of the video half


class VideoToAudio(Protocol):
    """Makes sound for videos. Made by `Class(dataset=, device=, dtype=, weights=, size=, **options)`."""

    name: str
    weights: Weights
    batch_size: int

    def spec(self) -> Spec:
        """All that changes the sound."""
        ...

    def sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> list[np.ndarray]:
        """(num_samples,) float32 in [-1, 1] per clip, at the dataset's sample rate; only the clips' videos count."""
        ...


class OnVideosOf(ABC):
    """Shows the videos of another system, with sound of its own.

    Args:
        name: Registered name.
        video: Whose videos these are.
        audio: Where the sound comes from.
    """

    def __init__(self, name: str, video: System, audio: Any) -> None:
        self.name, self.video_half, self.audio_half = name, video, audio
        self.weights = next(kind for kind in LEAST_REAL if kind in (video.weights, audio.weights))
        self.batch_size = max(int(getattr(half, "batch_size", 1)) for half in (video, audio))
        self.videos: Videos = lambda request: None

    def spec(self) -> Spec:
        """Whose videos these are, what decides them, and what decides the sound."""
        video, audio = self.video_half, self.audio_half
        halves = {
            "video": {"of": video.name, **getattr(video, "video_spec", video.spec)()},
            "audio": {"of": audio.name, **getattr(audio, "audio_spec", audio.spec)()},
        }
        return {"system": self.name, "version": VERSION, **halves}

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order."""
        found = [self.videos(request) for request in requests]
        lacking = [request for request, clip in zip(requests, found, strict=True) if clip is None]
        made = self.video_half.generate(lacking) if lacking else iter(())
        clips = [next(made) if clip is None else clip for clip in found]
        step = int(getattr(self.audio_half, "batch_size", 1))
        for i in range(0, len(requests), step):
            yield from self.add_sound(requests[i : i + step], clips[i : i + step])

    @abstractmethod
    def add_sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> Iterator[Clip]:
        """The clips with the sound of the audio half."""


def with_sound(clip: Clip, audio: np.ndarray, sample_rate: int) -> Clip:
    """A clip with another sound; nothing that its notes tell of the former one stays."""
    notes = {key: note for key, note in clip.notes.items() if key != "audio"}
    return replace(clip, audio=audio, sample_rate=sample_rate, notes=notes)


class Cascade(OnVideosOf):
    """Text to video to sound.

    Args:
        name: Registered name.
        video: Text to video.
        audio: Video to sound.
        form: The dataset's format, for the sound.
    """

    def __init__(self, name: str, video: System, audio: VideoToAudio, form: ClipFormat) -> None:
        super().__init__(name, video, audio)
        self._form = form

    def add_sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> Iterator[Clip]:
        """The clips with sound made for them; raises ValueError if it has another length."""
        num_samples = self._form.num_samples
        for clip, audio in zip(clips, self.audio_half.sound(requests, clips), strict=True):
            if audio.shape != (num_samples,):
                raise ValueError(f"{self.audio_half.name} made sound of shape {audio.shape}, not ({num_samples},)")
            yield with_sound(clip, audio, self._form.sample_rate)


class IndependentHalves(OnVideosOf):
    """Text to video and text to sound, each on its own; both halves are systems."""

    def add_sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> Iterator[Clip]:
        """The videos with the sounds that the other system makes for the same requests."""
        for clip, heard in zip(clips, self.audio_half.generate(requests), strict=True):
            yield with_sound(clip, heard.audio, heard.sample_rate)


def half(name: str, which: str, settings: Mapping[str, Any]) -> Any:
    """The "video" or "audio" half of a registered system; all of it if it cannot be loaded by half."""
    parts = {"halves": (which,)} if "+" not in name and "halves" in keywords_of(factory_of(name)) else {}
    return make_system(name, **settings, **parts)


def factory_of(name: str) -> Any:
    """What makes the system called `name`, guided or not."""
    return lookup("system", parse_system_name(name).base).factory


def half_options(name: str) -> dict[str, Any]:
    """What a user may set of a system that serves as a half, and the defaults."""
    options = options_of(lookup("system", parse_system_name(name).base))
    return {key: value for key, value in options.items() if "+" in name or key not in GUIDANCE}


class RegisteredCascade(Cascade):
    """A cascade by names. Its options are the video half's, and the video-to-audio model's with "sound_" before them.

    Attributes:
        base: Registered name.
        video: Name of the system whose videos these are.
        audio: "module:Class" of a `VideoToAudio`; imported when the system is made.
    """

    base: ClassVar[str]
    video: ClassVar[str]
    audio: ClassVar[str]

    def __init__(
        self, *, dataset: Dataset, device: str = "auto", dtype: str = "float32", weights: str = "real", **options: Any
    ) -> None:
        common: dict[str, Any] = {"dataset": dataset, "device": device, "dtype": dtype, "weights": weights}
        taken = half_options(self.video)
        seen = {key: value for key, value in options.items() if key in taken}
        heard = {key.removeprefix(SOUND): value for key, value in options.items() if key.startswith(SOUND)}
        sound = resolve_name(self.audio)(**common, size=options.get("size", "full"), **heard)
        super().__init__(self.base, half(self.video, "video", {**common, **seen}), sound, dataset.format)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """What a user may set, and the defaults; `size` is of both halves."""
        heard = {key: value for key, value in keywords_of(resolve_name(cls.audio)).items() if key not in GIVEN}
        size = {"size": heard.pop("size")} if "size" in heard else {}
        return size | half_options(cls.video) | {f"{SOUND}{key}": value for key, value in heard.items()}


class RegisteredHalves(IndependentHalves):
    """Independent halves by names. Options that both take reach both.

    Attributes:
        base: Registered name.
        video: Name of the system whose videos these are.
        audio: Name of the system whose sounds these are.
    """

    base: ClassVar[str]
    video: ClassVar[str]
    audio: ClassVar[str]

    def __init__(
        self, *, dataset: Dataset, device: str = "auto", dtype: str = "float32", weights: str = "real", **options: Any
    ) -> None:
        common = {"dataset": dataset, "device": device, "dtype": dtype, "weights": weights}

        def of(name: str) -> dict[str, Any]:
            taken = half_options(name)
            return {**common, **{key: value for key, value in options.items() if key in taken}}

        video, audio = half(self.video, "video", of(self.video)), half(self.audio, "audio", of(self.audio))
        super().__init__(self.base, video, audio)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """What a user may set, and the defaults."""
        return half_options(cls.audio) | half_options(cls.video)

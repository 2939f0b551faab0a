"""Systems on the videos of another system: cascades, which make sound for them, and independently generated sounds.

The source of the videos is any registered system: of a pair whose models can be loaded one by one its video model
alone, else the whole, whose sound is dropped. Clips are taken from the source's own run where there is one
(`mmbench.optional_protocols.OnVideos`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pkgutil import resolve_name
from typing import Any, ClassVar, Protocol

import numpy as np

from mmbench.optional_protocols import Videos, audio_spec_of, batch_size_of, video_spec_of
from mmbench.registry import lookup
from mmbench.system_names import (
    GIVEN,
    GUIDANCE,
    keywords_of,
    make_system,
    options_of,
    parse_system_name,
    settings_taken_by,
    takes_setting,
)
from mmbench.types import Clip, ClipFormat, Dataset, Request, Spec, System, Weights, least_real

VERSION = 1  # raised when the code of this file changes what is drawn
SOUND = "sound_"  # prefix of the options of a video-to-audio model


class VideoToAudio(Protocol):
    """A model that makes sound for videos.

    Its class is called with those of dataset, device, dtype, weights and size that it names, and with its options.
    """

    name: str
    weights: Weights
    batch_size: int

    def spec(self) -> Spec:
        """All that changes the sound."""
        ...

    def sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> list[np.ndarray]:
        """(num_samples,) float32 in [-1, 1] per clip, at the dataset's sample rate; only the clips' videos count."""
        ...


class SoundOnVideos(ABC):
    """A system that shows the videos of another one with sound of its own (`mmbench.optional_protocols.OnVideos`).

    Args:
        name: Registered name.
        video: The system whose videos these are.
        audio: The system or video-to-audio model that makes the sound.
    """

    def __init__(self, name: str, video: System, audio: Any) -> None:
        self.name, self.video_source, self.audio_source = name, video, audio
        self.weights: Weights = least_real((video.weights, audio.weights))
        self.batch_size = max(batch_size_of(video), batch_size_of(audio))
        self._videos: Videos = lambda request: None

    def spec(self) -> Spec:
        """Name and specification of the source of the videos and of the source of the sounds."""
        video, audio = self.video_source, self.audio_source
        sources = {
            "video": {"of": video.name, **video_spec_of(video)},
            "audio": {"of": audio.name, **audio_spec_of(audio)},
        }
        return {"system": self.name, "version": VERSION, **sources}

    def use_videos(self, videos: Videos) -> None:
        """Take the videos of requests from `videos` where it has them, instead of making them."""
        self._videos = videos

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order."""
        known = [self._videos(request) for request in requests]
        missing = [request for request, clip in zip(requests, known, strict=True) if clip is None]
        made = self.video_source.generate(missing) if missing else iter(())
        clips = [next(made) if clip is None else clip for clip in known]
        step = batch_size_of(self.audio_source)
        for i in range(0, len(requests), step):
            yield from self.add_sound(requests[i : i + step], clips[i : i + step])

    @abstractmethod
    def add_sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> Iterator[Clip]:
        """Yield the clips with the sound of the audio source."""


def with_sound(clip: Clip, audio: np.ndarray, sample_rate: int) -> Clip:
    """A copy of a clip with another sound, and without the notes on the former one."""
    notes = {key: note for key, note in clip.notes.items() if key != "audio"}
    return replace(clip, audio=audio, sample_rate=sample_rate, notes=notes)


class Cascade(SoundOnVideos):
    """A cascade: text to video by one system, video to sound by another model.

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
        """Yield the clips with sound made for them; raises ValueError if it has another length."""
        num_samples = self._form.num_samples
        for clip, audio in zip(clips, self.audio_source.sound(requests, clips), strict=True):
            if audio.shape != (num_samples,):
                raise ValueError(f"{self.audio_source.name} made sound of shape {audio.shape}, not ({num_samples},)")
            yield with_sound(clip, audio, self._form.sample_rate)


class IndependentSources(SoundOnVideos):
    """Text to video by one system and text to sound by another, each ignorant of the other."""

    def add_sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> Iterator[Clip]:
        """Yield the videos with the sounds that the other system makes for the same requests."""
        for clip, sounding in zip(clips, self.audio_source.generate(requests), strict=True):
            yield with_sound(clip, sounding.audio, sounding.sample_rate)


def make_source(name: str, modality: str, common: Mapping[str, Any], options: Mapping[str, Any]) -> Any:
    """Build a registered system for its "video" or "audio" alone, or whole if its models cannot be loaded one by one.

    Args:
        name: Of the system, guided or not.
        modality: "video" or "audio".
        common: Common settings; it gets those that it takes.
        options: Options of the system or of others; it gets its own.
    """
    factory = lookup("system", parse_system_name(name).base).factory
    alone = {"modalities": (modality,)} if "+" not in name and "modalities" in keywords_of(factory) else {}
    taken = {key: value for key, value in common.items() if takes_setting(name, key)}
    own = {key: value for key, value in options.items() if key in source_options(name)}
    return make_system(name, **taken, **own, **alone)


def source_options(name: str) -> dict[str, Any]:
    """Options of a system that serves as a source, and their defaults: those of guidance only if it is guided."""
    options = options_of(lookup("system", parse_system_name(name).base))
    return {key: value for key, value in options.items() if "+" in name or key not in GUIDANCE}


class RegisteredCascade(Cascade):
    """A cascade by names; its options are the video source's, and the video-to-audio model's after "sound_".

    Attributes:
        base: Registered name.
        video: Name of the system that makes the videos.
        audio: "module:Class" of a `VideoToAudio`; imported when the system is made.
    """

    base: ClassVar[str]
    video: ClassVar[str]
    audio: ClassVar[str]

    def __init__(
        self, *, dataset: Dataset, device: str = "auto", dtype: str = "float32", weights: str = "real", **options: Any
    ) -> None:
        common: dict[str, Any] = {"dataset": dataset, "device": device, "dtype": dtype, "weights": weights}
        of_sound = {key.removeprefix(SOUND): value for key, value in options.items() if key.startswith(SOUND)}
        factory = resolve_name(self.audio)
        sound = factory(**settings_taken_by(factory, common | {"size": options.get("size", "full")}), **of_sound)
        super().__init__(self.base, make_source(self.video, "video", common, options), sound, dataset.format)

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Defaults of the options, by name; `size` reaches both models."""
        of_sound = {key: value for key, value in keywords_of(resolve_name(cls.audio)).items() if key not in GIVEN}
        size = {"size": of_sound.pop("size")} if "size" in of_sound else {}
        return size | source_options(cls.video) | {f"{SOUND}{key}": value for key, value in of_sound.items()}


class RegisteredSources(IndependentSources):
    """Independent sources by names; options that both take reach both.

    Attributes:
        base: Registered name.
        video: Name of the system that makes the videos.
        audio: Name of the system that makes the sounds.
    """

    base: ClassVar[str]
    video: ClassVar[str]
    audio: ClassVar[str]

    def __init__(
        self, *, dataset: Dataset, device: str = "auto", dtype: str = "float32", weights: str = "real", **options: Any
    ) -> None:
        common = {"dataset": dataset, "device": device, "dtype": dtype, "weights": weights}
        video = make_source(self.video, "video", common, options)
        super().__init__(self.base, video, make_source(self.audio, "audio", common, options))

    @classmethod
    def options(cls) -> dict[str, Any]:
        """Defaults of the options, by name."""
        return source_options(cls.audio) | source_options(cls.video)

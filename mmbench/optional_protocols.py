"""What systems, datasets and extractors may have besides: protocols that whoever wants it tests for with isinstance."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from mmbench.types import Clip, ClipFormat, Dataset, Features, FeatureTable, Request, Spec, System


@runtime_checkable
class Batched(Protocol):
    """A system that is faster on several requests at once: `batch_size` of them, unless a user says otherwise."""

    batch_size: int


def batch_size_of(system: Any) -> int:
    """The number of requests that a system is given at once by default: 1 unless it is `Batched`."""
    return int(system.batch_size) if isinstance(system, Batched) else 1


@runtime_checkable
class SpecifiesModalities(Protocol):
    """A system whose specs of video and of audio differ: each leaves out what changes the other modality alone."""

    def video_spec(self) -> Spec:
        """Everything that changes the videos."""
        ...

    def audio_spec(self) -> Spec:
        """Everything that changes the sounds."""
        ...


def video_spec_of(system: Any) -> Spec:
    """Everything that changes a system's videos: all of its spec unless it `SpecifiesModalities`."""
    spec: Spec = system.video_spec() if isinstance(system, SpecifiesModalities) else system.spec()
    return spec


def audio_spec_of(system: Any) -> Spec:
    """Everything that changes the sounds of a system or video-to-audio model, as `video_spec_of`."""
    spec: Spec = system.audio_spec() if isinstance(system, SpecifiesModalities) else system.spec()
    return spec


Videos = Callable[[Request], Clip | None]  # a finished clip that shows the video of a request; None where there is none


@runtime_checkable
class OnVideos(System, Protocol):
    """A system that shows the videos of another one, as a cascade does, and makes them only where there are none yet.

    Runs of equal `video_spec_of(video_source)`, dataset and seed show the same videos. Before such a system generates,
    the harness gives it the means to look them up in the runs that are there.

    Attributes:
        video_source: The system whose videos these are.
    """

    video_source: System

    def use_videos(self, videos: Videos) -> None:
        """Take the videos of requests from `videos` where it has them, instead of making them."""
        ...


@runtime_checkable
class UsesAudioOf(Protocol):
    """A system whose sounds another system or a video-to-audio model makes."""

    audio_source: Any


@runtime_checkable
class KeepsFiles(System, Protocol):
    """A system that cannot do without files, as a program's clips."""

    def keep_files_in(self, folder: Path) -> None:
        """Write files to `folder`, which is the run's own and made by the system if it is needed."""
        ...


@runtime_checkable
class DeclaresOptions(Protocol):
    """A factory of systems whose options are not its own keyword arguments: one that is made of other systems."""

    def options(self) -> dict[str, Any]:
        """Defaults of the options, by name."""
        ...


@runtime_checkable
class RecommendsMetrics(Protocol):
    """A dataset with metrics of its own, name or name.variant, for runs that name none."""

    default_metrics: Sequence[str]


@runtime_checkable
class LacksRealClips(Protocol):
    """A dataset of prompts alone, and why nothing can be compared with it."""

    lacks_real_clips: str


@runtime_checkable
class KnowsEvents(Dataset, Protocol):
    """A dataset that knows when something happens in its real clips, seen and heard at once.

    Attributes:
        events: What happens, for a legend: "impacts".
        event_times: The name in `Item.truth` of the times [s].
    """

    events: str
    event_times: str


@runtime_checkable
class RejectsFiles(Protocol):
    """A dataset that cannot use all files it was given: those it does not use, each with `path` and `reason`."""

    rejected: Sequence[Any]


@runtime_checkable
class HasLabel(Protocol):
    """A dataset or pair whose discriminators are filed under a label, as of its contents, instead of its name."""

    label: str


@runtime_checkable
class DeclaresFormat(Protocol):
    """A dataset class that knows the format of its clips without their files."""

    format: ClipFormat


@runtime_checkable
class ReportsPresence(Protocol):
    """A dataset class that knows whether its files are here."""

    def presence(self) -> tuple[bool, str, str]:
        """Whether they are, where or why not, and what to type."""
        ...


@runtime_checkable
class HasWeights(Protocol):
    """An extractor whose weights may be missing."""

    def prepare(self) -> None:
        """Looks for the weights, before any clip is made or decoded; raises MMBenchError if they are not here."""
        ...


@runtime_checkable
class UsesPublishedWeights(Protocol):
    """An extractor on published weights: their names in `mmbench.weights.known`."""

    official: Sequence[str]


@runtime_checkable
class HasPrecision(Protocol):
    """An extractor that says what its network computes in: "ieee" is float32."""

    precision: str


@runtime_checkable
class HasSufficientStatistics(Protocol):
    """A metric with a reference that can be scored against statistics of the real clips alone."""

    def condense(self, reference: FeatureTable, seed: int) -> dict[str, Features]:
        """Sufficient statistics of real clips, by extractor, which `score` takes for the clips."""
        ...


@runtime_checkable
class NeedsLength(Protocol):
    """A metric that cannot score clips shorter than `min_seconds` [s]."""

    min_seconds: float


@runtime_checkable
class ComparesPairs(Protocol):
    """A metric with a reference that may compare each sample with its own real clip, and says whether it does.

    Row i of the reference that `score` is then given is that of sample i, None where it has none.
    """

    in_pairs: bool


def in_pairs(metric: Any) -> bool:
    """Whether a metric compares each sample with its own real clip."""
    return isinstance(metric, ComparesPairs) and metric.in_pairs


@runtime_checkable
class SplitsByPlace(Protocol):
    """A metric that may split its samples by their places, so that another order gives another value."""

    by_place: bool


@runtime_checkable
class NamedItems(Protocol):
    """A reference that knows the names and texts of its clips without reading them; clips made elsewhere pair by it."""

    ids: Sequence[str]
    texts: Sequence[str]


@runtime_checkable
class HasVariants(Protocol):
    """A metric's class that has presets, by the names that follow the metric's after a dot."""

    variants: Sequence[str]


@runtime_checkable
class HoldsOut(Protocol):
    """A dataset that holds clips out of its reference, for prompts; clips made elsewhere are compared with all."""

    def whole(self) -> Dataset:
        """The dataset with every clip in its reference."""
        ...


def whole(dataset: Dataset) -> Dataset:
    """A dataset with all of its real clips as reference, unless a user asked to hold some out."""
    return dataset.whole() if isinstance(dataset, HoldsOut) else dataset

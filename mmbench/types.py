"""The vocabulary: what flows from prompts to tables. This file is the architecture.

A Dataset gives Prompts and real Clips. A System turns Requests (prompt, seed) into Clips. An Extractor turns the
video, audio or text of clips into Features; a Metric turns the Features of one run into a Score. Nothing here, and
nothing that implements these protocols, touches a file: `store`, `features` and `results` do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from mmbench.errors import NonFiniteError, UsageError
from mmbench.identity import digest_bytes

Spec = Mapping[str, Any]  # JSON-able, canonical: whatever changes the output is in it, nothing else is
Features = dict[str, np.ndarray]  # what an extractor knows of one clip, by name
Weights = Literal["none", "real", "trained", "tiny", "random"]  # how far a system's or network's weights are real
LEAST_REAL: tuple[Weights, ...] = ("random", "tiny", "trained", "real", "none")  # first what makes numbers mean least
UNTRAINED: tuple[Weights, ...] = ("random", "tiny")  # samples and scores made with these try the plumbing
Modality = Literal["video", "audio", "text"]
Design = Literal["res_mlp", "res_naive", "res_frieren", "vit_mlp", "vit_naive", "vit_frieren"]  # of a discriminator
DESIGNS: tuple[Design, ...] = get_args(Design)
Loss = Literal["all", "disc", "denoise"]  # that a discriminator is trained with: both terms, or one alone
LOSSES: tuple[Loss, ...] = get_args(Loss)


def least_real(kinds: Collection[str]) -> Weights:
    """The least real of several kinds of weights, which is what may be said of the whole; "none" of no weights."""
    return next((kind for kind in LEAST_REAL if kind in kinds), "none")


def is_untrained(weights: str) -> bool:
    """Whether weights are random, at full or tiny size, so that what is made with them has no quality."""
    return weights in UNTRAINED


@dataclass(frozen=True)
class Prompt:
    """What a clip should show and sound like. `id` is unique and stable within its dataset."""

    id: str
    text: str
    data: Mapping[str, Any] = field(default_factory=dict)  # what the dataset needs to find real clips of it


@dataclass(frozen=True)
class ClipFormat:
    """The shape a dataset wants: frames, size [px], rate [1/s], samples, sample rate [Hz]."""

    num_frames: int
    height: int
    width: int
    fps: float
    num_samples: int
    sample_rate: int

    @property
    def seconds(self) -> float:
        """Length of the video [s]."""
        return self.num_frames / self.fps

    def size(self) -> str:
        """Frames, height, width, rates and samples as one word, as `Clip.size` gives them."""
        return f"{self.num_frames}x{self.height}x{self.width}@{self.fps:g}+{self.num_samples}@{self.sample_rate}"

    def changed(self, **shape: float) -> ClipFormat:
        """This format with another length, rate or size; what is not named stays, a format without sound silent.

        Args:
            **shape: seconds [s], fps [1/s], size (height and width [px]), sample_rate [Hz].

        Raises:
            UsageError: A number that cannot be, or a length that is no whole number of frames and samples.
        """
        if not shape:
            return self
        for name, number in shape.items():
            whole = name not in ("seconds", "fps")
            if not isinstance(number, int | float) or not 0 < number < float("inf") or (whole and number % 1):
                found, wanted = f"{name}={number} is no {name} of clips.", "a whole number" if whole else "a number"
                raise UsageError(found, f"{wanted} above 0", "--dataset 'bounce?seconds=8&fps=25&size=256'")
        seconds, fps = shape.get("seconds", self.seconds), float(shape.get("fps", self.fps))
        rate, size = int(shape.get("sample_rate", self.sample_rate)), shape.get("size")
        counts = seconds * fps, seconds * rate
        if any(abs(count - round(count)) > 1e-6 * count for count in counts) or round(counts[0]) < 2:
            found = f"{seconds:g} s at {fps:g} and {rate} 1/s are {counts[0]:g} frames and {counts[1]:g} samples."
            wanted = "whole numbers, and two frames at least"
            raise UsageError(
                found, wanted, f"--dataset 'NAME?seconds={max(1, round(seconds))}&fps={max(2, round(fps))}'"
            )
        height, width = (int(size), int(size)) if size else (self.height, self.width)
        return ClipFormat(round(counts[0]), height, width, fps, round(counts[1]) * (self.num_samples > 0), rate)


@dataclass(frozen=True, eq=False)
class Clip:
    """A video with its sound.

    Attributes:
        video: (T, H, W, 3) uint8, RGB.
        fps: Frames per second.
        audio: (S,) float32 mono in [-1, 1]; S = 0 means that there is no audio.
        sample_rate: Audio samples per second [Hz].
        notes: What happened on the way here, for the record: `video` and `audio` may say codec and lossy, `steps` what
            was resampled.
    """

    video: np.ndarray
    fps: Fraction | float
    audio: np.ndarray
    sample_rate: int
    notes: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.video.ndim != 4 or self.video.shape[-1] != 3 or self.video.dtype != np.uint8:
            raise ValueError(f"video is {self.video.dtype} {self.video.shape}; expected uint8 (T, H, W, 3)")
        if self.audio.ndim != 1 or self.audio.dtype != np.float32:
            raise ValueError(f"audio is {self.audio.dtype} {self.audio.shape}; expected float32 (S,)")
        if not np.isfinite(self.audio).all():
            raise NonFiniteError("The audio holds NaN or infinity.", "finite samples in [-1, 1]")

    @classmethod
    def from_float(cls, video: np.ndarray, fps: Fraction | float, audio: np.ndarray, sample_rate: int) -> Clip:
        """Make a clip of what a decoder gives: (T, H, W, 3) floats in [0, 1] and (S,) floats in [-1, 1].

        Values outside the range are clipped; NaN or infinity raises NonFiniteError.
        """
        if not np.isfinite(video).all():
            raise NonFiniteError("The video holds NaN or infinity.", "finite pixels in [0, 1]")
        if not np.isfinite(audio).all():
            raise NonFiniteError("The audio holds NaN or infinity.", "finite samples in [-1, 1]")
        pixels = np.rint(np.clip(video, 0.0, 1.0) * 255.0).astype(np.uint8)
        return cls(pixels, fps, np.clip(audio, -1.0, 1.0).astype(np.float32), sample_rate)

    def audio_int16(self) -> np.ndarray:
        """(S,) int16: what is stored. x = k / 32768 survives exactly; values beyond full scale are clipped."""
        return np.clip(np.rint(self.audio.astype(np.float64) * 32768.0), -32768, 32767).astype(np.int16)

    def video_digest(self) -> str:
        """Digest of pixels, shape and frame rate; computed once, for a clip's arrays are never written to."""
        return self._digests[0]

    def audio_digest(self) -> str:
        """Digest of the stored samples and their rate; computed once, as the video's."""
        return self._digests[1]

    @cached_property
    def _digests(self) -> tuple[str, str]:
        rate = Fraction(self.fps).limit_denominator(1_000_000)
        video = digest_bytes(f"video {self.video.shape} {rate}".encode(), np.ascontiguousarray(self.video).data)
        samples = self.audio_int16().astype("<i2")
        return video, digest_bytes(f"audio {samples.shape} {self.sample_rate}".encode(), samples.data)

    def codecs(self) -> str:
        """Codecs it was read from, as one word: "h264+mp3, lossy"; "" for a clip that never was in a foreign file."""
        return codecs_of(self.notes)

    def size(self) -> str:
        """Frames, height, width, rates and samples as one word: 16x64x64@8+32000@16000."""
        t, h, w, _ = self.video.shape
        return f"{t}x{h}x{w}@{float(self.fps):g}+{len(self.audio)}@{self.sample_rate}"

    def digest(self) -> str:
        """Digest of both halves."""
        return digest_bytes(self.video_digest().encode(), self.audio_digest().encode())


def codecs_of(notes: Mapping[str, Any]) -> str:
    """`Clip.codecs` from a clip's notes."""
    halves = [half for name in ("video", "audio") if isinstance(half := notes.get(name), Mapping)]
    names = "+".join(str(half.get("codec")) for half in halves)
    return f"{names}, lossy" if any(half.get("lossy") for half in halves) else names


@dataclass(frozen=True)
class Item:
    """A real clip of a dataset with its prompt; `truth` holds what is known of it (impact times [s] for bounce)."""

    id: str
    prompt: Prompt
    clip: Clip
    truth: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    """One sample to make. All its randomness comes from `rng(stream)`: never from batch, shard or device (Law 2).

    Every system that draws the same stream for the same request draws the same numbers, so systems pair.
    """

    prompt: Prompt
    index: int
    seed: int

    def entropy(self, stream: str) -> list[int]:
        """Seed words of one named stream, from (run seed, prompt id, sample index, stream)."""
        key = f"{self.seed}\0{self.prompt.id}\0{self.index}\0{stream}".encode()
        return [int(w) for w in np.frombuffer(hashlib.sha256(key).digest(), dtype="<u4")]

    def rng(self, stream: str) -> np.random.Generator:
        """A fresh generator on the CPU for one named stream, e.g. "video noise"."""
        return np.random.Generator(np.random.PCG64(self.entropy(stream)))


class System(Protocol):
    """Turns requests into clips. One instance serves one run; loading weights belongs in the first `generate`.

    `spec()` holds all that changes its output (components and their digests, sampler, steps, scales) and a `version`,
    raised by hand when its code changes what it draws. What else a system may tell or be told is declared by the
    protocols below; a registered factory with `guidable=True` makes a `mmbench.baselines.kinds.pair.GuidableSystem`.
    """

    name: str
    weights: Weights

    def spec(self) -> Spec: ...

    def generate(self, requests: Sequence[Request]) -> Iterator[Clip]:
        """Yield one clip per request, in order; the result does not depend on how requests are batched."""
        ...


class Dataset(Protocol):
    """Prompts to generate for, and real clips to compare with, all of one format."""

    name: str
    format: ClipFormat

    def spec(self) -> Spec: ...

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """The first `num` prompts of a run: prompts(n) is a prefix of prompts(n + 1)."""
        ...

    def real(self, request: Request, stream: str) -> Item:
        """A held-out real item that fits the request's prompt, drawn from that stream of its randomness."""
        ...

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """Real items that statistics are made of, never ones that `real` gives; made or read when indexed."""
        ...


class Extractor(Protocol):
    """A feature network or function on one modality; results are cached by (content digest, extractor digest).

    `batch_size` 1 asks for a process pool over clips (plain CPU code); more asks for batches in one process (networks).
    """

    name: str
    modality: Modality
    batch_size: int
    weights: Weights

    def spec(self) -> Spec: ...

    def extract(self, batch: Sequence[Clip] | Sequence[str]) -> list[Features]:
        """Features of clips (only the half named by `modality` is looked at), or of texts."""
        ...


@dataclass(frozen=True)
class ShuffledPairs:
    """A metric between halves of different samples: what a shuffled baseline is the mean of.

    Attributes:
        first: (pairs,) int64, the sample whose video (or sound, where it is compared with prompts) each pair has.
        second: (pairs,) int64, the other sample, whose sound (or prompt) it has.
        values: (pairs,) float64, the metric; NaN where it is undefined.
    """

    first: np.ndarray
    second: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Score:
    """A metric's value on one run, with what is needed to judge and compare it.

    Attributes:
        value: The metric.
        stderr: Its standard error; None if it has none (n < 2).
        num_scored: Samples that entered the value.
        num_unscored: Samples present for which the metric is undefined (silent, static); counted, not scored.
        per_sample: (n,) float64, NaN where unscored or missing; None for set metrics such as FVD.
        replicates: (B,) float64 bootstrap values under resamplings shared by all systems of equal n and seed;
            None for metrics with per-sample values.
        baseline: The same metric with sounds beside the videos, or prompts, of other samples at random.
        baseline_stderr: Standard error of the baseline.
        low, high: Bounds of the value's 95 % interval, of the estimate that gave the standard error; None without one.
        details: Further numbers worth keeping (a kernel distance, counts), JSON-able.
        reasons: Why samples that have features are unscored, by index, where the metric knows; records count them.
        shuffled: The pairs behind the baseline, which give the value's excess over it an error; None without.
    """

    value: float
    stderr: float | None
    num_scored: int
    num_unscored: int = 0
    per_sample: np.ndarray | None = None
    replicates: np.ndarray | None = None
    baseline: float | None = None
    baseline_stderr: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    low: float | None = None
    high: float | None = None
    reasons: Mapping[int, str] = field(default_factory=dict)
    shuffled: ShuffledPairs | None = None


FeatureTable = Mapping[str, Sequence[Features | None]]  # extractor name -> features per sample; None where missing


class Metric(Protocol):
    """Turns features of a run, and of the dataset's reference where it needs one, into a Score. Pure arithmetic."""

    name: str
    variant: str
    version: int
    higher_is_better: bool
    needs_reference: bool

    def extractors(self) -> Sequence[Extractor]: ...

    def score(self, features: FeatureTable, reference: FeatureTable | None, seed: int) -> Score:
        """Score one run. `features[name][i]` belongs to sample i; `seed` drives baselines and resampling."""
        ...


@runtime_checkable
class ClipSource(Protocol):
    """Where a clip can be had again: picklable, cheap to hold, decoded in the worker that needs it."""

    @property
    def id(self) -> str:
        """What to call it in reports."""
        ...

    @property
    def digest(self) -> str:
        """Digest of what `load` gives or is made from, known without decoding; "" if there is none."""
        ...

    def load(self) -> Clip:
        """Decode or make the clip; raises MediaError with the reason when it cannot be had."""
        ...


def distinct_extractors(metrics: Sequence[Metric]) -> list[Extractor]:
    """The extractors that metrics share, each once.

    Raises:
        UsageError: Two of them have one name and give other features, which would be taken for each other's.
    """
    found: dict[str, Extractor] = {}
    for extractor in (e for m in metrics for e in m.extractors()):
        known = found.setdefault(extractor.name, extractor)
        if known is not extractor and dict(known.spec()) != dict(extractor.spec()):
            raise UsageError(
                f"Two metrics use extractors called {extractor.name} that differ.",
                "one of the metrics at a time",
                "--metric NAME",
            )
    return list(found.values())


def full_name(metric: Metric) -> str:
    """A metric with its preset: fvd.stylegan_v_16f."""
    return f"{metric.name}.{metric.variant}"

"""What a user names to be compared with: arrays, a folder, a dataset, or an exported file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmbench.api.clips import Clips, make_clips
from mmbench.api.loading import is_dataset
from mmbench.errors import UsageError
from mmbench.features.cache import FeatureCache
from mmbench.features.reference import ReferenceFile, read_reference, real_features
from mmbench.identity import digest_of
from mmbench.jobs.opening import open_dataset
from mmbench.optional_protocols import whole
from mmbench.scores.partners import Partners
from mmbench.types import Dataset, Features, FeatureTable, Item, Metric, Prompt, Spec, distinct_extractors

GIVEN = "given clips"  # name of a reference of arrays
EXAMPLES = "(videos, audios), a folder, a dataset's name, or a file of mmbench stats export"


@dataclass(frozen=True)
class GivenDataset:
    """Real clips of a user's program as a dataset that gives them all."""

    clips: Clips
    name: str = GIVEN

    def spec(self) -> Spec:
        """Digest of the clips in order."""
        return {"clips": digest_of([clip.digest() for clip in self.clips.clips])}

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """Every clip."""
        named = zip(self.clips.ids, self.clips.prompts, self.clips.clips, strict=True)
        return [Item(name, Prompt(name, text), clip) for name, text, clip in named]


@dataclass(frozen=True, eq=False)
class GivenFeatures:
    """Features of a user's real clips, which are not kept themselves.

    Attributes:
        features: By extractor.
        ids: Their names.
        about: What a record says of them.
    """

    features: Mapping[str, Sequence[Features | None]]
    ids: Sequence[str]
    about: Mapping[str, Any]

    def table(self, metric: Metric) -> FeatureTable:
        """Features for a metric."""
        return {e.name: self.features[e.name] for e in metric.extractors()}

    def partners(self, ids: Sequence[str | None]) -> Partners:
        """Features of the real clips of these names."""
        place = {name: i for i, name in enumerate(self.ids)}
        rows = {
            extractor: [theirs[place[name]] if name in place else None for name in ids]
            for extractor, theirs in self.features.items()
        }
        return Partners(rows, {}, {**self.about, "paired_by": "id"})

    def note(self) -> dict[str, Any]:
        """Name, number, formats and digest of the clips."""
        return dict(self.about)


Real = Dataset | ReferenceFile | GivenDataset | None


def open_reference(given: Any, fps: float | None, sample_rate: int | None) -> tuple[Real, str | None]:
    """What a user names as real clips, and what a run calls it.

    Args:
        given: (videos, audios) or Clips; the name of a dataset, with or without a path and options; else a path: a
            folder of clips or an exported file. None for none.
        fps: Of arrays.
        sample_rate: Of arrays.

    Raises:
        UsageError: Nothing of that kind.
    """
    if given is None:
        return None, None
    if isinstance(given, Clips | tuple):
        if not isinstance(given, Clips) and len(given) != 2:
            raise UsageError(f"reference is a tuple of {len(given)}.", EXAMPLES, "reference=(videos, audios)")
        clips = given if isinstance(given, Clips) else make_clips(*given, fps, sample_rate)
        if not len(clips):
            raise UsageError("reference holds no clips.", "two at least", "reference=(videos, audios)")
        return GivenDataset(clips), GIVEN
    if is_dataset(given):
        return whole(open_dataset(given)), given
    path = Path(given) if isinstance(given, str | Path) else None
    if path is not None and path.is_dir():
        return whole(open_dataset(f"folder:{path}")), f"folder:{path}"
    if path is not None and path.is_file():
        file = read_reference(path)
        return file, file.name
    found = f"reference is {given!r}, no dataset and no path." if path else f"reference is a {type(given).__name__}."
    raise UsageError(found, EXAMPLES, "mmbench list datasets")


def know_given(real: GivenDataset, metrics: Sequence[Metric], workers: int) -> GivenFeatures:
    """Features of a user's real clips under the metrics that compare with them; warns of clips without."""
    extractors = distinct_extractors([metric for metric in metrics if metric.needs_reference])
    dataset: Any = real
    found = real_features(dataset, len(real.clips), 0, extractors, FeatureCache(None), workers)
    counts = [sum(row is not None for row in rows) for rows in found.features.values()]
    formats = sorted({content.size for content in found.contents if content})
    about = {"dataset": GIVEN, "n": min(counts, default=0), "formats": formats, **real.spec()}
    return GivenFeatures(found.features, real.clips.ids, about)

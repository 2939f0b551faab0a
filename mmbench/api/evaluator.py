"""Metrics of clips that come batch by batch, as during a training, in one process or several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import Any

from mmbench.api.arguments import read_whole
from mmbench.api.clips import make_clips
from mmbench.api.gathering import from_all_processes
from mmbench.api.kept import KeptSample, as_extraction, as_samples, in_order, look_at
from mmbench.api.opening import Asked, choose_metrics, make_metrics, open_evaluation, place_of_cache
from mmbench.api.reference import GivenDataset, know_given, open_reference
from mmbench.api.scores import Scores
from mmbench.errors import MMBenchError, UsageError
from mmbench.identity import digest_of
from mmbench.runs.spec import RunSpec
from mmbench.scores.accounting import Counts
from mmbench.scores.evaluate import Evaluation, KnownRealClips


class Evaluator:
    """Scores clips that are given batch by batch; keeps their features, not the clips.

    The numbers depend on the clips and their ids alone: not on processes, on the order in which they came, or, but for
    the rounding of networks that read several clips at a time, on batches. Pickles; networks are then loaded anew.

    Args:
        metrics: As of `mmbench.score`.
        reference: As of `score`; its features are computed once.
        fps: Of arrays that `update` is given, and of a reference of arrays.
        sample_rate: The same for their sounds [Hz].
        weights: As of `score`.
        device: As of `score`.
        seed: As of `score`.
        workers: As of `score`.
        cache: As of `score`.

    Raises:
        UsageError: What `score` refuses.
        MMBenchError: Weights are not here; says how to fetch them.
    """

    def __init__(
        self,
        metrics: str | Sequence[str] | None = None,
        reference: Any = None,
        *,
        fps: float | None = None,
        sample_rate: int | None = None,
        weights: str = "real",
        device: str = "auto",
        seed: int = 0,
        workers: int = 1,
        cache: str | Path | None = None,
    ) -> None:
        real, self._dataset = open_reference(reference, fps, sample_rate)
        names = choose_metrics(metrics, real)
        seed, workers = read_whole("seed", seed, 0), read_whole("workers", workers, 1)
        self._asked = Asked(names, weights, device, seed, workers, place_of_cache(cache))
        self._rates = fps, sample_rate
        self._kept: dict[str, KeptSample] = {}
        made = make_metrics(self._asked, real is not None)
        self._real: Any = know_given(real, made, workers) if isinstance(real, GivenDataset) else real
        self._evaluation = open_evaluation(self._asked, made, self._real)

    @cached_property
    def _evaluation(self) -> Evaluation:
        return open_evaluation(self._asked, make_metrics(self._asked, self._real is not None), self._real)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_evaluation"}  # which holds networks

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"Evaluator({', '.join(self._asked.metrics)}; {len(self)} clips)"

    def update(
        self, videos: Any, audios: Any = None, prompts: Sequence[str] | None = None, ids: Sequence[str] | None = None
    ) -> None:
        """Compute the features of a batch of clips and keep them.

        Args:
            videos: As of `score`; or Clips.
            audios: As of `score`.
            prompts: A text per clip.
            ids: A name per clip, unique over all batches and processes; by default numbers, in one process. Clips are
                scored in their order ("clip2" before "clip10"). A clip that was given before is counted once.

        Raises:
            UsageError: What `score` refuses, or another clip under an id that is known.
        """
        self._add(look_at(make_clips(videos, audios, *self._rates, prompts, ids, len(self)), self._evaluation))

    def compute(self, name: str = "samples") -> Scores:
        """The scores of all clips so far.

        Args:
            name: What tables call them.

        Raises:
            MMBenchError: There are none.
        """
        if not (isinstance(name, str) and name.strip()):
            raise UsageError(f"name is {name!r}.", "what tables call these clips", 'name="my_model"')
        kept = in_order(self._kept.values())
        if not kept:
            raise MMBenchError("There are no clips to score.", "at least one", "evaluator.update(videos, audios)")
        contents = digest_of([[k.id, k.content.video, k.content.audio] for k in kept])
        compared = digest_of(self._real.note()) if isinstance(self._real, KnownRealClips) else self._dataset
        texts = digest_of([k.text for k in kept])
        spec = {"submission": contents, "n": len(kept), "dataset": compared, "texts": texts}
        run = RunSpec(name, self._dataset or "none", self._asked.seed, "real", spec)
        found = as_extraction(kept, list(self._evaluation.extractors))
        return Scores(run, self._asked.metrics, self._evaluation.judge(run, as_samples(kept), Counts(len(kept)), found))

    def merge(self, other: Evaluator) -> None:
        """Add the clips of another evaluator that was made with the same arguments, as by another process.

        Raises:
            UsageError: It has other metrics, weights, seed or real clips, or another clip under the same id.
        """
        if not isinstance(other, Evaluator):
            raise UsageError(f"other is a {type(other).__name__}.", "an Evaluator", "evaluator.merge(other_evaluator)")
        mine, theirs = self._identity(), other._identity()
        if mine != theirs:
            found = f"The evaluators differ: {mine} and {theirs}."
            raise UsageError(found, "the same metrics, weights, seed and reference", "mmbench.Evaluator(...) alike")
        self._add(other._kept.values())

    def gather(self) -> Evaluator:
        """The clips of all processes of torch.distributed, in every one of them; a copy where there is one process.

        Every process calls it. `compute()` of what it returns gives what one process with all clips would, if the
        clips have ids of their own.
        """
        whole = copy(self)
        whole._kept, whole._evaluation = {}, self._evaluation  # a copy is made as by pickle, without it
        for kept in from_all_processes(list(self._kept.values())):
            whole._add(kept)
        return whole

    def reset(self) -> None:
        """Forget all clips; the features of real clips stay."""
        self._kept = {}

    def _identity(self) -> tuple[Any, ...]:
        real = self._real.note() if isinstance(self._real, KnownRealClips) else self._dataset
        return self._asked.metrics, self._asked.weights, self._asked.seed, str(real)

    def _add(self, found: Iterable[KeptSample]) -> None:
        added: dict[str, KeptSample] = {}
        for kept in found:
            known = self._kept.get(kept.id) or added.setdefault(kept.id, kept)
            if (known.content, known.text) != (kept.content, kept.text):
                what = f"Two clips have the id {kept.id!r}."
                raise UsageError(what, "an id of its own for each, over all batches and processes", "ids=[...]")
        self._kept.update(added)  # in one step, and in place: another thread may have added some since

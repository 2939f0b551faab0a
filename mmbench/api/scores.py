"""Scores of one set of clips: what a program reads, prints, keeps and compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mmbench.api.metric_score import MetricScore, as_metric_score
from mmbench.runs.spec import RunSpec
from mmbench.scores.records import Record
from mmbench.scores.scoring import Scoring
from mmbench.tables.compare import list_caveats
from mmbench.tables.format import count_text, digits_of, with_error

if TYPE_CHECKING:
    from pandas import DataFrame

EXCESS = ("excess", "excess_stderr", "excess_low", "excess_high")
VALUE = ("value", "stderr", "low", "high")
BASELINE = ("baseline", "baseline_stderr")


class Scores(Mapping[str, MetricScore]):
    """Scores by metric, under the names asked for; prints as a table. Made by `score` and `Evaluator.compute`.

    Attributes:
        name: What tables call the clips.
        ids: Of the clips, in order.
        notes: What to know of the numbers: real clips, lossy codecs, untrained networks.
    """

    def __init__(self, run: RunSpec, names: Sequence[str], scoring: Scoring) -> None:
        self._run, self._scoring = run, scoring
        self.name = run.system
        self.ids = [str(sample["id"]) for sample in scoring.samples[0]]
        self.notes = [*list_caveats(scoring.records), *_list_unscored(scoring.records)]
        rows = zip(scoring.records, scoring.scores, scoring.samples, strict=True)
        self._by_name = {name: as_metric_score(*row) for name, row in zip(names, rows, strict=True)}

    def __getitem__(self, name: str) -> MetricScore:
        if name not in self._by_name:
            raise KeyError(f"{name!r} is not among {', '.join(self)}")
        return self._by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        head = ("", "excess", "value", "95 %", "shuffled", "n")
        table = [head, *map(_cells, self._scoring.records)]
        kept = [k for k in range(len(head)) if k == 0 or any(row[k] for row in table[1:])]
        widths = {k: max(len(row[k]) for row in table) for k in kept}
        lines = ["  ".join(row[k].ljust(widths[k]) for k in kept).rstrip() for row in table]
        return "\n".join([f"{self.name}, {len(self.ids)} clips", *lines, *self.notes])

    def to_pandas(self) -> DataFrame:
        """A DataFrame with a row per metric: excess, value, errors, counts, baseline, signature."""
        from pandas import DataFrame

        columns = [*EXCESS, *VALUE, "n", "unscored", *BASELINE, "higher_is_better", "signature"]
        rows = [{k: len(s.unscored) if k == "unscored" else getattr(s, k) for k in columns} for s in self.values()]
        numbers = [*EXCESS, *VALUE, *BASELINE]
        return DataFrame(rows, list(self), columns).rename_axis("metric").astype(dict.fromkeys(numbers, float))

    def per_sample(self) -> DataFrame:
        """A DataFrame with a row per clip: its prompt, and its value under each metric that has one for every clip."""
        from pandas import DataFrame

        table: dict[str, Any] = {"prompt": [sample["text"] for sample in self._scoring.samples[0]]}
        table |= {name: score.per_sample for name, score in self.items() if score.per_sample is not None}
        return DataFrame(table, self.ids).rename_axis("id")

    def save(self, out: str | Path = "runs") -> Path:
        """Write the scores as `mmbench evaluate` does, so that `mmbench table`, `show` and `compare` find them.

        Args:
            out: Folder of runs.

        Returns:
            The folder in it that holds these scores.
        """
        from mmbench.runs.circumstances import invocation
        from mmbench.runs.store import create_run_folder, note_invocation

        folder = create_run_folder(Path(out), self._run)
        note_invocation(folder, invocation(["mmbench.score"], {"path": "FOLDER_OF_THE_CLIPS", "metrics": list(self)}))
        self._scoring.save(folder)
        return folder


def _list_unscored(records: Sequence[Record]) -> list[str]:
    """A line for each reason why clips have no value, with the metrics that give it."""
    found: dict[tuple[str, int], list[str]] = {}
    for record in records:
        for reason, count in record.unscored.items():
            found.setdefault((reason, count), []).append(record.metric)
    return [f"{n} unscored by {', '.join(names)}: {why.removesuffix('.')}." for (why, n), names in found.items()]


def _cells(record: Record) -> tuple[str, ...]:
    """A record as cells of text."""
    interval = ""
    if record.low is not None and record.high is not None:
        k = digits_of(record.stderr)
        interval = f"[{record.low:z.{k}f}, {record.high:z.{k}f}]"
    arrow = "↑" if record.higher_is_better else "↓"
    value, shuffled = with_error(record.value, record.stderr), with_error(record.baseline, record.baseline_stderr)
    excess = with_error(record.excess, record.excess_stderr)
    texts = f"{record.metric} {arrow}", excess, value, interval, shuffled, count_text(record)
    return tuple(text or "" for text in texts)

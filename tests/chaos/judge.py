"""What becomes of every clip of a folder: refused with a reason, or scored with its warnings."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mmbench.features.cache import FeatureCache
from mmbench.features.extract import extract
from mmbench.jobs.submissions import WHOLE, open_submission
from mmbench.scores.warnings import anomaly_extractors, find_warnings
from tests.chaos.record import peak_memory


def judge(folder: Path) -> dict[str, list[str]]:
    """["refused", reason], or ["scored", names of warnings ...], by the name of the file or the clip's id."""
    given = open_submission(folder, "odd", WHOLE)
    verdicts = {name: ["refused", reason] for name, reason in given.counts.failures.values()}
    with FeatureCache(None) as cache:
        found = extract(given.samples, anomaly_extractors([]), cache, workers=1)
    warned = find_warnings(given.samples, found, {})
    for i, sample in enumerate(given.samples):
        if sample is None:
            continue
        name = Path(sample.source.path).name  # type: ignore[attr-defined]
        names = [warning for warning, ids in warned.items() if sample.source.id in ids]
        names = [warning for warning in names if not warning.startswith("duplicate")]  # the corpus is made of few clips
        verdicts[name] = ["refused", found.unreadable[i]] if i in found.unreadable else ["scored", *names]
    assert len(verdicts) == given.counts.expected
    return verdicts


if __name__ == "__main__":
    verdicts = judge(Path(sys.argv[1]))
    peak = peak_memory() >> 20
    print(json.dumps({"verdicts": verdicts, "peak MiB": peak}))

"""An edit of an extractor is never answered with the numbers of before."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

from mmbench import code_identity
from mmbench.features import extractor_identity
from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Sample, extract
from mmbench.metrics.extractors.imagebind import ImageBindVideo
from tests.builders import MadeSource

EXTRACTOR = """
import numpy as np

class Level:
    name, modality, batch_size, weights = "level", "video", 1, "none"

    def spec(self):
        return {{"version": 1}}

    def extract(self, batch):
        return [{{"level": np.array({factor} * float(clip.video.mean()))}} for clip in batch]
"""


def level(folder: Path, factor: str) -> float:
    """The feature that a fresh process with this source would find, with the cache that lies there."""
    (folder / "my_extractor.py").write_text(EXTRACTOR.format(factor=factor))
    for cached in (code_identity.read_source, extractor_identity._digest):
        cached.cache_clear()
    sys.modules.pop("my_extractor", None)
    importlib.invalidate_caches()
    made = importlib.import_module("my_extractor").Level()
    with FeatureCache(folder / "features") as cache:
        found = extract([Sample(MadeSource(0), "")], [made], cache, workers=1)
    (features,) = found.features["level"]
    assert features is not None
    return float(features["level"])


def test_an_edit_is_seen_and_a_comment_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    first = level(tmp_path, "1")
    assert level(tmp_path, "1000") == pytest.approx(1000 * first)
    shelves = {p.name for p in (tmp_path / "features").iterdir()}
    level(tmp_path, "1000  # as loud as before\n           ")
    assert {p.name for p in (tmp_path / "features").iterdir()} == shelves


def test_what_an_extractor_reaches_counts() -> None:
    reached = code_identity.reached_modules([ImageBindVideo.__module__], extractor_identity.ROOMS)
    assert {"mmbench.metrics.networks.imagebind", "mmbench.metrics.networks.imagebind_preprocess"} <= set(reached)
    assert len(extractor_identity.extractor_code(ImageBindVideo("random"))) == 16

"""Features on disk are checked when they are read; damaged ones go, and are computed again."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mmbench.features.cache import FeatureCache
from mmbench.features.extract import Extraction, Sample, extract
from tests.builders import MadeSource, Mean

NAME = "mean_video_1"


def look(folder: Path, extractor: Mean) -> Extraction:
    clips = [Sample(MadeSource(seed, f"source {seed}"), "") for seed in range(5)]
    with FeatureCache(folder) as cache:
        return extract(clips, [extractor], cache, workers=1)


def values(found: Extraction) -> list[float]:
    return [float(f["mean"]) for f in found.features[NAME] if f is not None]


def shard_of(folder: Path, kind: str) -> Path:
    (file,) = folder.glob(f"{kind}-*/*.safetensors")
    return file


@pytest.mark.parametrize("kind", ["mean_video_1", "content"])
def test_no_flipped_bit_of_a_feature_file_reaches_a_value(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    expected = values(look(tmp_path, Mean("video", 1)))
    whole, rng = shard_of(tmp_path, kind).read_bytes(), Random(0)
    healed = 0
    for _ in range(60):
        shard, changed = shard_of(tmp_path, kind), bytearray(whole)
        changed[rng.randrange(len(whole))] ^= 1 << rng.randrange(8)
        shard.write_bytes(changed)
        caplog.clear()
        again = Mean("video", 1)
        found = look(tmp_path, again)
        assert values(found) == expected
        assert found.contents == look(tmp_path, Mean("video", 1)).contents
        said = "is damaged" in caplog.text
        assert said == (not shard.exists()), "a damaged file goes, with a warning"
        healed += said
        shard_of(tmp_path, kind).unlink()
        shard.write_bytes(whole)
    assert healed > 50


def test_a_damaged_file_takes_no_other_with_it_and_is_written_anew(tmp_path: Path) -> None:
    expected = values(look(tmp_path, Mean("video", 1)))
    shard = shard_of(tmp_path, NAME)
    shard.write_bytes(shard.read_bytes()[:-1])
    again = Mean("video", 1)
    assert values(look(tmp_path, again)) == expected
    assert again.calls == 5
    third = Mean("video", 1)
    assert values(look(tmp_path, third)) == expected
    assert third.calls == 0
    assert not shard.exists()


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    expected = values(look(tmp_path, Mean("video", 1)))
    shard = shard_of(tmp_path, NAME)
    save_file(load_file(shard), shard)  # without checksums
    again = Mean("video", 1)
    assert values(look(tmp_path, again)) == expected
    assert again.calls == 0


def test_a_cut_content_of_an_older_version_is_looked_at_again(tmp_path: Path) -> None:
    first = look(tmp_path, Mean("video", 1))
    shard = shard_of(tmp_path, "content")
    arrays = load_file(shard)
    name = next(iter(arrays))
    for odd in (np.array([255, 254], np.uint8), np.frombuffer(b"one|two", np.uint8)):
        save_file(arrays | {name: odd}, shard)
        assert look(tmp_path, Mean("video", 1)).contents == first.contents

"""JavisScore and AVHScore against the official implementation."""

from __future__ import annotations

import numpy as np
import pytest

from mmbench.errors import MMBenchError
from mmbench.metrics.arithmetic.sliding_windows import (
    OVERLAP_SECONDS,
    SHARE,
    WINDOW_SECONDS,
    least_agreement,
    paired_windows,
)
from mmbench.metrics.imagebind import cosine
from mmbench.metrics.networks.imagebind_preprocess import audio_ranges
from tests.conformance.harness import Fixture, runner


@runner("javis_score")
def javis_score(fixture: Fixture) -> None:
    config, found = fixture.config, {}
    for case in fixture.json("windows.json"):
        seconds, overlap = case.get("window_size_s", WINDOW_SECONDS), case.get("window_overlap_s", OVERLAP_SECONDS)
        asked = case["frames"], case["fps"], case["samples"], seconds, overlap
        if "error" in case:
            with pytest.raises(MMBenchError, match="never end"):
                paired_windows(*asked)
            continue
        shown, heard = paired_windows(*asked)
        count = min(len(case["video"]), len(case["audio"]))
        assert [list(w) for w in shown] == case["video"][:count], case
        assert [list(w) for w in heard] == case["audio"][:count], case
    for samples, ranges in config["audio_subclips"].items():
        assert [list(r) for r in audio_ranges(int(samples))] == ranges, samples
    for name, case in config["cases"].items():
        frames, sounds = fixture.array(f"{name}.frames"), fixture.array(f"{name}.audio_windows")
        shown, heard = paired_windows(len(frames), case["fps"], case["samples"])
        assert len(shown) == len(heard) == len(sounds) == case["windows"]
        assert {stop - first for first, stop in shown} == {case["frames_per_window"]}
        assert int(SHARE * case["frames_per_window"]) == case["k"]
        cosines = [cosine(frames[slice(*w)], sound) for w, sound in zip(shown, sounds, strict=True)]
        found[f"{name}.javis_score"] = least_agreement(cosines)
        found[f"{name}.avh_score"] = cosine(frames, fixture.array(f"{name}.audio")[0]).mean()
    for name, spec in config["scalars"].items():
        if spec["value"] is None:
            assert np.isnan(found[name])
            fixture.checked.append(name)
        else:
            fixture.check_close(found[name], spec["value"], spec, name)
    assert set(fixture.checked) == set(config["outputs"]) | set(config["scalars"])

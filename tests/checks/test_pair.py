"""`mmbench doctor --pair`: what is said of two base models, and what is wrong with them."""

from __future__ import annotations

import pytest

from mmbench.baselines.models.pipelines.pair import PipelinePair
from mmbench.checks.pair import examine_pair

TINY = ("size=tiny", "num_inference_steps=2")


def test_all_that_training_and_guidance_need_is_tried() -> None:
    rows = {row["check"]: row for row in examine_pair("wan_stableaudio", "bounce", TINY, device="cpu")}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert "UniPCMultistepScheduler keeps to its levels within" in rows["video pipeline"]["found"]
    assert rows["audio latents"]["found"] == "(8, 64), seen as (8, 32)"
    assert rows["zero discriminator"]["found"] == (
        "changes no bit of a sample, 16x64x64@8+32000@16000; its halves are up to 499 of 1000 levels apart"
    )


def test_a_pair_of_ones_own_loops_is_looked_at_too() -> None:
    rows = {row["check"]: row for row in examine_pair("tiny", "bounce", ("num_inference_steps=2",), device="cpu")}
    assert {row["status"] for row in rows.values()} == {"ok"}
    assert "video pipeline" not in rows
    assert rows["zero discriminator"]["found"].endswith("up to 0 of 1000 levels apart")  # one timestep for both


def test_what_is_wrong_is_a_row_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    too_long = {row["check"]: row for row in examine_pair("wan_stableaudio", "bounce?seconds=4", TINY, device="cpu")}
    assert too_long["real clip"]["status"] == too_long["zero discriminator"]["status"] == "broken"
    assert "too short" in too_long["zero discriminator"]["found"]
    assert too_long["real clip"]["next"] == "a call for the 4 s of the dataset's clips; see docs/pairs.md"
    (missing,) = examine_pair("wan_stableaudio", "bounce", device="cpu")
    assert (missing["check"], missing["status"]) == ("base models", "broken")
    assert missing["next"].startswith("--set video_revision=COMMIT")
    sample = PipelinePair.sample

    def disturbed(pair: PipelinePair, requests: object, guidance: object = None) -> object:
        video, audio = sample(pair, requests, guidance)  # type: ignore[arg-type]
        return (video, audio) if guidance is None else (video + 1e-3, audio)

    monkeypatch.setattr(PipelinePair, "sample", disturbed)
    rows = {row["check"]: row for row in examine_pair("wan_stableaudio", "bounce", TINY, device="cpu")}
    assert rows["zero discriminator"]["found"] == "A discriminator that knows nothing changes a sample."

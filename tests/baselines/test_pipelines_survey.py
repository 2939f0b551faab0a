"""Which pipelines of diffusers can be halves of a pair: all of them, by their sources; and classes of one's own."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest

from mmbench.baselines.models.pipelines.survey import Surveyed, distilled, refusal, survey
from mmbench.baselines.models.pipelines.tiny import TINY
from mmbench.jobs.list import PIPELINE_COLUMNS, list_pipelines
from mmbench.markup import write_markdown
from tests.documents import read

VIDEO = {
    *("AllegroPipeline", "AnimateDiffPAGPipeline", "AnimateDiffPipeline", "AnimateDiffSDXLPipeline"),
    *("CogVideoXPipeline", "Cosmos2_5_PredictBasePipeline", "EasyAnimatePipeline", "HunyuanVideo15Pipeline"),
    *("HunyuanVideoPipeline", "Kandinsky5T2VPipeline", "LTXPipeline", "LattePipeline", "MochiPipeline"),
    *("MotifVideoPipeline", "SanaVideoPipeline", "SkyReelsV2Pipeline", "TextToVideoSDPipeline", "WanPipeline"),
    "WanVACEPipeline",  # its video, mask and pictures may all be left out
}
AUDIO = {
    *("AceStepPipeline", "AudioLDM2Pipeline", "AudioLDMPipeline", "LongCatAudioDiTPipeline", "MusicLDMPipeline"),
    *("StableAudio3Pipeline", "StableAudioPipeline"),
}
PARTS, COPIES, JOINED = "samples in parts", "steps copies of its scheduler", "joined already"
REFUSED = {
    "AnyFlowFARPipeline": PARTS,
    "AnyFlowPipeline": "flow map",
    "ChronoEditPipeline": "needs image",
    "CogVideoXVideoToVideoPipeline": r"by its name \(VideoToVideo\) it needs video",
    "Cosmos2_5_TransferPipeline": "needs controls",
    "Cosmos3OmniPipeline": JOINED,
    "CosmosTextToWorldPipeline": "steps twice",
    "DanceDiffusionPipeline": "takes no prompt",
    "HeliosPipeline": PARTS,
    "HeliosPyramidPipeline": PARTS,
    "I2VGenXLPipeline": r"by its name \(I2V\) it needs image",
    "Kandinsky6TI2VAPipeline": JOINED,
    "LTX2Pipeline": JOINED,
    "LTXConditionPipeline": "sign reversed",
    "SkyReelsV2DiffusionForcingPipeline": COPIES,
    "StableAudio3InpaintPipeline": "needs audio or mask",
    "StableVideoDiffusionPipeline": "takes no prompt",
    "TextToVideoZeroPipeline": COPIES,
    "TextToVideoZeroSDXLPipeline": COPIES,
    "WanAnimatePipeline": "needs image, pose_video, face_video",
}


@pytest.fixture(scope="module")
def surveyed() -> dict[str, Surveyed]:
    return {pipeline.name: pipeline for pipeline in survey()}


def test_the_same_pipelines_are_halves_as_were_found_by_reading(surveyed: dict[str, Surveyed]) -> None:
    for makes, names in (("video", VIDEO), ("audio", AUDIO)):
        assert {name for name, p in surveyed.items() if p.reason is None and p.makes == makes} == names
    assert len(surveyed) == 84
    assert set(surveyed) <= set(dir(diffusers))


@pytest.mark.parametrize("name", REFUSED)
def test_others_are_refused_for_what_their_sources_do(name: str, surveyed: dict[str, Surveyed]) -> None:
    with pytest.raises(AssertionError, match=REFUSED[name]):
        raise AssertionError(surveyed[name].reason)
    assert surveyed[name].remarks == ()


def test_what_is_special_about_a_half_is_said(surveyed: dict[str, Surveyed]) -> None:
    remarks = {
        "AudioLDMPipeline": "deprecated",
        "Kandinsky5T2VPipeline": "a slice of its latents",
        "CogVideoXPipeline": "two orders of arguments",
        "TextToVideoSDPipeline": "all frames as one batch",
        "HunyuanVideoPipeline": "guided already",
        "StableAudio3Pipeline": "-base",
        "Cosmos2_5_PredictBasePipeline": "image, video left out",
    }
    assert {name: remark in "; ".join(surveyed[name].remarks) for name, remark in remarks.items()} == dict.fromkeys(
        remarks, True
    )
    assert surveyed["WanPipeline"].remarks == ()


@pytest.mark.parametrize("name", TINY)
def test_the_class_itself_is_judged_as_its_source_is(name: str, surveyed: dict[str, Surveyed]) -> None:
    assert refusal(getattr(diffusers, name)) == surveyed[name].reason is None


def test_a_class_of_diffusers_that_is_refused_is_refused_with_the_same_words(surveyed: dict[str, Surveyed]) -> None:
    reason = surveyed["LTXConditionPipeline"].reason
    assert reason
    assert refusal(diffusers.LTXConditionPipeline) == reason


VideoOutput = dict


class _Own:
    """A pipeline as someone might write it."""

    scheduler: Any
    transformer: Any

    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for t in self.scheduler.timesteps:
            latents = self._round(t, latents)
        return VideoOutput(frames=latents)

    def _round(self, t: Any, latents: Any) -> Any:
        return self.scheduler.step(self.transformer(latents, t), t, latents)[0]


class _Derived(_Own):
    """Its call is another's."""


class _Twice(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for t in self.scheduler.timesteps:
            latents = self._round(t, latents)
            latents = self.scheduler.step(latents, t, latents)[0]
        return VideoOutput(frames=latents)

    def _round(self, t: Any, latents: Any) -> Any:
        return self.scheduler.step(self.transformer(latents, t), t, latents)[0]


class _Nested(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for _ in range(3):
            for t in self.scheduler.timesteps:
                latents = self.scheduler.step(self.transformer(latents, t), t, latents)[0]
        return VideoOutput(frames=latents)


PictureOutput = dict


class _Named(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for t in self.scheduler.timesteps:
            latents = self.scheduler.step(latents, sample=latents, timestep=t)[0]
        return VideoOutput(frames=latents)


class _Reversed(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for t in self.scheduler.timesteps:
            latents = self.scheduler.step(model_output=-latents, timestep=t, sample=latents)[0]
        return VideoOutput(frames=latents)


class _Otherwise(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        for t in self.scheduler.timesteps:
            latents = self.scheduler.step(latents, t)[0]
        return VideoOutput(frames=latents)


class _Picture(_Own):
    def __call__(self, prompt: str, latents: Any = None) -> Any:
        return PictureOutput(images=latents)


@pytest.mark.parametrize(
    ("own", "reason"),
    [
        (_Own, None),
        (_Derived, None),
        (_Twice, "steps twice"),
        (_Nested, "samples in parts"),
        (_Named, None),
        (_Reversed, "sign reversed"),
        (_Otherwise, "something else"),
        (_Picture, "neither video nor sound"),
        (type("Made", (), {"__call__": lambda self, prompt: None}), "its source"),
        (object, "cannot be called"),
    ],
)
def test_a_class_of_ones_own_is_read_too(own: type[Any], reason: str | None) -> None:
    found = refusal(own)
    assert found is None if reason is None else reason in str(found)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Wan-AI/Wan2.1-T2V-1.3B-Diffusers", None),
        ("stabilityai/stable-audio-3-small-sfx-base", None),
        ("stabilityai/stable-audio-3-small-sfx", "unless its name ends in -base"),
        ("Lightricks/LTX-Video-0.9.7-distilled", r"\(distilled\)"),
        ("wangfuyun/AnimateLCM", r"\(LCM\)"),
        ("ACE-Step/acestep-v15-turbo", r"\(turbo\)"),
        ("someone/hyperion", None),
    ],
)
def test_distilled_checkpoints_are_told_by_their_names(name: str, found: str | None) -> None:
    reason = distilled(name)
    assert (reason is None) if found is None else (found.replace("\\", "") in str(reason))


def test_the_page_has_the_table_as_it_is_now() -> None:
    rows = [[str(row[column]) for column in PIPELINE_COLUMNS] for row in list_pipelines()]
    table = write_markdown(PIPELINE_COLUMNS, rows, [False] * len(PIPELINE_COLUMNS))
    assert table in read("docs/pipelines.md")  # mmbench list pipelines --format markdown writes it
    assert f"({diffusers.__version__})" in read("docs/pipelines.md")

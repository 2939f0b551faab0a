"""Cascades and independent halves: whose videos they show, that they make them only once, and what they are called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmbench.baselines.kinds.cascade import (
    Cascade,
    IndependentSources,
    RegisteredCascade,
    RegisteredSources,
    make_source,
)
from mmbench.errors import MMBenchError
from mmbench.registry import Entry, make_dataset
from mmbench.runs.generate import generate
from mmbench.runs.shared_videos import videos_for
from mmbench.runs.spec import RunSpec, make_requests, make_runspec
from mmbench.runs.store import SampleStore
from mmbench.system_names import make_system, options_of, read_options
from mmbench.tables.table import pivot
from mmbench.types import Clip, Request, Weights
from tests.builders import record
from tests.commands import mmbench_here

BOUNCE = make_dataset("bounce")
REQUESTS = make_requests(BOUNCE, 3, seed=0)
PAIRS = ("audioldm_animatediff", "auffusion_vc2")
OPTIONS = {"size": "tiny", "num_inference_steps": 2}
SMALL = {"dataset": BOUNCE, "device": "cpu", **OPTIONS}


class Brightness:
    """A video-to-audio model: noise as loud as the picture is bright. Refuses the sample called `broken`."""

    name, batch_size = "brightness", 2

    def __init__(self, *, weights: Weights = "real", loudness: float = 0.5, broken: int = -1) -> None:
        self.weights, self.loudness, self.broken = weights, loudness, broken

    def spec(self) -> dict[str, Any]:
        return {"version": 1, "loudness": self.loudness}

    def sound(self, requests: Sequence[Request], clips: Sequence[Clip]) -> list[np.ndarray]:
        assert len(requests) == len(clips) <= self.batch_size
        if any(request.index == self.broken for request in requests):
            raise RuntimeError("no sound for this")
        num = BOUNCE.format.num_samples
        loud = [clip.video.mean() / 255 * self.loudness for clip in clips]
        return [(a * r.rng("hiss").uniform(-1, 1, num)).astype(np.float32) for a, r in zip(loud, requests, strict=True)]


class TinyBrightness(RegisteredCascade):
    """One short declaration combines a registered pair with a video-to-audio class."""

    base, video, audio = "tiny_brightness", "tiny", f"{__name__}:Brightness"


class VC2Brightness(RegisteredCascade):
    base, video, audio = "vc2_brightness", "auffusion_vc2", f"{__name__}:Brightness"


def tiny(**options: Any) -> Any:
    return make_system("tiny", dataset=BOUNCE, device="cpu", num_inference_steps=2, **options)


def cascade(**options: Any) -> Any:
    return TinyBrightness(dataset=BOUNCE, device="cpu", **{"num_inference_steps": 2, **options})


def run_of(system: Any, seed: int = 0) -> RunSpec:
    return make_runspec(system, BOUNCE, seed, system.name, "bounce")


def stored(out: Path, system: Any, num: int = 3, batch: int = 4) -> SampleStore:
    """The run of a system under `out`, as the command line makes it."""
    run = run_of(system)
    store = SampleStore.create(out, run)
    if run.video_of:
        system.use_videos(videos_for(run, out))
    generate(store, system, REQUESTS[:num], batch_size=batch, retry_failed=True)
    return store


def digests(store: SampleStore) -> list[str]:
    return [store.record(i).digest for i in store.status().present]


def no_video(requests: Sequence[Request]) -> Any:
    raise AssertionError(f"the video model is asked for {[r.index for r in requests]}")


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Digests of the cascade's samples where no run of its video model is."""
    return digests(stored(tmp_path_factory.mktemp("alone"), cascade()))


@pytest.mark.e2e
def test_videos_are_taken_from_the_run_of_the_video_model(
    tmp_path: Path, alone: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base, system = stored(tmp_path, tiny()), cascade()
    monkeypatch.setattr(system.video_source, "generate", no_video)
    store = stored(tmp_path, system)
    assert digests(store) == alone
    for i in range(3):
        ours, theirs = store.record(i), base.record(i)
        assert ours.video_digest == theirs.video_digest
        assert ours.audio_digest != theirs.audio_digest
        assert ours.notes["video_of"] == base.run.run_id


@pytest.mark.e2e
def test_what_that_run_lacks_is_made_and_is_the_same(tmp_path: Path, alone: list[str]) -> None:
    base, system = stored(tmp_path, tiny(), num=1), cascade()
    store = stored(tmp_path, system)
    assert digests(store) == alone
    assert ["video_of" in store.record(i).notes for i in range(3)] == [True, False, False]
    assert stored(tmp_path, tiny()).record(2).video_digest == store.record(2).video_digest
    assert base.run.video == store.run.video


@pytest.mark.e2e
def test_another_cascade_on_the_same_videos_serves_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, louder = stored(tmp_path, cascade()), cascade(sound_loudness=1.0)
    monkeypatch.setattr(louder.video_source, "generate", no_video)
    second = stored(tmp_path, louder)
    assert first.run.digest != second.run.digest
    assert [second.record(i).video_digest for i in range(3)] == [first.record(i).video_digest for i in range(3)]
    assert second.record(0).notes["video_of"] == first.run.run_id


def test_other_videos_are_not_taken() -> None:
    same = run_of(cascade()).video
    assert run_of(tiny()).video == run_of(cascade(sound_loudness=1.0)).video == same
    others = [
        run_of(cascade(), seed=1),
        run_of(cascade(num_inference_steps=3)),
        run_of(make_system("tiny_cascade", dataset=BOUNCE, num_inference_steps=2)),
        run_of(make_system("tiny+mmdisco", dataset=BOUNCE, num_inference_steps=2)),
        make_runspec(cascade(), make_dataset("bounce_heavy"), 0, "c", "b"),
    ]
    assert len({same, *(run.video for run in others)}) == 6


@pytest.mark.e2e
def test_damaged_runs_and_clips_are_passed_over(
    tmp_path: Path, alone: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    base = stored(tmp_path, tiny())
    damaged = base.samples / "000001.mkv"
    damaged.write_bytes(damaged.read_bytes()[:-500])
    (base.samples / "000002.json").write_text("{")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "manifest.json").write_text("{}")
    store = stored(tmp_path, cascade())
    assert digests(store) == alone
    assert ["video_of" in store.record(i).notes for i in range(3)] == [True, False, False]
    assert "the video of sample 1 is not taken from" in caplog.text


@pytest.mark.e2e
def test_a_sample_without_sound_fails_alone_and_resumes(tmp_path: Path, alone: list[str]) -> None:
    stored(tmp_path, tiny(), num=2)
    broken = stored(tmp_path, cascade(sound_broken=1))
    assert broken.status(3).failed == [1]
    assert "no sound for this" in broken.failure(1).reason
    assert digests(stored(tmp_path, cascade())) == alone


def test_the_manifest_says_whose_video_it_is(tmp_path: Path) -> None:
    run = stored(tmp_path, cascade(), num=0).run
    assert run.video_of == "tiny"
    assert run.spec["video"] == run.video
    assert run.spec["system"]["video"]["of"] == "tiny"
    assert run.spec["system"]["audio"] == {"of": "brightness", "version": 1, "loudness": 0.5}
    assert run_of(tiny()).video_of == ""
    assert "video" not in run_of(tiny()).spec


def _refuse(*_: Any) -> Any:
    raise AssertionError("the other half is loaded")


@pytest.mark.e2e
@pytest.mark.parametrize("name", [PAIRS[0], *(pytest.param(p, marks=pytest.mark.thorough) for p in PAIRS[1:])])
def test_halves_are_loaded_alone_and_give_what_the_pair_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = next(make_system(name, **SMALL).generate(REQUESTS[1:2]))
    for which, other in (("video", "audio"), ("audio", "video")):
        system = make_source(name, which, {"dataset": BOUNCE, "device": "cpu"}, OPTIONS)
        monkeypatch.setattr(type(system), f"load_{other}", _refuse)
        clip = next(system.generate(REQUESTS[1:2]))
        monkeypatch.undo()
        assert getattr(clip, f"{which}_digest")() == getattr(whole, f"{which}_digest")()
        assert getattr(clip, other).size == 0


@pytest.mark.parametrize("preset", ["paper", "mmdisco-release"])
def test_a_pair_and_its_video_source_agree_on_what_decides_the_video(preset: str) -> None:
    pair, system = make_system("auffusion_vc2", **SMALL, preset=preset), VC2Brightness(**SMALL, preset=preset)
    assert run_of(pair).video == run_of(system).video
    assert run_of(VC2Brightness(**SMALL, preset=preset, free_scale=(8.0, 1.0))).video == run_of(pair).video
    assert run_of(VC2Brightness(**SMALL, preset=preset, free_scale=(7.0, 8.0))).video != run_of(pair).video
    assert set(system.spec()["video"]["components"]) & {"auffusion", "videocrafter2"} == {"videocrafter2"}


def test_a_cascade_looks_for_the_weights_of_its_video_source_alone(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    for name in ("clip_bpe", "videocrafter2"):
        (tmp_path / name).write_bytes(b"anything")
        monkeypatch.setenv(f"MMBENCH_WEIGHTS_{name.upper()}", str(tmp_path / name))
    with pytest.raises(MMBenchError, match="clip_bpe"):  # found, and not what was published
        VC2Brightness(dataset=BOUNCE)
    with pytest.raises(MMBenchError, match="weights fetch realistic_vision"):
        make_system("auffusion_animatediff", dataset=BOUNCE)


@pytest.mark.e2e
def test_independent_halves_are_the_halves_of_their_pairs() -> None:
    clip = next(make_system("auffusion_animatediff", **SMALL).generate(REQUESTS[:1]))
    seen, heard = (next(make_system(name, **SMALL).generate(REQUESTS[:1])) for name in PAIRS)
    assert clip.video_digest() == seen.video_digest()
    assert clip.audio_digest() == heard.audio_digest()
    system = make_system("auffusion_animatediff", **SMALL, free_scale=(3.0, 2.0))
    assert system.weights == "tiny"
    assert system.spec()["video"]["sampling"]["free_scale"] == 3.0
    assert system.spec()["audio"]["sampling"]["free_scale"] == 2.0
    assert run_of(make_system(PAIRS[0], **SMALL)).video == run_of(make_system("auffusion_animatediff", **SMALL)).video


def test_any_system_can_be_the_video_source() -> None:
    real, guided = (
        make_system("ground_truth", dataset=BOUNCE),
        make_source("tiny+mmdisco", "video", {"dataset": BOUNCE}, {}),
    )
    clip = next(Cascade("dubbed", real, Brightness(), BOUNCE.format).generate(REQUESTS[:1]))
    assert clip.video_digest() == next(real.generate(REQUESTS[:1])).video_digest()
    assert run_of(Cascade("dubbed", guided, Brightness(), BOUNCE.format)).video == run_of(guided).video
    assert IndependentSources("mixed", real, tiny()).weights == "trained"
    assert Cascade("mixed", tiny(), Brightness(weights="random"), BOUNCE.format).weights == "random"


def test_sound_of_another_length_is_refused() -> None:
    form = replace(BOUNCE.format, num_samples=100)
    real = make_system("ground_truth", dataset=BOUNCE)
    with pytest.raises(ValueError, match=r"brightness made sound of shape \(32000,\), not \(100,\)"):
        next(Cascade("dubbed", real, Brightness(), form).generate(REQUESTS[:1]))


def test_options_are_those_of_both_halves() -> None:
    found = options_of(Entry("system", "x", "", VC2Brightness, ""))
    assert found["num_inference_steps"] == 50
    assert found["sound_loudness"] == 0.5
    assert not {"joint_scale", "discriminator", "modalities", "loudness", "weights"} & set(found)
    halves = options_of(Entry("system", "x", "", type(make_system("audioldm_vc2", **SMALL)), ""))
    assert set(halves) == {"size", "preset", "sampler", "num_inference_steps", "free_scale", "tile", "compile"}
    assert read_options(["size=tiny"], ["audioldm_vc2"]) == {"audioldm_vc2": {"size": "tiny"}}
    assert issubclass(RegisteredSources, IndependentSources)


def test_a_number_of_the_video_alone_stands_in_parentheses() -> None:
    fvd = {"metric": "fvd.x", "signature": "fvd", "value": 7.0, "stderr": None}
    fad = {"metric": "fad.x", "signature": "fad", "stderr": None}
    layout = pivot(
        [
            record(system="pair", **fvd),
            record(system="pair", value=1.0, **fad),
            record(system="pair_v2a", video_of="pair", **fvd),
            record(system="pair_v2a", video_of="pair", value=2.0, **fad),
            record(system="other", **fvd),
            record(system="other", value=1.0, **fad),
        ]
    )
    rows = [row.to_text() for row in layout.table]
    shown = {row["system"]: (row["fvd.x ↑"], row["fad.x ↑"]) for row in rows}
    assert shown == {
        "other": ("7.000", "1.000"),
        "pair": ("7.000", "1.000"),
        "pair_v2a": ("(7.000)", "2.000"),
    }
    assert layout.notes
    assert not pivot([record(system="pair", **fvd), record(system="other", **fvd)]).notes


@pytest.mark.e2e
def test_begun_before_its_video_model_it_goes_on_with_what_is_there(tmp_path: Path, alone: list[str]) -> None:
    stored(tmp_path, cascade(), num=1)
    stored(tmp_path, tiny(), num=2)
    store = stored(tmp_path, cascade())
    assert digests(store) == alone
    assert "video_of" not in store.record(0).notes


@pytest.mark.thorough
@pytest.mark.e2e
def test_cascades_beside_their_pair_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    systems = [word for name in ("vc2_specvqgan", "vc2_difffoley", "auffusion_vc2") for word in ("-s", name)]
    small = ["size=tiny", "num_inference_steps=2", "sound_num_inference_steps=2"]
    options = [word for option in small for word in ("--set", option)]
    done = mmbench_here(
        capsys,
        *("run", *systems, *options, "-n", "2", "--device", "cpu", "--out", tmp_path, "--format", "json"),
        *("-m", "fvd_bounce", "-m", "ib_bounce_tv", "-m", "ib_bounce_av"),
    )
    assert done.returncode == 0, done.stderr
    records = [row["record"] for row in json.loads(done.stdout)]
    assert {r["weights"] for r in records} == {"tiny"}
    assert [r["video_of"] for r in records[:3]] == ["auffusion_vc2", "auffusion_vc2", ""]
    for metric, same in (("fvd_bounce", True), ("ib_bounce_tv", True), ("ib_bounce_av", False)):
        values = [r["value"] for r in records if r["metric"].startswith(f"{metric}.")]
        assert len(set(values)) == (1 if same else 3), metric
    table = mmbench_here(capsys, "table", "--out", tmp_path)
    assert table.stdout.partition("\n\n")[0].count("(") == 2 * 2  # two numbers of two cascades
    assert "( ): the number of another system" in table.stdout
    sample = next(tmp_path.glob("vc2_difffoley-*/samples/000001.json"))
    (base,) = tmp_path.glob("auffusion_vc2-*")
    assert json.loads(sample.read_text())["notes"]["video_of"] == base.name

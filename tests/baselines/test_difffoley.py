"""Diff-Foley: released names and sizes, checkpoints, the sound of clips; its outputs are in tests/conformance."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from mmbench.baselines.models.difffoley import checkpoints, mel, model, networks
from mmbench.baselines.models.difffoley.cavp import frames_for_cavp
from mmbench.baselines.models.difffoley.sampling import SCHEDULE, Sampling, solver
from mmbench.baselines.models.difffoley.sound import DiffFoley, eight_seconds
from mmbench.baselines.parts.autoencoder_names import autoencoder_config
from mmbench.baselines.parts.loading import Parts
from mmbench.errors import IntegrityError, MMBenchError, NonFiniteError, UsageError
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.types import Clip
from tests.conformance.harness import Fixture

MANIFESTS = {
    "difffoley_cavp": "difffoley_cavp.json",
    "difffoley_ldm": "difffoley_ldm.json.gz",
    "difffoley_classifier": "difffoley_double_guidance_classifier.json",
}
COUNTS = {"unet": 859_520_964, "vae": 83_653_863, "classifier": 11_450_753, "cavp": 31_634_496 + 2049 * 512}
BOUNCE = make_dataset("bounce")
REQUESTS = make_requests(BOUNCE, 3, seed=0)
CLIPS = [BOUNCE.real(request, "real").clip for request in REQUESTS]


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(mel, "ITERATIONS", 1)


def foley(**options: Any) -> DiffFoley:
    """Diff-Foley at tiny size, in two steps."""
    return DiffFoley(dataset=BOUNCE, device="cpu", **{"size": "tiny", "num_inference_steps": 2, **options})


@pytest.fixture(scope="module")
def tiny() -> DiffFoley:
    return foley()


def released(fixtures_folder: Path, checkpoint: str) -> dict[str, Tensor]:
    """A released checkpoint's names and shapes, without values."""
    data = (fixtures_folder / "manifests" / MANIFESTS[checkpoint]).read_bytes()
    shapes = json.loads(gzip.decompress(data) if MANIFESTS[checkpoint].endswith(".gz") else data)["shapes"]
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


def full_size(checkpoint: str) -> dict[str, Any]:
    """The networks of a checkpoint at full size, without values."""
    with torch.device("meta"):
        found = {name: part for name, part in checkpoints.PARTS.items() if part.checkpoint == checkpoint}
        return {name: model.FULL[name][0](**model.FULL[name][1]) for name in found}


@pytest.mark.parametrize("checkpoint", MANIFESTS)
def test_every_tensor_of_the_released_checkpoint_is_accounted_for(checkpoint: str, fixtures_folder: Path) -> None:
    state, found = released(fixtures_folder, checkpoint), full_size(checkpoint)
    assert checkpoints.distribute(state, found, "all") == []
    for name in found.keys() & COUNTS:
        assert sum(p.numel() for p in found[name].parameters()) == COUNTS[name]
    prefixes = [checkpoints.PARTS[name].prefix for name in found]
    read = [name for name in state if name.startswith(tuple(prefixes)) and not checkpoints.UNREAD.fullmatch(name)]
    assert len(read) == sum(len(network.state_dict()) for network in found.values())
    for name in (read[0], read[-1]):
        with pytest.raises(MMBenchError, match="some file lacks 1 tensors and holds 0"):
            checkpoints.distribute({k: v for k, v in state.items() if k != name}, found, "some file")
        with pytest.raises(MMBenchError, match="some file is"):
            checkpoints.distribute({**state, name: torch.empty(7, 7, device="meta")}, found, "some file")
        surplus = {f"{name}.surplus": torch.empty(1), "model_ema.decay": torch.empty(1)}
        assert checkpoints.distribute({**state, **surplus}, found, "all") == sorted(surplus)


def test_the_encoder_alone_has_the_published_size() -> None:
    encoder = full_size("difffoley_cavp")["cavp"].video_encoder
    assert sum(p.numel() for p in encoder.parameters()) == 31_634_496


@pytest.mark.parametrize(
    "option", [{"legacy": True}, {"use_spatial_transformer": False}, {"num_head_channels": 32}, {"num_classes": 10}]
)
def test_options_without_counterpart_are_refused(option: dict[str, Any]) -> None:
    for config, sizes in (
        (networks.unet_config, networks.UNET),
        (networks.classifier_config, networks.CLASSIFIER),
    ):
        with pytest.raises(UsageError, match="no counterpart"):
            config({**sizes, **option})


Write = Callable[[str, Any], Path]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Put a checkpoint where its name is looked for."""

    def put(name: str, held: Any) -> Path:
        path = tmp_path / f"{name}.ckpt"
        torch.save(held, path)
        monkeypatch.setenv(f"MMBENCH_WEIGHTS_{name.upper()}", str(path))
        return path

    return put


def test_released_files_are_read_into_their_networks(
    fixtures_folder: Path, write: Write, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Small checkpoints under the released names, each with something that no network has."""
    names = {
        "cavp": "difffoley_cavp_small",
        "condition": "difffoley_video_cond_encoder",
        "unet": "difffoley_unet_small",
        "vae": "vc2_autoencoder_small",
        "classifier": "difffoley_alignment_classifier_small",
    }
    fixtures = {part: Fixture(fixtures_folder / name) for part, name in names.items()}
    sizes = {part: fixture.config["constructor"] for part, fixture in fixtures.items()}
    sizes["unet"] = networks.unet_config(sizes["unet"])
    sizes["vae"] = autoencoder_config(sizes["vae"]["ddconfig"], sizes["vae"]["embed_dim"])
    sizes["classifier"] = networks.classifier_config(sizes["classifier"])
    monkeypatch.setattr(model, "FULL", {part: (kind, sizes[part]) for part, (kind, _) in model.FULL.items()})
    states: dict[str, dict[str, Tensor]] = {name: {} for name in MANIFESTS}
    for part, fixture in fixtures.items():
        own = checkpoints.PARTS[part]
        prefix = "module." if part == "cavp" else "" if part == "classifier" else own.prefix
        states[own.checkpoint] |= {f"{prefix}{name}": value for name, value in fixture.weights().items()}
    for name, state in states.items():
        write(name, {"epoch": 3, "state_dict": {**state, "betas": torch.ones(1), "model_ema.decay": torch.ones(1)}})
    made = model.DiffFoleyModel({name: Parts(name) for name in MANIFESTS}, Sampling())
    assert caplog.text.count("holds 1 tensors that nothing reads, first model_ema.decay") == len(MANIFESTS)
    unet, cavp, condition, classifier = (fixtures[part] for part in ("unet", "cavp", "condition", "classifier"))
    with torch.no_grad():
        unet.check("eps", made.epsilon(*(unet.input(name) for name in ("x", "timesteps", "context"))))
        cavp.check("features", made.cavp(cavp.input("video")))
        condition.check("context", made.condition(condition.input("feats")))
        classifier.check(
            "prob", made.classifier(*(classifier.input(n) for n in ("x", "timesteps", "video_feat"))).sigmoid()
        )


def test_weights_that_are_not_here_are_named_before_anything_is_made() -> None:
    with pytest.raises(MMBenchError, match=r"cavp_epoch66\.ckpt(.|\n)*mmbench weights fetch difffoley_cavp"):
        DiffFoley(dataset=BOUNCE)


def test_damaged_and_changed_and_wrong_files_are_refused(write: Write) -> None:
    networks_of = {"cavp": model.CAVP(2, 16)}
    path = write("difffoley_cavp", {"state_dict": networks_of["cavp"].state_dict()})
    checkpoints.load("difffoley_cavp", networks_of)
    write("difffoley_cavp", {"state_dict": model.CAVP(2, 16).state_dict()})
    with pytest.raises(IntegrityError, match=r"cavp\.ckpt has sha256(.|\n)*expected: sha256(.|\n)*\.sha256"):
        checkpoints.load("difffoley_cavp", networks_of)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(IntegrityError, match=r"cavp\.ckpt is cut off(.|\n)*a whole file(.|\n)*SimianLuo/Diff-Foley"):
        checkpoints.load("difffoley_cavp", networks_of)
    lacks = r"cavp\.ckpt lacks 320(.|\n)*SimianLuo/Diff-Foley(.|\n)*weights fetch"
    for other, said in (
        ({"state_dict": {"weight": torch.ones(2)}}, lacks),
        (torch.ones(2), r"cavp\.ckpt holds a Tensor"),
    ):
        write("difffoley_cavp", other)
        Path(f"{path}.sha256").unlink(missing_ok=True)
        with pytest.raises(MMBenchError, match=said):
            checkpoints.load("difffoley_cavp", networks_of)


@pytest.mark.e2e
def test_sounds_have_the_datasets_format_and_do_not_know_their_batch(tiny: DiffFoley) -> None:
    together, alone = tiny.sound(REQUESTS, CLIPS), tiny.sound(REQUESTS[2:], CLIPS[2:])
    assert [(wave.shape, wave.dtype) for wave in together] == [((32000,), np.float32)] * 3
    assert all(0 < np.abs(wave).max() <= 1 for wave in together)
    np.testing.assert_array_equal(together[2], alone[0])
    assert not np.array_equal(together[0], together[1])
    assert tiny.weights == "tiny"


@pytest.mark.e2e
def test_tiles_are_filled_up(tiny: DiffFoley, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a GPU: always as many go through the networks, and what they are filled up with is dropped."""
    tiled = foley(tile=2)
    vars(tiled).update(_place="a GPU", _model=tiny._model)
    seen: list[int] = []
    epsilon = tiny._model.epsilon
    monkeypatch.setattr(tiny._model, "epsilon", lambda x, t, c: seen.append(len(x)) or epsilon(x, t, c))
    three, one = tiled.sound(REQUESTS, CLIPS), tiled.sound(REQUESTS[2:], CLIPS[2:])
    assert [len(three), len(one), set(seen)] == [3, 1, {4}]  # two clips, each with and without condition
    np.testing.assert_array_equal(three[2], one[0])


def test_the_classifier_sees_the_whole_clip_and_the_network_eight_seconds(tiny: DiffFoley) -> None:
    made, alone = tiny._model, foley(classifier_scale=0.0)._model
    assert alone.classifier is None
    generator = torch.Generator().manual_seed(0)
    features, noise = torch.randn(1, 33, 16, generator=generator), torch.randn(1, *model.LATENT, generator=generator)
    other = torch.cat([features[:, :32], -features[:, 32:]], 1)
    made.classifier.classifier.weight.data.mul_(100)  # untrained, it hardly matters
    try:
        guided = made.sample(features, noise)
        assert not torch.equal(guided, made.sample(other, noise))
    finally:
        made.classifier.classifier.weight.data.div_(100)
    unguided = alone.sample(features, noise)
    assert torch.equal(unguided, alone.sample(other, noise))
    assert not torch.equal(unguided, guided)
    assert not torch.equal(unguided, alone.sample(other.flip(1), noise))


@pytest.mark.e2e
def test_double_guidance_changes_the_sound_from_the_same_noise(tiny: DiffFoley) -> None:
    (guided,), (unguided,) = (s.sound(REQUESTS[:1], CLIPS[:1]) for s in (tiny, foley(classifier_scale=0.0)))
    assert not np.array_equal(guided, unguided)


def test_the_record_says_what_decides_the_sound(tiny: DiffFoley) -> None:
    spec = tiny.spec()
    assert spec["components"] == {**dict.fromkeys(MANIFESTS, "tiny"), "dtype": "float32", "tile": 8}
    assert spec["clip"] == "clip tiled to 8.2 s, first 2 s kept"
    published_sampling = {"num_inference_steps": 25, "guidance_scale": 4.5, "classifier_scale": 50.0}
    assert DiffFoley(dataset=BOUNCE, size="tiny").spec()["sampling"] == {
        "sampler": "dpmsolver++2m",
        **published_sampling,
    }
    specs = [spec, *(foley(**{name: value}).spec() for name, value in OTHER.items())]
    assert len({json.dumps(s, sort_keys=True) for s in specs}) == len(specs)
    assert "difffoley_classifier" not in foley(classifier_scale=0.0).spec()["components"]
    assert DiffFoley(dataset=BOUNCE, weights="random").weights == "random"


OTHER = {
    "num_inference_steps": 3,
    "guidance_scale": 2.0,
    "classifier_scale": 5.0,
    "inversion_sample_rate": 22050,
    "dtype": "bfloat16",
    "tile": 1,
}


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("size", "huge"), ("weights", "fake"), ("dtype", "float8"), ("inversion_sample_rate", 44100)),
        *(("num_inference_steps", 1), ("tile", 0)),
    ],
)
def test_unknown_options_are_refused(option: str, value: Any) -> None:
    with pytest.raises(UsageError, match=str(value)):
        foley(**{option: value})


class Other:
    """A dataset of another format."""

    name = "other"

    def __init__(self, **changed: Any) -> None:
        self.format = replace(BOUNCE.format, **changed)


def test_other_rates_and_lengths(tiny: DiffFoley, monkeypatch: pytest.MonkeyPatch) -> None:
    other: Any = DiffFoley(dataset=Other(sample_rate=22050, num_samples=40000), device="cpu", size="tiny")  # type: ignore[arg-type]
    tone = np.sin(np.arange(511 * 256) * 2 * np.pi * 500 / 16000).astype(np.float32) * 3
    wave = other._fit(tone)
    assert (wave.shape, wave.dtype, float(np.abs(wave).max())) == ((40000,), np.float32, 1.0)
    spectrum = np.abs(np.fft.rfft(wave))
    assert spectrum.argmax() * 22050 / 40000 == pytest.approx(500, abs=1)
    with pytest.raises(UsageError, match=r"10 s of sound(.|\n)*8\.176 s"):
        DiffFoley(dataset=Other(num_samples=160000), size="tiny")  # type: ignore[arg-type]
    with pytest.raises(NonFiniteError):
        tiny._fit(np.full(511 * 256, np.nan, np.float32))


@pytest.mark.parametrize(("fps", "num_frames"), [(8, 16), (Fraction(30000, 1001), 60), (3, 6), (4, 40), (24, 1)])
def test_a_short_clip_starts_again_and_a_long_one_is_cut(fps: Any, num_frames: int) -> None:
    numbered = np.arange(num_frames, dtype=np.uint8)[:, None, None, None].repeat(3, 3)
    frames = eight_seconds(Clip(numbered, fps, np.zeros(0, np.float32), 16000))[:, 0, 0, 0]
    expected = [int(Fraction(j, 4) * Fraction(fps).limit_denominator(10**6)) % num_frames for j in range(33)]
    assert frames.tolist() == expected


def test_frames_are_scaled_whole_and_keep_flat_colours() -> None:
    video = np.zeros((2, 30, 50, 3), np.uint8)
    video[:, :, 25:] = (255, 51, 0)
    frames = frames_for_cavp(video)
    assert frames.shape == (2, 3, 224, 224)
    torch.testing.assert_close(frames[0, :, 5, 200], torch.tensor([1.0, 0.2, 0.0]))
    assert frames[0, :, 5, 20].tolist() == [0, 0, 0]


def test_upright_frames_change_their_width_before_their_height() -> None:
    from PIL import Image

    frame = np.random.default_rng(0).integers(0, 256, (256, 144, 3), dtype=np.uint8)
    wide = Image.fromarray(frame).resize((224, 256), Image.Resampling.BILINEAR)
    expected = np.asarray(wide.resize((224, 224), Image.Resampling.BILINEAR))
    found = (frames_for_cavp(frame[None])[0] * 255).round().to(torch.uint8).permute(1, 2, 0)
    assert np.array_equal(found, expected)


def test_the_solver_steps_at_even_times_that_are_not_rounded() -> None:
    found = solver(25)
    assert found.alphas_cumprod[0].dtype == torch.float32
    times = [step[0] for step in found.times()]
    assert times[0] == 1
    assert np.diff(times) == pytest.approx([-0.999 / 25] * 24, abs=1e-6)
    assert SCHEDULE.alphas_cumprod[0] == pytest.approx(1 - 0.00085)


@pytest.mark.e2e
def test_a_tone_comes_back_at_its_pitch_or_lower_by_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mel, "ITERATIONS", 8)
    tone = 0.2 * np.sin(np.arange(16000) * 2 * np.pi * 1000 / 16000).astype(np.float32)
    image = mel.wave_to_image(tone)
    for rate, heard in ((16000, 1000), (22050, 1000 * 16000 / 22050)):
        wave = mel.image_to_wave(image, np.random.default_rng(0), rate)
        assert (wave.dtype, len(wave)) == (np.float32, 256 * (image.shape[1] - 1))
        assert np.abs(np.fft.rfft(wave)).argmax() * 16000 / len(wave) == pytest.approx(heard, abs=25)
        np.testing.assert_array_equal(wave, mel.image_to_wave(image, np.random.default_rng(0), rate))
        assert not np.array_equal(wave, mel.image_to_wave(image, np.random.default_rng(1), rate))

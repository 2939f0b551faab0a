"""MM-Diffusion as a system: sizes, windows that move per sample, presets, checkpoints, the way through the store."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.baselines.kinds.pair import Sampling
from mmbench.baselines.models.mm_diffusion.blocks import CrossAttention, repeat
from mmbench.baselines.models.mm_diffusion.pair import MMDiffusionPair, load_pair, network
from mmbench.baselines.models.mm_diffusion.unet import TINY, CoupledUNet, CoupledUNetConfig
from mmbench.baselines.parts.options import CommonOptions
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.residual import average
from mmbench.mmdisco.training import train
from mmbench.mmdisco.training_config import TrainConfig
from mmbench.registry import lookup
from mmbench.runs.generate import generate
from mmbench.runs.spec import make_runspec
from mmbench.runs.store import SampleStore, read_manifest
from mmbench.system_names import make_system
from mmbench.types import Clip, ClipFormat, Item, Prompt, Request
from mmbench.weights.locations import locate

SMALL = ClipFormat(num_frames=8, height=16, width=16, fps=10.0, num_samples=1024, sample_rate=16000)
REQUESTS = [Request(Prompt(f"{i:05d}", ""), i, 3) for i in range(2)]
QUICK = Sampling(sampler="mmdisco", num_inference_steps=3)
SMALL_OPTIONS = CommonOptions("tiny", "float32")


class Unconditional:
    """A dataset of empty prompts, as far as a system looks at it."""

    name = "landscape_ind"

    def __init__(self, form: ClipFormat = SMALL, name: str = "landscape_ind") -> None:
        self.format, self.name = form, name

    def spec(self) -> dict[str, Any]:
        return {}


def system(**options: Any) -> Any:
    guidance = options.pop("name", "mm_diffusion")
    return make_system(
        guidance, dataset=Unconditional(), **{"device": "cpu", "size": "tiny", "weights": "random"} | options
    )


@pytest.fixture(scope="module")
def pair() -> MMDiffusionPair:
    return load_pair(SMALL_OPTIONS, {"unet": ""}, SMALL, QUICK, "cpu")


@pytest.fixture(scope="module")
def tensors() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(0)
    return torch.randn(2, 8, 3, 16, 16, generator=g), torch.randn(2, 1, 1024, generator=g), torch.tensor([700, 20])


@pytest.mark.parametrize(
    ("manifest", "module", "count"),
    [("mmdiffusion_base.json.gz", "unet", 133_675_524), ("mmdiffusion_sr_64_256.json", "sr", 311_027_910)],
)
def test_full_size_networks_have_the_released_tensors(
    fixtures_folder: Path, manifest: str, module: str, count: int
) -> None:
    from mmbench.baselines.models.mm_diffusion.super_resolution import SuperResolutionConfig, SuperResolutionUNet

    with torch.device("meta"):
        model = CoupledUNet(CoupledUNetConfig()) if module == "unet" else SuperResolutionUNet(SuperResolutionConfig())
    raw = (fixtures_folder / "manifests" / manifest).read_bytes()
    shapes = json.loads(gzip.decompress(raw) if manifest.endswith("gz") else raw)["shapes"]
    assert {name: list(value.shape) for name, value in model.state_dict().items()} == shapes
    assert sum(p.numel() for p in model.parameters()) == count


@pytest.mark.parametrize("shift", [0, 3])
def test_a_frame_hears_its_window_and_a_stretch_sees_its(shift: int) -> None:
    torch.manual_seed(0)
    attention = CrossAttention(32, 16, window=2, shifted=True).eval()
    video, audio = torch.randn(1, 6, 2, 2, 32), torch.randn(1, 24, 1, 32)
    attention.v_norm = attention.a_norm = torch.nn.Identity()  # type: ignore[assignment]  # norms mix all times
    with torch.no_grad():
        before = attention(video, audio, torch.tensor([shift]))
        louder, brighter = audio.clone(), video.clone()
        louder[:, 4:8] += 1  # stretch 1 of 6
        brighter[:, 1] += 1  # frame 1
        heard = attention(video, louder, torch.tensor([shift]))[0] - before[0]
        seen = attention(brighter, audio, torch.tensor([shift]))[1] - before[1]
    changed = heard.abs().amax((0, 2, 3, 4)) > 1e-7
    assert changed.nonzero().flatten().tolist() == sorted(((1 - shift) % 6, (0 - shift) % 6))
    changed = seen[0].unflatten(0, (6, 4)).abs().amax((1, 2, 3)) > 1e-7
    assert changed.nonzero().flatten().tolist() == sorted(((1 - shift) % 6, (0 - shift) % 6))


def test_every_sample_moves_its_own_windows(pair: MMDiffusionPair, tensors: Any) -> None:
    video, audio, t = tensors
    shifts = pair.unet.draw_shifts([np.random.default_rng(i) for i in range(2)], 8)
    both = pair.unet(video, audio, t, shifts)
    for i in range(2):
        one = slice(i, i + 1)
        alone = pair.unet(video[one], audio[one], t[one], shifts[one])
        torch.testing.assert_close(alone[0], both[0][one], rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone[1], both[1][one], rtol=1e-4, atol=1e-5)
    exchanged = pair.unet(video, audio, t, shifts.flip(0))
    assert (exchanged[0] - both[0]).abs().max() > 1e-4
    assert (exchanged[1] - both[1]).abs().max() > 1e-4


def test_shifts_are_uniform_and_a_row_knows_its_generator_alone(pair: MMDiffusionPair) -> None:
    windows = pair.unet.windows()
    assert windows == [1, 4, 8, 8, 8, 4, 4, 1, 1]  # encoder, then decoder; the middle does not move
    rows = pair.unet.draw_shifts([np.random.default_rng(i) for i in range(400)], 10)
    assert torch.equal(rows[7:8], pair.unet.draw_shifts([np.random.default_rng(7)], 10))
    for column, window in zip(rows.T, windows, strict=True):
        counts = np.bincount(column, minlength=11 - window)
        assert len(counts) == 11 - window
        assert counts.min() > 0.4 * 400 / len(counts)
    assert not pair.unet.draw_shifts([np.random.default_rng(0)], 8)[:, 2:5].any()  # a window of all frames stays


@pytest.mark.e2e
@pytest.mark.thorough
def test_the_network_is_one_graph_to_a_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = partial(torch.compile, backend="eager", fullgraph=True)  # a break in the graph is an error
    monkeypatch.setattr(torch, "compile", whole)
    eager, compiled = system(), system(compile=True)
    assert compiled.spec()["components"] == {**eager.spec()["components"], "compile": True}
    for request in REQUESTS[:2]:
        expected, found = (made.pair().epsilon_for([request]) for made in (eager, compiled))
        g = torch.Generator().manual_seed(0)
        arguments = torch.randn(1, 8, 3, 16, 16, generator=g), torch.randn(1, 1, 1024, generator=g), torch.tensor([700])
        for a, b in zip(expected(*arguments, None), found(*arguments, None), strict=True):
            assert torch.equal(a, b)


def test_shifts_are_drawn_to_where_the_network_is() -> None:
    with torch.device("meta"):
        elsewhere = CoupledUNet(TINY)
    assert elsewhere.draw_shifts([np.random.default_rng(0)], 10).device.type == "meta"


def test_averaging_undoes_repeating() -> None:
    rows = torch.randn(2, 3, 4, 5, 6)
    assert torch.equal(average(repeat(rows, (2, 2)), (2, 2)), rows)


def test_the_presets_are_those_of_both_repositories(pair: MMDiffusionPair) -> None:
    seen: list[int] = []

    def predict(state: Any, t: torch.Tensor, step: int) -> Any:
        seen.append(int(t[0]))
        return tuple(torch.zeros_like(z) for z in state)

    for name, plus_plus in (("mmdisco", True), ("mm-diffusion", False)):
        solver = MMDiffusionPair(pair.unet, SMALL, Sampling(name, 20)).sampler()
        assert (solver.order, solver.method, solver.spacing) == (3, "singlestep", "logSNR")
        assert (solver.predict_sample, solver.thresholding) == (plus_plus, plus_plus)
        solver.sample(predict, (torch.zeros(1, 2), torch.zeros(1, 2)))
    times = [999, 949, 898, 843, 784, 721, 652, 576, 492, 399, 302, 211, 138, 85, 51, 30, 16, 8, 3, 1]
    assert seen == times * 2


@pytest.mark.e2e
def test_two_samples_through_the_store_do_not_depend_on_their_batch(tmp_path: Path) -> None:
    made = system()
    store = SampleStore.create(tmp_path, make_runspec(made, Unconditional(), 3, "mm_diffusion", "landscape_ind"))  # type: ignore[arg-type]
    generate(store, made, REQUESTS, batch_size=2)
    assert store.status(2).present == [0, 1]
    manifest = read_manifest(store.folder)
    assert manifest.weights == "tiny"
    assert manifest.spec["system"]["sampling"]["sampler"] == "mmdisco"
    clips = [store.source(i).load() for i in range(2)]
    assert clips[0].size() == "8x16x16@10+1024@16000"
    assert clips[0].digest() != clips[1].digest()
    alone = next(iter(system().generate(REQUESTS[1:])))
    assert alone.video_digest() == clips[1].video_digest()
    assert alone.audio_digest() == clips[1].audio_digest()


@pytest.mark.e2e
def test_guided_and_unguided_start_from_the_same_noise(pair: MMDiffusionPair) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(pair.discriminator("res_mlp", channels=32, num_blocks=1)).eval()

    def guide(scale: float) -> Any:
        return lambda text, unconditional: Guidance(discriminator, (scale, scale))

    base, still, guided = (pair.sample(REQUESTS, g) for g in (None, guide(0.0), guide(1.0)))
    assert all(torch.equal(a, b) for a, b in zip(base, still, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(base, guided, strict=True))


def test_with_random_weights_an_untrained_discriminator_guides_and_says_so() -> None:
    guided = system(name="mm_diffusion+mmdisco")
    assert guided.weights == "tiny"
    assert guided.spec()["mmdisco"]["weights"] == "random"
    with pytest.raises(MMBenchError, match="mmdiffusion_landscape"):
        make_system("mm_diffusion", dataset=Unconditional(ClipFormat(16, 64, 64, 10.0, 25600, 16000)))


def test_real_items_come_back_as_they_were(pair: MMDiffusionPair) -> None:
    rng = np.random.default_rng(0)
    video = rng.integers(0, 256, (8, 16, 16, 3), dtype=np.uint8)
    clip = Clip(video, 10.0, (rng.integers(-32768, 32768, 1024) / 32768).astype(np.float32), 16000)
    x, y, *texts = pair.encode(Item("a", REQUESTS[0].prompt, clip))
    assert (x.shape, y.shape, texts) == ((8, 3, 16, 16), (1, 1024), [None, None])
    assert (x.min(), x.max()) == (-1.0, 1.0)
    assert pair.decode(x[None], y[None], REQUESTS[:1])[0].digest() == clip.digest()


@pytest.mark.e2e
def test_super_resolution_enlarges_four_times_with_one_noise_per_clip() -> None:
    form = replace(SMALL, height=8, width=8)
    pair = load_pair(SMALL_OPTIONS, {"unet": "", "super_resolution": ""}, form, QUICK, "cpu")
    video, audio = torch.zeros(1, 5, 3, 8, 8), torch.zeros(1, 1, 1024)
    (first,) = pair.decode(video, audio, REQUESTS[:1])
    (second,) = pair.decode(video[:, :1], audio, REQUESTS[1:])
    assert first.video.shape == (5, 32, 32, 3)
    assert all((frame == first.video[0]).mean() > 0.99 for frame in first.video)  # batches of 4 and 1 may round apart
    assert (first.video[:1] != second.video).any()


def test_checkpoints_are_found_under_either_spelling(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MMBenchError, match=r"landscape\.pt or mmdiffusion/Landscape\.pt"):
        locate("mmdiffusion_landscape")
    for folder in (tmp_path / "checkpoints", tmp_path / "weights"):
        for name in ("Landscape.pt", "landscape.pt"):
            (folder / "mmdiffusion").mkdir(parents=True, exist_ok=True)
            (folder / "mmdiffusion" / name).write_bytes(b"")
            assert locate("mmdiffusion_landscape") == folder / "mmdiffusion" / name


def test_checkpoints_are_loaded_strictly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "landscape.pt"
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.setenv("MMBENCH_WEIGHTS_MMDIFFUSION_LANDSCAPE", str(file))
    state = CoupledUNet(TINY).half().state_dict()
    torch.save(state, file)
    loaded = network("real", "mmdiffusion_landscape", CoupledUNet, TINY, None).state_dict()
    assert all(torch.equal(loaded[name], value.float()) for name, value in state.items())
    assert {value.dtype for value in loaded.values()} == {torch.float32}
    file.with_name("landscape.pt.sha256").unlink()
    del state["middle_blocks.1.v_qkv.weight"]
    torch.save(state, file)
    with pytest.raises(MMBenchError, match=r"middle_blocks\.1\.v_qkv\.weight"):
        network("real", "mmdiffusion_landscape", CoupledUNet, TINY, None)


@pytest.mark.e2e
@pytest.mark.parametrize("dataset", ["landscape", "aistpp"])
def test_the_released_discriminator_is_taken_for_what_it_is(
    dataset: str, fixtures_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file with the official names and sizes, and random numbers, as +mmdisco-release of either dataset."""
    registered = {"landscape": "landscape_ind", "aistpp": "aistpp"}[dataset]
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    base, file = tmp_path / "base.pt", tmp_path / "released.pt"
    torch.save({"the base model": torch.zeros(1)}, base)  # which is not read here
    monkeypatch.setenv(f"MMBENCH_WEIGHTS_MMDIFFUSION_{dataset.upper()}", str(base))
    form = ClipFormat(16, 64, 64, 10.0, 25600, 16000)

    def released() -> Any:
        return make_system("mm_diffusion+mmdisco-release", dataset=Unconditional(form, registered), device="cpu")

    with pytest.raises(MMBenchError, match=f"mmbench weights fetch mmdisco_mmdiffusion_{dataset}"):
        released().spec()
    monkeypatch.setenv(f"MMBENCH_WEIGHTS_MMDISCO_MMDIFFUSION_{dataset.upper()}", str(file))
    manifest = fixtures_folder / "manifests" / "mmdisco_disc_ind_c128_l2_released.json"
    g = torch.Generator().manual_seed(0)
    shapes = json.loads(manifest.read_text())["shapes"]
    torch.save({name: torch.randn(shape, generator=g) * 0.02 for name, shape in shapes.items()}, file)
    system = released()
    assert system.spec()["mmdisco"]["weights"] == hashlib.sha256(file.read_bytes()).hexdigest()[:32]
    small = load_pair(SMALL_OPTIONS, {"unet": ""}, SMALL, QUICK, "cpu")
    monkeypatch.setattr(system, "_load", lambda: small)
    discriminator = system._discriminator
    assert sum(p.numel() for p in discriminator.parameters()) == 12_682_241
    assert discriminator.config.video_frames_first
    guided = next(iter(system.generate(REQUESTS[:1])))
    (alone,) = small.decode(*small.sample(REQUESTS[:1]), REQUESTS[:1])
    assert not np.array_equal(guided.audio, alone.audio)  # by little: the numbers are random and small

    tampered = bytearray(file.read_bytes())
    tampered[len(tampered) // 2] ^= 1
    file.write_bytes(tampered)
    with pytest.raises(IntegrityError, match=r"released\.pt has sha256"):
        released().spec()
    file.with_name("released.pt.sha256").unlink()
    del shapes["last_linear.bias"]
    torch.save({name: torch.zeros(shape) for name, shape in shapes.items()}, file)
    with pytest.raises(MMBenchError, match=r"last_linear\.bias"):
        small.released(file)


@pytest.mark.parametrize(
    ("dataset", "options", "hint"),
    [
        (Unconditional(), {"sampler": "ddpm"}, "mmdisco, mm-diffusion"),
        (Unconditional(), {"size": "huge"}, "full, tiny"),
        (Unconditional(), {"dtype": "float8"}, "bfloat16"),
        (Unconditional(), {"num_inference_steps": 2}, "from 3"),
        (Unconditional(name="bounce"), {"size": "full", "weights": "real"}, "--dataset landscape_ind"),
        (Unconditional(replace(SMALL, height=12)), {}, "divisible by 8"),
    ],
    ids=["sampler", "size", "dtype", "steps", "dataset", "format"],
)
def test_wrong_options_are_refused(dataset: Any, options: dict[str, Any], hint: str) -> None:
    with pytest.raises(UsageError) as error:
        make_system("mm_diffusion", dataset=dataset, **{"size": "tiny", "weights": "random"} | options)
    assert hint in str(error.value)
    assert lookup("system", "mm_diffusion").guidable


@pytest.mark.e2e
def test_a_discriminator_trains_on_the_coupled_prediction(
    pair: MMDiffusionPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = pair.draw(REQUESTS)
    calls: list[Sequence[int]] = []
    predict = pair.epsilon

    def epsilon(x_t: torch.Tensor, y_t: torch.Tensor, t: torch.Tensor, condition: Any) -> Any:
        calls.append(x_t.shape)
        return predict(x_t, y_t, t, condition)

    monkeypatch.setattr(pair, "epsilon", epsilon)
    config = TrainConfig(pair.discriminator("res_mlp", channels=32, num_blocks=1), batch_size=2, steps=2)
    result = train(config, pair, made, made[::-1], tmp_path)
    assert calls == [(2, 8, 3, 16, 16)] * 2
    assert result.losses[-1]["denoising"] > 0

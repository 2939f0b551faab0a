"""I3D and FVD: shapes, padding, preprocessing, reading foreign weights, the extractor's promises, the score."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Callable

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from mmbench.errors import MMBenchError, UsageError
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.extractors.i3d import I3DExtractor
from mmbench.metrics.fvd import FVD
from mmbench.metrics.networks.i3d import I3D, Unit3D, max_pool_same, preprocess_frames, same_padding
from mmbench.metrics.networks.i3d_torchscript import check_against_torchscript, read_state
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip
from mmbench.weights import checkpoints as weights

Renamer = Callable[[str], str]


def random_i3d(bn_eps: float = 1e-3) -> I3D:
    network = I3D(bn_eps)
    fill_randomly(network, "")
    return network


@pytest.fixture(scope="module")
def network() -> I3D:
    return random_i3d()


@pytest.fixture(scope="module")
def frames() -> torch.Tensor:
    """(1, 9, 60, 91, 3) uint8: smooth, moving, neither square nor of even width."""
    t, y, x = np.mgrid[:9, :60, :91]
    waves = [127 + 100 * np.sin((x + 3 * t) / 7 + c) * np.cos(y / 5 - c * t) for c in range(3)]
    return torch.from_numpy(np.stack(waves, axis=-1).astype(np.uint8))[None]


@pytest.fixture(scope="module")
def logits(network: I3D, frames: torch.Tensor) -> torch.Tensor:
    with exact_float32():
        return network(preprocess_frames(frames))


def clip(num_frames: int, seed: int = 0) -> Clip:
    video = np.random.default_rng(seed).integers(0, 256, (num_frames, 24, 32, 3), dtype=np.uint8)
    return Clip(video, 8.0, np.zeros(0, np.float32), 16000)


def test_size() -> None:
    with torch.device("meta"):
        network = I3D()
    assert sum(p.numel() for p in network.parameters()) == 12_697_264
    assert len(network.state_dict()) == 344
    assert sum(isinstance(m, Unit3D) for m in network.modules()) == 57


@pytest.mark.parametrize(("num_frames", "steps"), [(9, 1), (16, 1), (17, 2), (33, 4), (128, 15)])
def test_shapes_of_stages(num_frames: int, steps: int) -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        out = I3D()(
            torch.empty(2, 3, num_frames, 224, 224), lambda name, x: shapes.__setitem__(name, tuple(x.shape[1:]))
        )
    assert out.shape == (2, 400)
    assert shapes["Conv3d_1a_7x7"] == (64, -(-num_frames // 2), 112, 112)
    assert shapes["Mixed_3c"] == (480, -(-num_frames // 2), 28, 28)
    assert shapes["Mixed_4f"][2:] == (14, 14)
    assert shapes["Mixed_5c"][0] == 1024
    assert shapes["avg_pool"] == (1024, steps, 1, 1)


def test_too_few_frames_say_so() -> None:
    with pytest.raises(MMBenchError, match="8 frames"), torch.device("meta"):
        I3D()(torch.empty(1, 3, 8, 224, 224))


@given(st.integers(1, 300), st.integers(1, 9), st.integers(1, 3))
def test_same_padding_is_tensorflows(size: int, kernel: int, stride: int) -> None:
    front, back = same_padding(size, kernel, stride)
    if kernel >= stride:
        assert (size + front + back - kernel) // stride + 1 == -(-size // stride)
    assert 0 <= back - front <= 1


@pytest.mark.parametrize("shape", [(8, 12, 12), (5, 7, 9), (4, 6, 7)])
def test_pooling_pads_like_zeros_in_front_and_behind(shape: tuple[int, int, int]) -> None:
    x = torch.rand(1, 2, *shape)
    padding = [p for n in reversed(shape) for p in same_padding(n, 3, 2)]
    expected = F.max_pool3d(F.pad(x, padding), 3, 2)
    assert torch.equal(max_pool_same(x, (3, 3, 3), (2, 2, 2)), expected)


def test_frames_are_stretched_and_scaled() -> None:
    flat = torch.zeros(1, 2, 30, 50, 3, dtype=torch.uint8)
    flat[0, 1] = 255
    x = preprocess_frames(flat)
    assert x.shape == (1, 3, 2, 224, 224)
    assert x[:, :, 0].add(1).abs().max() < 1e-6
    assert x[:, :, 1].sub(1).abs().max() < 1e-6
    edges = torch.zeros(1, 1, 8, 16, 3, dtype=torch.uint8)
    edges[:, :, :, [0, -1]] = 255  # a crop would lose these columns
    assert preprocess_frames(edges)[0, :, 0, 100, [0, -1]].sub(1).abs().max() < 1e-6


def test_each_frame_is_resized_alone(frames: torch.Tensor) -> None:
    assert torch.equal(preprocess_frames(frames)[:, :, 3:4], preprocess_frames(frames[:, 3:4]))


@pytest.mark.e2e
def test_batch_norm_epsilon_matters(frames: torch.Tensor, logits: torch.Tensor) -> None:
    with exact_float32():
        other = random_i3d(bn_eps=1e-5)(preprocess_frames(frames))
    assert 1e-3 < float((other - logits).abs().max() / logits.abs().max()) < 0.1


@pytest.mark.e2e
def test_jpeg_frames_move_features(network: I3D, frames: torch.Tensor, logits: torch.Tensor) -> None:
    coded = [cv2.imencode(".jpg", f, [cv2.IMWRITE_JPEG_QUALITY, 95])[1] for f in frames[0].numpy()]
    decoded = np.stack([cv2.imdecode(c, cv2.IMREAD_COLOR) for c in coded])
    with exact_float32():
        lossy = network(preprocess_frames(torch.from_numpy(decoded)[None]))
    assert float((lossy - logits).abs().max() / logits.abs().max()) > 1e-3  # why clips are stored without loss


BRANCHES = {
    "b0": "Branch_0/Conv3d_0a_1x1",
    "b1a": "Branch_1/Conv3d_0a_1x1",
    "b1b": "Branch_1/Conv3d_0b_3x3",
    "b2a": "Branch_2/Conv3d_0a_1x1",
    "b2b": "Branch_2/Conv3d_0b_3x3",
    "b3b": "Branch_3/Conv3d_0b_1x1",
}


def hub_name(key: str) -> str:
    """The variable of the TF-Hub graph behind a key, with its misnamed convolution."""
    for branch, name in BRANCHES.items():
        key = key.replace(f".{branch}.", f".{name}.")
    key = key.replace("Mixed_5b.Branch_2/Conv3d_0b_3x3", "Mixed_5b.Branch_2/Conv3d_0a_3x3")
    key = key.replace("logits.conv3d.", "Logits/Conv3d_0c_1x1.conv_3d.")
    key = key.replace(".conv3d.weight", ".conv_3d.w").replace("conv_3d.weight", "conv_3d.w")
    for ours, theirs in {"running_mean": "moving_mean", "running_var": "moving_variance", "bias": "beta"}.items():
        key = key.replace(f".bn.{ours}", f".batch_norm.{theirs}")
    return "RGB/inception_i3d." + key.replace("/", ".")


def hassony_name(key: str) -> str:
    """The key of hassony2/kinetics_i3d_pytorch."""
    names = ("branch_0", "branch_1.0", "branch_1.1", "branch_2.0", "branch_2.1", "branch_3.1")
    for branch, name in zip(BRANCHES, names, strict=True):
        key = key.replace(f".{branch}.", f".{name}.")
    return key.replace("logits", "conv3d_0c_1x1").replace(".bn.", ".batch3d.").replace("Mixed", "mixed")


@pytest.mark.parametrize("rename", [hub_name, hassony_name, str], ids=["tf_hub", "hassony2", "own"])
@pytest.mark.parametrize("order", ["network", "alphabet"])
def test_weights_are_read_under_any_names(network: I3D, rename: Renamer, order: str) -> None:
    state = network.state_dict()
    foreign = {rename(key): value for key, value in state.items()}
    foreign = dict(sorted(foreign.items())) if order == "alphabet" else foreign
    found = read_state(foreign).state_dict()
    assert all(torch.equal(found[key], value) for key, value in state.items())


def test_batch_norm_without_gamma(network: I3D) -> None:
    state = {k: v for k, v in network.state_dict().items() if not k.endswith(("bn.weight", "tracked"))}
    found = read_state(state)
    assert all(m.bn.weight.eq(1).all() for m in found.modules() if isinstance(m, Unit3D))
    assert torch.equal(found.Mixed_5c.b2b.bn.running_var, network.Mixed_5c.b2b.bn.running_var)


@pytest.mark.parametrize(
    ("lost", "reason"),
    [
        ("Mixed_4d.b1b.conv3d.weight", "56 3-d convolutions"),
        ("Mixed_4d.b1b.bn.running_var", "running_var"),
        ("Mixed_4d.b1b.bn.bias", "bias"),
        ("Conv3d_2b_1x1.bn.weight", "weight"),
        ("logits.conv3d.bias", "bias of the logits"),
        ("logits.conv3d.weight", "weight of the logits"),
    ],
)
def test_an_incomplete_file_is_refused(network: I3D, lost: str, reason: str) -> None:
    state = {key: value for key, value in network.state_dict().items() if key != lost}
    with pytest.raises(MMBenchError, match=reason):
        read_state(state)


class Detector(torch.nn.Module):
    """A network called as StyleGAN-V calls its TorchScript."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.detector = network

    def forward(self, x: torch.Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False):
        b, c, t, h, w = x.shape
        y = x.float()
        if rescale:
            y = y / 255 * 2 - 1
        if resize:
            y = y.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w)
            y = F.interpolate(y, [224, 224], mode="bilinear", align_corners=False)
            y = y.reshape(b, t, c, 224, 224).permute(0, 2, 1, 3, 4).contiguous()
        return self.detector(y)


@pytest.fixture(scope="module")
def torchscript(network: I3D, tmp_path_factory: pytest.TempPathFactory) -> torch.jit.ScriptModule:
    file = tmp_path_factory.mktemp("i3d") / "i3d.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that TorchScript is deprecated, and that shapes become constants
        traced = torch.jit.trace(network, torch.zeros(1, 3, 9, 224, 224), check_trace=False)
        torch.jit.script(Detector(traced)).save(str(file))
        return torch.jit.load(str(file))


@pytest.mark.e2e
def test_a_torchscript_is_read_and_compared(torchscript: torch.jit.ScriptModule) -> None:
    assert check_against_torchscript(read_state(torchscript.state_dict()), torchscript) < 1e-5


@pytest.mark.e2e
def test_the_published_file_becomes_an_extractor(
    torchscript: torch.jit.ScriptModule, network: I3D, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "open_torchscript", lambda name: torchscript)
    found = I3DExtractor(device="cpu").network.state_dict()
    assert all(torch.equal(found[key], value) for key, value in network.state_dict().items())


@pytest.mark.e2e
def test_a_network_that_computes_otherwise_is_refused(torchscript: torch.jit.ScriptModule) -> None:
    with pytest.raises(MMBenchError, match="differs from i3d_torchscript"):
        check_against_torchscript(random_i3d(bn_eps=1e-5), torchscript)


def test_random_weights_ignore_the_global_generator(network: I3D) -> None:
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002 - it is the global generator that must not matter
    again, salted = random_i3d(), I3D()
    fill_randomly(salted, "x")
    key = "Mixed_4b.b1b.conv3d.weight"
    assert torch.equal(again.state_dict()[key], network.state_dict()[key])
    assert not torch.equal(salted.state_dict()[key], network.state_dict()[key])


def test_loading_refuses_what_does_not_fit(network: I3D) -> None:
    state = dict(network.state_dict())
    assert load_state(I3D(), {**state, "more": torch.zeros(1)}, "file", extra="leave") == ["more"]
    with pytest.raises(MMBenchError, match=r"logits.conv3d.bias of file is \(3,\)"):
        load_state(I3D(), {**state, "logits.conv3d.bias": torch.zeros(3)}, "file", extra="leave")
    del state["logits.conv3d.bias"]
    with pytest.raises(MMBenchError, match="lacks 1 tensors"):
        load_state(I3D(), state, "file", extra="leave")


def test_extraction_is_exact_float32_and_leaves_settings() -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.fp32_precision
    try:
        matmul.fp32_precision = "tf32"
        with exact_float32():
            assert matmul.fp32_precision == torch.backends.cudnn.conv.fp32_precision == "ieee"
            assert not torch.is_grad_enabled()
        assert matmul.fp32_precision == "tf32"
    finally:
        matmul.fp32_precision = before


@pytest.fixture(scope="module")
def extractor() -> I3DExtractor:
    return I3DExtractor("random", device="cpu", num_frames=9)


@pytest.mark.e2e
def test_extractor_looks_at_the_first_frames_alone(extractor: I3DExtractor) -> None:
    long, other = clip(12), clip(9, seed=1)
    short = Clip(long.video[:9], 8.0, long.audio, 16000)
    together = extractor.extract([long, other])
    assert together[0]["logits"].shape == (400,)
    assert together[0]["logits"].dtype == np.float32
    np.testing.assert_allclose(extractor.extract([short])[0]["logits"], together[0]["logits"], atol=1e-5)
    assert np.abs(together[0]["logits"] - together[1]["logits"]).max() > 1e-2
    with pytest.raises(MMBenchError, match="8 frames"):
        extractor.extract([clip(8)])


def test_spec_names_the_weights() -> None:
    real, random = I3DExtractor(), I3DExtractor("random", salt="a")
    assert real.spec()["weights"] == "bec6519f66ea534e953026b4ae2c65553c17bf105611c746d904657e5860a5e2"
    assert random.spec()["weights"] == "random-a"
    assert real.spec() != I3DExtractor(num_frames=9).spec()
    assert I3DExtractor(device="cpu", batch_size=2).spec() == real.spec()
    with pytest.raises(UsageError, match="no 'tiny' weights"):
        I3DExtractor("tiny")


def test_missing_weights_say_what_to_type(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path))
    monkeypatch.delenv("MMBENCH_WEIGHTS_I3D", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(MMBenchError) as caught:
        I3DExtractor(device="cpu").extract([clip(16)])
    assert caught.value.next == "mmbench weights fetch i3d"


def rows(n: int, seed: int) -> list[dict[str, np.ndarray]]:
    return [{"logits": r} for r in np.random.default_rng(seed).standard_normal((n, 5)).astype(np.float32)]


def test_fvd_is_the_frechet_distance_of_logits() -> None:
    generated, real = rows(40, 0), rows(30, 1)
    score = FVD().score({"i3d": [*generated, None]}, {"i3d": real}, seed=0)
    a, b = (Moments.of(np.stack([f["logits"] for f in side])) for side in (generated, real))
    assert score.value == pytest.approx(frechet_distance(a, b, ddof=0), rel=1e-12)
    assert score.value != pytest.approx(frechet_distance(a, b, ddof=1), rel=1e-3)
    assert (score.num_scored, score.details["num_reference"]) == (40, 30)
    assert score.replicates is not None
    assert score.stderr == pytest.approx(score.replicates.std(ddof=1))
    assert np.array_equal(score.replicates, FVD().score({"i3d": generated}, {"i3d": real}, seed=0).replicates)


def test_fvd_without_clips_has_no_value() -> None:
    score = FVD().score({"i3d": [None, *rows(1, 0)]}, {"i3d": rows(9, 1)}, seed=0)
    assert np.isnan(score.value)
    assert score.num_scored == 0
    with pytest.raises(MMBenchError, match="no real clips"):
        FVD().score({"i3d": rows(3, 0)}, None, seed=0)
    with pytest.raises(UsageError, match="stylegan_v_16f"):
        FVD("other")


def test_metrics_import_without_torch() -> None:
    code = "import sys, mmbench.metrics.fvd, mmbench.metrics.fad, mmbench.metrics.imagebind as s; s.IBAV(); "
    code += "print(*[m for m in ('torch', 'scipy', 'transformers') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""

"""VideoMAE-v2 and cd-FVD against the official implementations."""

from __future__ import annotations

from fractions import Fraction

from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.cd_fvd import CDFVD
from mmbench.metrics.networks.videomae import VideoMAE, VideoMAEConfig, preprocess_frames
from mmbench.networks.devices import exact_float32
from mmbench.networks.state_dicts import load_state
from tests.conformance.harness import Fixture, runner


@runner("videomae_preprocess")
def videomae_preprocess(fixture: Fixture) -> None:
    for case in fixture.config["cases"]:
        pixels = preprocess_frames(fixture.input(f"{case}.frames"))
        y, rows, x, columns = fixture.stated(f"{case}.grid", r"rows (\d+)::(\d+), columns (\d+)::(\d+)", (3, 8, 5, 8))
        fixture.check(f"{case}.grid", pixels[..., y::rows, x::columns])
        fixture.check(f"{case}.mean", pixels.double().mean((2, 3)))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("videomae")
def videomae(fixture: Fixture) -> None:
    sizes, outputs = fixture.config["constructor"], fixture.config["outputs"]
    network = VideoMAE(
        VideoMAEConfig(
            sizes["embed_dim"],
            sizes["depth"],
            sizes["num_heads"],
            float(Fraction(sizes["mlp_ratio"])),
            sizes["patch_size"],
            sizes["tubelet_size"],
            sizes["all_frames"],
            sizes["num_classes"],
        )
    )
    load_state(network, fixture.weights(), fixture.path.name)
    for name, spec in fixture.config["inputs"].items():
        case = name.removesuffix(".video")
        with exact_float32():
            fixture.check(f"{case}.features", network((fixture.input(name) + 1) / 2))
        if f"{case}.pos_embed" in outputs:
            (every,) = fixture.stated(f"{case}.pos_embed", r"every (\d+)\w* row", (97,))
            fixture.check(f"{case}.pos_embed", network.positions(spec["shape"][2])[::every])
    (every,) = fixture.stated("pos_embed", r"rows 0, (\d+)", (97,))
    fixture.check("pos_embed", network.positions(sizes["all_frames"])[::every])
    assert set(fixture.checked) == set(outputs)


@runner("cdfvd_distance")
def cdfvd_distance(fixture: Fixture) -> None:
    for case, meta in fixture.config["cases"].items():
        real = Moments.of(fixture.array(f"{case}.real")[: meta.get("n_real")])
        fake = Moments.of(fixture.array(f"{case}.fake")[: meta["n_fake"]])
        spec = fixture.config["scalars"][case]
        fixture.check_close(frechet_distance(fake, real, CDFVD.ddof), spec["value"], spec, case)
    assert set(fixture.checked) == set(fixture.config["scalars"])

"""Diff-Foley's networks and mel images against the official code; its solver is in `run_mmdisco_sampling`."""

from __future__ import annotations

import torch
from diffusers import UNet2DConditionModel

from mmbench.baselines.models.difffoley import mel, networks
from mmbench.baselines.models.difffoley.cavp import CAVP
from mmbench.baselines.models.difffoley.checkpoints import PARTS, fill
from tests.conformance.harness import Fixture, runner


@runner("difffoley_unet")
@torch.inference_mode()
def difffoley_unet(fixture: Fixture) -> None:
    unet = UNet2DConditionModel(**networks.unet_config(fixture.config["constructor"])).eval()
    assert not fill(unet, fixture.weights(), PARTS["unet"].name(unet), "the fixture")
    x, t, context = (fixture.input(name) for name in ("x", "timesteps", "context"))
    fixture.check("eps", unet(x, t, context).sample)


@runner("difffoley_cond")
@torch.inference_mode()
def difffoley_cond(fixture: Fixture) -> None:
    encoder = networks.VideoConditionEncoder(**fixture.config["constructor"])
    assert not fill(encoder, fixture.weights(), PARTS["condition"].name(encoder), "the fixture")
    fixture.check("context", encoder(fixture.input("feats")))


@runner("difffoley_cavp")
@torch.inference_mode()
def difffoley_cavp(fixture: Fixture) -> None:
    cavp = CAVP(**fixture.config["constructor"]).eval()
    assert not fill(cavp, fixture.weights(), PARTS["cavp"].name(cavp), "the fixture")
    video = fixture.input("video")
    fixture.check("features", cavp(video))
    fixture.check("features_unnormalised", cavp.project(video))
    fixture.check("backbone", cavp.video_encoder(video.transpose(1, 2)))


@runner("difffoley_classifier")
def difffoley_classifier(fixture: Fixture) -> None:
    classifier = networks.AlignmentClassifier(**networks.classifier_config(fixture.config["constructor"])).eval()
    state = {name.removeprefix("model."): value for name, value in fixture.weights().items()}
    assert not fill(classifier, state, PARTS["classifier"].name(classifier), "the fixture")
    inputs = [fixture.input(name) for name in ("x", "timesteps", "video_feat")]
    fixture.check("prob", classifier(*inputs).sigmoid())
    fixture.check("grad_log_prob", classifier.log_probability_gradient(*inputs))


@runner("difffoley_mel")
def difffoley_mel(fixture: Fixture) -> None:
    fixture.check("mel_image_from_wav", mel.wave_to_image(fixture.array("wav")))
    bands = mel.image_to_mel(fixture.array("mel_image"))
    fixture.check("mel_linear", bands)
    for rate in fixture.config["inversion_sr"]:
        filters, magnitude = mel.mel_filters(rate), mel.mel_to_magnitude(bands, rate)
        fixture.check(f"mel_basis_{rate}", filters)
        fixture.check(f"stft_magnitude_{rate}", magnitude)
        fixture.check(f"mel_of_stft_{rate}", filters @ magnitude)

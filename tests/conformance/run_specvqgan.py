"""SpecVQGAN's networks and rules, and ResNet-50, against the official code."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mmbench.baselines.models.specvqgan import features as rules
from mmbench.baselines.models.specvqgan.decoder import VQDecoder, code_grid
from mmbench.baselines.models.specvqgan.gpt import GPTFeats, generate_codes, top_k_probabilities
from mmbench.baselines.models.specvqgan.melgan import MelGAN, load_melgan
from mmbench.baselines.models.specvqgan.resnet import ResNet
from mmbench.networks.state_dicts import load_state
from tests.conformance.harness import Fixture, runner


@runner("specvqgan_gpt")
@torch.inference_mode()
def specvqgan_gpt(fixture: Fixture) -> None:
    config = fixture.config
    gpt = GPTFeats(**config["constructor"]).eval()
    load_state(gpt, fixture.weights(), "the fixture")
    codes, feats = fixture.input("codes"), fixture.input("feats")
    seen: list[Tensor] = []
    last = gpt.blocks[-1].attn
    handle = last.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    logits = gpt(codes, feats)
    handle.remove()
    fixture.check("logits", logits)
    fixture.check("attention", last.attention(last.split(last.query(seen[0])), last.split(last.key(seen[0]))))
    fixture.check("topk_probs", top_k_probabilities(logits[:, -1], config["top_k"], config["temperature"]))
    for name, prime in (("greedy_codes", 0), ("greedy_codes_primed", config["prime"])):

        def greedy(scores: Tensor, k: int, prime: int = prime) -> Tensor:
            return codes[:, k] if k < prime else scores.argmax(-1)

        fixture.check(name, generate_codes(gpt, feats, prime + config["greedy_steps"], greedy))


@runner("specvqgan_decoder")
@torch.inference_mode()
def specvqgan_decoder(fixture: Fixture) -> None:
    model = VQDecoder(**fixture.config["constructor"]).eval()
    load_state(model, fixture.weights(), "the fixture")
    grid = code_grid(fixture.input("codes"), fixture.config["H"], fixture.config["W"])
    fixture.check("code_grid", grid)
    fixture.check("quantized", model.quantize(grid))
    fixture.check("spectrogram", model(grid))
    z, table = fixture.input("z"), model.quantize.embedding.weight
    nearest = (z.permute(0, 2, 3, 1)[..., None, :] - table).square().sum(-1).argmin(-1)
    fixture.check("nearest_codes", nearest)
    in_columns = nearest.mT.flatten(1)
    assert torch.equal(code_grid(in_columns, *nearest.shape[1:]), nearest)
    fixture.check("column_major_codes", in_columns)


@runner("specvqgan_melgan")
@torch.inference_mode()
def specvqgan_melgan(fixture: Fixture) -> None:
    melgan = MelGAN(**fixture.config["constructor"]).eval()
    load_melgan(melgan, fixture.weights())
    fixture.check("wav", melgan(fixture.input("spec")))


@runner("torchvision_resnet50")
@torch.inference_mode()
def torchvision_resnet50(fixture: Fixture) -> None:
    network = ResNet(**fixture.config["constructor"]).eval()
    load_state(network, fixture.weights(), "the fixture")
    features = network(fixture.input("images"))
    fixture.check("features", features)
    fixture.check("logits_first_20", network.fc(features)[:, :20])


@runner("resnet_preprocess")
def resnet_preprocess(fixture: Fixture) -> None:
    for name in fixture.config["frames"]:
        crop = rules.crop_frame(fixture.array(name))
        fixture.check(f"{name}.crop_uint8", crop)
        image = rules.normalize(crop)
        moments = np.stack([image.mean((1, 2)), image.std((1, 2), ddof=1)])
        fixture.check(f"{name}.mean_std", moments)


@runner("specvqgan_feature_rules")
def specvqgan_feature_rules(fixture: Fixture) -> None:
    config = fixture.config
    for num in config["lengths"]:
        tiled = rules.tile_rows(num, config["feat_len"])
        fixture.check(f"T{num}.tiled", tiled)
        cropped = tiled[rules.centre_rows(len(tiled), config["feat_crop_len"])]
        fixture.check(f"T{num}.cropped", cropped)
        for samples in config["feat_sample_sizes"]:
            fixture.check(f"T{num}.resampled_{samples}", cropped[rules.spread_rows(len(cropped), samples)])
    for num, samples, repeat in config["resample_only"]:
        repeat = repeat or 1
        rows = rules.spread_rows(num, samples, repeat)
        fixture.check(f"resample.{num}_to_{samples}_repeat_{repeat}", rows)

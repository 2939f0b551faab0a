"""Feature networks of FVD, FAD and the ImageBind scores against the official implementations."""

from __future__ import annotations

import numpy as np
import torch

from mmbench.metrics.feature_networks import exact_float32, fill_randomly
from tests.conformance.harness import Fixture, runner


def _i3d(salt: str, bn_eps: float = 1e-3) -> torch.nn.Module:
    from mmbench.metrics.i3d import I3D

    network = I3D(bn_eps)
    fill_randomly(network, salt)
    return network


def _vggish(salt: str) -> torch.nn.Module:
    from mmbench.metrics.vggish import VGGish

    network = VGGish()
    fill_randomly(network, salt, bias_std=0.05)
    return network


def _check_manifest(fixture: Fixture, network: torch.nn.Module) -> None:
    import hashlib

    keys = fixture.json(fixture.config["parameters"]["recipe"]["manifest"])["keys"]
    state = network.state_dict()
    assert set(state) == set(keys)
    for key, entry in keys.items():
        assert list(state[key].shape) == entry["shape"], key
        if "sha256" in entry:
            assert hashlib.sha256(state[key].numpy().astype("<f4").tobytes()).hexdigest() == entry["sha256"], key


@runner("i3d_logits")
def i3d_logits(fixture: Fixture) -> None:
    from mmbench.metrics.i3d import preprocess

    parameters = fixture.config["parameters"]
    salt = parameters["recipe"]["salt"]
    network, other_eps = _i3d(salt, parameters["bn_eps"]), _i3d(salt, 1e-5)
    _check_manifest(fixture, network)
    outputs = fixture.config["outputs"]
    for case in fixture.config["cases"]:
        with exact_float32():
            x = preprocess(fixture.input(f"{case}.frames")[None])

            def tap(stage: str, output: torch.Tensor, case: str = case) -> None:
                name = f"{case}.endpoint.{stage}"
                if name in outputs:
                    flat = output[0].flatten()
                    fixture.check(name, flat[np.linspace(0, flat.numel() - 1, 64).astype(np.int64)])

            logits = network(x, tap)[0]
            logits_other_eps = other_eps(x)[0]
        fixture.check(f"{case}.preprocessed", x[0, :, [0, -1], 4::8, 4::8])
        fixture.check(f"{case}.logits", logits)
        fixture.check(f"{case}.logits_bn_eps_1e-5", logits_other_eps)
    assert set(fixture.checked) == set(outputs)


@runner("vggish")
def vggish(fixture: Fixture) -> None:
    from mmbench.metrics.audio_frontend import vggish_examples
    from mmbench.metrics.vggish import prepare

    network = _vggish(fixture.config["parameters"]["recipe"]["salt"])
    _check_manifest(fixture, network)
    outputs = fixture.config["outputs"]
    for case, meta in fixture.config["cases"].items():
        samples = fixture.array(f"{case}.wav")
        audio = samples.astype(np.float32) / 32768 if samples.dtype == np.int16 else samples
        waveform = prepare(audio, meta["sample_rate"])
        if f"{case}.waveform" in outputs:
            fixture.check(f"{case}.waveform", waveform)
        examples = vggish_examples(waveform)
        fixture.check(f"{case}.log_mel", examples[:, None])
        with exact_float32():
            fixture.check(f"{case}.embedding", network(torch.from_numpy(examples)))
    assert set(fixture.checked) == set(outputs)

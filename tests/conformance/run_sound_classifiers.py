"""PaSST, Cnn14 and the scores made of them against the official implementations."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import torch

from mmbench.metrics.arithmetic.classifier import InceptionScore, log_softmax, paired_kl
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance
from mmbench.metrics.networks import sound_spectra as spectra
from mmbench.metrics.networks.cnn14 import FRONT_END, Cnn14
from mmbench.metrics.networks.passt import UNUSED, PaSST, PaSSTConfig
from mmbench.networks.devices import exact_float32
from mmbench.networks.state_dicts import load_state
from tests.conformance.harness import Fixture, runner


def _mono(fixture: Fixture, case: str) -> np.ndarray:
    return (fixture.array(f"{case}.wav").astype(np.float32) / 32768).mean(axis=0)


@runner("passt_frontend")
def passt_frontend(fixture: Fixture) -> None:
    for case, meta in fixture.config["cases"].items():
        assert len(fixture.array(f"{case}.wav")) == meta["channels"], case
        wave = spectra.prepare_wave(
            _mono(fixture, case), meta["sample_rate"], spectra.PASST_RATE, meta["seconds_limit"]
        )
        assert len(wave) == meta["samples_at_32k"], case
        mel = spectra.passt_mel(wave)
        fixture.check(f"{case}.mel", mel[:, meta["stored_frames"]])
        fixture.check(f"{case}.frame_mean", mel.astype(np.float64).mean(axis=0))
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("passt")
def passt(fixture: Fixture) -> None:
    sizes = fixture.config["constructor"]
    assert sizes["distilled"]
    config = PaSSTConfig(
        sizes["embed_dim"],
        sizes["depth"],
        sizes["num_heads"],
        *sizes["img_size"],
        sizes["patch_size"],
        sizes["stride"],
        sizes["num_classes"],
    )
    network = PaSST(config)
    state = fixture.weights()
    load_state(network, {name: value for name, value in state.items() if name not in UNUSED}, fixture.path.name)
    for name in fixture.config["inputs"]:
        mel = fixture.input(name)
        assert mel.shape[1:3] == (1, config.mels), name
        with exact_float32():
            features, logits = network(mel[:, 0])
        case = name.removesuffix(".mel")
        fixture.check(f"{case}.features", features)
        fixture.check(f"{case}.logits", logits)
    assert set(fixture.checked) == set(fixture.config["outputs"])


def _log_mel(fixture: Fixture, case: str, sample_rate: int, samples: int) -> np.ndarray:
    wave = spectra.prepare_wave(
        _mono(fixture, case), sample_rate, spectra.PANN_RATE, Fraction(samples, spectra.PANN_RATE)
    )
    assert len(wave) == samples, case
    return spectra.pann_log_mel(wave)


@runner("panns_frontend")
def panns_frontend(fixture: Fixture) -> None:
    for case, meta in fixture.config["cases"].items():
        log_mel = _log_mel(fixture, case, meta["sample_rate"], meta["samples_at_16k"])
        assert len(log_mel) == meta["frames"], case
        fixture.check(f"{case}.logmel", log_mel[meta["stored_frames"]])
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("panns_cnn14")
def panns_cnn14(fixture: Fixture) -> None:
    sizes = fixture.config["constructor"]
    with torch.device("meta"):
        network = Cnn14(sizes["mel_bins"], sizes["classes_num"], tuple(sizes["channels"]))
    assert not set(FRONT_END) & set(network.state_dict())
    load_state(network, fixture.weights(), fixture.path.name)
    sounds = Fixture(fixture.path / fixture.config["audio_from"].split()[0])
    for case, meta in fixture.config["cases"].items():
        rate = sounds.config["cases"][case]["sample_rate"]
        log_mel = _log_mel(sounds, case, rate, meta["samples_at_16k"])
        with exact_float32():
            features, logits = network(torch.from_numpy(log_mel)[None])
        fixture.check(f"{case}.2048", features[0])
        fixture.check(f"{case}.logits", logits[0])
    assert set(fixture.checked) == set(fixture.config["outputs"])


@runner("kl_is_scores")
def kl_is_scores(fixture: Fixture) -> None:
    config = fixture.config
    real, generated = (fixture.array(f"{side}_logits").astype(np.float32) for side in ("gt", "gen"))
    (seed,) = fixture.stated("isc_permutation", r"RandomState\((\d+)\)", (2020,))
    score = InceptionScore.of(generated, len(fixture.expected("isc_splits")), seed)
    kl = float(paired_kl(generated, real).mean())

    def moments(name: str) -> Moments:
        """Of the pairs of PaSST, but of all of PANNs: clips without a partner, if there are any, are its own input."""
        alone = name.replace("_pann", "_only_pann")
        return Moments.of(np.concatenate([fixture.array(part) for part in sorted({name, alone} & {*config["inputs"]})]))

    found = {
        "KL-PASST-softmax": kl,
        "KL-PANNS-softmax": kl,
        "KL_reversed": float(paired_kl(real, generated).mean()),
        "ISC-PANNS-mean": score.value,
        "ISC-PANNS-std": score.split_std,
        "FD-PANN": frechet_distance(moments("gen_pann"), moments("gt_pann"), 1),
        "FD-PASST": frechet_distance(moments("gen_passt"), moments("gt_passt"), 1),
    }
    fixture.check("isc_permutation", score.order)
    fixture.check("isc_splits", score.splits)
    for name, spec in config["scalars"].items():
        fixture.check_close(found[name], spec["value"], spec, name)
    assert set(fixture.checked) == set(config["outputs"]) | set(config["scalars"])
    np.testing.assert_allclose(np.exp(log_softmax(generated)).sum(axis=1), 1)

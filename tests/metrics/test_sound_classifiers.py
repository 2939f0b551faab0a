"""PaSST and Cnn14: sizes, front ends, what of a sound is heard, what is refused, checkpoints read whole or refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mmbench.errors import MMBenchError
from mmbench.metrics.extractors.sound_classifiers import PANNExtractor, PaSSTExtractor, SoundClassifier
from mmbench.metrics.networks import cnn14, passt
from mmbench.metrics.networks import sound_spectra as spectra
from mmbench.metrics.networks.audio_frontend import resample
from mmbench.metrics.networks.cnn14 import FRONT_END, Cnn14
from mmbench.metrics.networks.passt import FULL, SMALL, UNUSED, PaSST
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip
from mmbench.weights.known import KNOWN

RATE = 16000
BOTH = [PaSSTExtractor, PANNExtractor]


def noise(seconds: float, rate: int = RATE, seed: int = 0, scale: float = 0.1) -> np.ndarray:
    return (scale * np.random.default_rng(seed).standard_normal(round(seconds * rate))).astype(np.float32)


def clip(audio: np.ndarray, rate: int = RATE) -> Clip:
    return Clip(np.zeros((2, 4, 4, 3), np.uint8), 8.0, audio, rate)


def shapes(network: torch.nn.Module) -> dict[str, list[int]]:
    return {name: list(value.shape) for name, value in network.state_dict().items()}


def full_size() -> dict[str, torch.nn.Module]:
    with torch.device("meta"):
        return {"passt_s_swa_p16_128_ap476": PaSST(FULL), "panns_cnn14_16k": Cnn14()}


def test_full_sizes() -> None:
    counts = [sum(p.numel() for p in network.parameters()) for network in full_size().values()]
    assert counts == [85_748_495, 80_753_615]


@pytest.mark.parametrize("name", ["passt_s_swa_p16_128_ap476", "panns_cnn14_16k"])
def test_names_and_shapes_are_those_of_the_official_loader(name: str, fixtures_folder: Path) -> None:
    file = fixtures_folder / "manifests" / f"{name}.json"
    if not file.exists():
        pytest.skip("no manifest in this set")
    theirs = json.loads(file.read_text())["shapes"]
    left = {*UNUSED, *FRONT_END} & set(theirs)
    assert len(left) == (2 if "passt" in name else 3)
    assert shapes(full_size()[name]) == {key: shape for key, shape in theirs.items() if key not in left}


def test_passt_understands_shorter_spectrograms_and_looks_at_the_start_of_longer_ones() -> None:
    network = PaSST(SMALL)
    fill_randomly(network, "")
    mel = torch.randn(2, 128, 1100)
    with exact_float32():
        torch.testing.assert_close(network(mel), network(mel[..., :996]))  # 99 patches end there
        assert not torch.allclose(network(mel[..., :500])[1], network(mel[..., :996])[1], atol=1e-3)


def test_pre_emphasis_and_bands_of_passt_are_kaldis() -> None:
    mel = spectra.passt_mel(np.zeros(0, np.float32))
    assert mel.shape == (128, 1000)
    np.testing.assert_allclose(mel, (np.log(1e-5) + 4.5) / 5, rtol=1e-6)
    tone = np.sin(2 * np.pi * 1000 * np.arange(32000) / 32000).astype(np.float32)
    step = 1127 * np.log1p(15000 / 700) / 129
    loudest = int(spectra.passt_mel(tone)[:, 50].argmax())
    assert abs(step * (loudest + 1) - 1127 * np.log1p(1000 / 700)) < step  # within a band of 1000 Hz
    whole = spectra.passt_mel(np.ones(330000, np.float32))
    np.testing.assert_array_equal(whole, spectra.passt_mel(np.ones(320000, np.float32)))


def test_log_mel_of_panns_is_librosas() -> None:
    import librosa

    wave = noise(1.0)
    theirs = librosa.feature.melspectrogram(
        y=wave, sr=RATE, n_fft=512, hop_length=160, n_mels=64, fmin=50, fmax=8000, pad_mode="reflect"
    )
    ours = spectra.pann_log_mel(wave)
    np.testing.assert_allclose(ours, librosa.power_to_db(theirs, top_db=None).T, atol=1e-3)
    assert ours.shape == (101, 64)


def test_sounds_are_resampled_with_a_kernel_of_float64() -> None:
    wave, width = noise(0.1, 22050), 9
    source, target = 441, 320  # 22050 and 16000 by their common divisor; a Hann-windowed sinc of six zeros, below 0.99
    cutoff = target * 0.99
    taps = np.arange(-width, width + source) / source
    padded = np.pad(wave.astype(np.float64), (width, width + source))
    plain = np.empty(0)
    for start in range(0, len(wave) + 1, source):
        for phase in range(target):
            t = np.clip((taps - np.float64(np.float32(phase / target))) * cutoff, -6, 6)
            kernel = np.sinc(t) * np.cos(np.pi * t / 12) ** 2 * cutoff / source
            plain = np.append(plain, kernel @ padded[start : start + len(taps)])
    found = {kind: resample(wave, 22050, RATE, kernel=kind) for kind in ("transform", "function")}  # type: ignore[arg-type]
    errors = {kind: float(np.abs(x - plain[: len(x)]).max()) for kind, x in found.items()}
    assert errors["transform"] < 2e-7
    assert errors["function"] > 5 * errors["transform"]


def test_the_mean_of_the_whole_sound_is_taken_off_before_it_is_cut() -> None:
    audio = np.concatenate([np.zeros(RATE, np.float32), np.ones(RATE, np.float32)])
    np.testing.assert_allclose(spectra.prepare_wave(audio, RATE, RATE, 1), -0.5)
    assert len(spectra.prepare_wave(audio, RATE, 32000, 8)) == 64000


@pytest.mark.parametrize("kind", BOTH)
def test_no_more_is_heard_than_the_seconds_asked_for(kind: type[SoundClassifier]) -> None:
    long = noise(11.0)
    long -= long.mean()
    for seconds in (8, 10):
        extractor = kind(seconds, "random")
        later = long.copy()
        end = seconds * RATE + 100  # resampling looks a little further
        later[end:] = later[end:][::-1]  # the mean stays
        (a,), (b,) = (extractor.extract([clip(x)]) for x in (long, later))
        np.testing.assert_allclose(a["logits"], b["logits"], atol=1e-5)
        later[seconds * RATE - 4000 :] = later[seconds * RATE - 4000 :][::-1]
        assert not np.allclose(a["logits"], extractor.extract([clip(later)])[0]["logits"], atol=1e-5)
    assert kind(8, "random").name != kind(10, "random").name
    assert kind(8, "random").spec() != kind(10, "random").spec()


@pytest.mark.parametrize("kind", BOTH)
def test_features_do_not_depend_on_the_batch(kind: type[SoundClassifier]) -> None:
    clips = [
        clip(noise(2.0)),
        clip(noise(0.5, 44100, 1), 44100),
        clip(noise(2.0, seed=2)),
        clip(np.zeros(RATE, np.float32)),
    ]
    extractor = kind(8, "random")
    together = extractor.extract(clips)
    assert [bool(f["silent"]) for f in together] == [False, False, False, True]
    for one, both in zip(clips, together, strict=True):
        (alone,) = extractor.extract([one])
        for entry in ("embedding", "logits"):
            np.testing.assert_allclose(alone[entry], both[entry], atol=1e-5)
    assert not np.allclose(together[0]["logits"], together[2]["logits"], atol=1e-3)
    assert {f["logits"].shape for f in together} == {(527,)}


def test_a_short_sound_is_refused_with_the_length_needed() -> None:
    enough = PANNExtractor(8, "random")
    enough.extract([clip(noise(0.31))])
    need = r"lasts 0\.30 s, and Cnn14 needs 0\.31 s, 32 frames"
    with pytest.raises(MMBenchError, match=need):
        enough.extract([clip(noise(0.3))])
    PaSSTExtractor(8, "random").extract([clip(noise(0.01))])  # is completed with zeros
    for kind in BOTH:
        with pytest.raises(MMBenchError, match="no audio"):
            kind(8, "random").extract([clip(noise(0))])


def publish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, saved: Any) -> None:
    """Put a checkpoint in the place of the published one, whose digest and size are then not asked for."""
    from dataclasses import replace

    torch.save(saved, tmp_path / f"{name}.pth")
    monkeypatch.setitem(KNOWN, name, replace(KNOWN[name], sha256=None, bytes=None))
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv(f"MMBENCH_WEIGHTS_{name.upper()}", str(tmp_path / f"{name}.pth"))


def test_the_checkpoint_of_passt_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passt, "FULL", SMALL)
    network = PaSST(SMALL)
    fill_randomly(network, "published")
    state = {**network.state_dict(), **dict.fromkeys(UNUSED, torch.zeros(1))}
    publish(monkeypatch, tmp_path, "passt", state)
    mel = torch.randn(2, 128, 200)
    with exact_float32():
        torch.testing.assert_close(PaSSTExtractor(8).network(mel), network(mel))
    publish(monkeypatch, tmp_path, "passt", {k: v for k, v in state.items() if k != "norm.bias"})
    (tmp_path / "passt.pth.sha256").unlink()
    with pytest.raises(MMBenchError, match=r"lacks 1 tensors and holds 0 without a place, first norm\.bias"):
        _ = PaSSTExtractor(8).network


def test_the_checkpoint_of_cnn14_is_read_whole_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Cnn14(widths=cnn14.SMALL_WIDTHS)
    fill_randomly(network, "published")
    monkeypatch.setattr(cnn14, "Cnn14", lambda: Cnn14(widths=cnn14.SMALL_WIDTHS))
    state = {**network.state_dict(), **dict.fromkeys(FRONT_END, torch.zeros(1))}
    saved = {"iteration": 7, "model": state, "sampler": {"indexes": np.arange(9), "pointer": 3}}
    publish(monkeypatch, tmp_path, "pann", saved)
    log_mel = torch.randn(2, 40, 64)
    with exact_float32():
        torch.testing.assert_close(PANNExtractor(8).network(log_mel), network(log_mel))
    publish(monkeypatch, tmp_path, "pann", {**saved, "model": {**state, "fc2.weight": torch.zeros(1)}})
    (tmp_path / "pann.pth.sha256").unlink()
    with pytest.raises(MMBenchError, match=r"holds 1 without a place, first fc2\.weight"):
        _ = PANNExtractor(8).network

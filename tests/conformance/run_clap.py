"""LAION's CLAP against the official implementation."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

import numpy as np
import torch

from mmbench.metrics.imagebind import cosine
from mmbench.metrics.networks import clap
from mmbench.metrics.networks import clap_preprocess as preprocess
from mmbench.networks.devices import exact_float32
from tests.conformance.harness import Fixture, runner


def _waveform(fixture: Fixture, case: str) -> np.ndarray:
    """A case as av-benchmark prepares it."""
    meta = fixture.config["cases"][case]
    mono = (fixture.array(f"{case}.wav").astype(np.float32) / 32768).mean(axis=0)
    seconds = Fraction(meta["samples_at_48k"], preprocess.SAMPLE_RATE)
    return preprocess.prepare_waveform(mono, meta["sample_rate"], seconds=seconds, centred=True, resampler="torchaudio")


@runner("laion_clap_frontend")
def frontend(fixture: Fixture) -> None:
    for case, meta in fixture.config["cases"].items():
        wave = _waveform(fixture, case)
        length, copies = meta["samples_at_48k"], meta["copies"]
        assert len(wave) == copies * length + meta["zeros"]
        assert all(np.array_equal(wave[:length], wave[k * length :][:length]) for k in range(copies)), case
        assert not wave[copies * length :].any(), case
        fixture.check(f"{case}.logmel", preprocess.log_mel(wave)[meta["stored_frames"]])
    assert set(fixture.checked) == set(fixture.config["outputs"])


def _config(sizes: dict[str, Any]) -> clap.ClapConfig:
    htsat = sizes["htsat"]
    return clap.ClapConfig(
        htsat["embed_dim"],
        tuple(htsat["depths"]),
        tuple(htsat["num_heads"]),
        sizes["joint_embed_shape"],
        sizes["text"],
    )


@runner("laion_clap")
def towers(fixture: Fixture) -> None:
    config = fixture.config
    sizes, state = _config(config["constructor"]), clap.from_official(fixture.weights())
    hearing, reading = clap.ClapAudio(sizes), clap.ClapText(sizes)
    clap.load_tower(hearing, "audio", state, fixture.path.name)
    clap.load_tower(reading, "text", state, fixture.path.name)
    (shift,) = re.findall(r"value ([-+] ?[\d.]+)", config["inputs"]["logmel"]["meaning"])
    mel = fixture.input("logmel")[:, 0] + float(shift.replace(" ", ""))
    front = Fixture(fixture.path / config["from_wav"]["folder"])
    heard: list[torch.Tensor] = []
    with exact_float32():
        fixture.check("audio", hearing(mel))
        fixture.check("audio_hidden", hearing.pooled(mel))
        for case in config["from_wav"]["cases"]:
            heard.append(hearing(torch.from_numpy(preprocess.log_mel(_waveform(front, case)))[None])[0])
            fixture.check(f"{case}.audio", heard[-1])
        text = reading(fixture.input("input_ids"), fixture.input("attention_mask"))
        fixture.check("text", text)
    scalar = config["scalars"]["clap_score"]
    said = [int(number) for number in re.findall(r"text (\d+)", scalar["meaning"])]
    paired = said if len(said) == len(heard) else list(range(len(heard)))
    score = cosine(torch.stack(heard).numpy(), text[paired].numpy()).mean()
    fixture.check_close(score, scalar["value"], scalar, "clap_score")
    assert set(fixture.checked) == set(config["outputs"]) | set(config["scalars"])

"""SpecVQGAN: full-size names, kept keys and values, sampling, published files good and bad, sound from end to end."""

from __future__ import annotations

import io
import json
import logging
import re
import tarfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from mmbench.baselines.models.specvqgan import features as rules
from mmbench.baselines.models.specvqgan import model
from mmbench.baselines.models.specvqgan.decoder import VQDecoder
from mmbench.baselines.models.specvqgan.gpt import GPTFeats, generate_codes, sampler, top_k_probabilities
from mmbench.baselines.models.specvqgan.melgan import MelGAN, load_melgan
from mmbench.baselines.models.specvqgan.resnet import ResNet
from mmbench.baselines.models.specvqgan.sound import SpecVQGAN
from mmbench.errors import IntegrityError, MMBenchError, UsageError
from mmbench.networks.random_weights import fill_randomly
from mmbench.registry import make_dataset
from mmbench.runs.spec import make_requests
from mmbench.weights import checkpoints as published
from mmbench.weights import locations

BOUNCE = make_dataset("bounce")
REQUESTS = make_requests(BOUNCE, 3, seed=0)
CLIPS = [BOUNCE.real(request, "real").clip for request in REQUESTS]
SMALL = {"feat_depth": 12, "vocab_size": 40, "block_size": 25, "n_layer": 3, "n_head": 2, "n_embd": 16}
FULL = {
    "RESNET": model.RESNET,
    "TRANSFORMER": model.TRANSFORMER,
    "CODEBOOK": model.CODEBOOK,
    "MELGAN": model.MELGAN,
}


@pytest.fixture(autouse=True)
def _own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="module")
def tiny() -> SpecVQGAN:
    return SpecVQGAN(dataset=BOUNCE, device="cpu", size="tiny")


@pytest.fixture(scope="module")
def gpt() -> GPTFeats:
    network = GPTFeats(**SMALL).eval().requires_grad_(False)
    fill_randomly(network, "test")
    return network


def meta_state(manifest: Path) -> dict[str, Tensor]:
    """A released file's names and shapes, without values."""
    return {k: torch.empty(v, device="meta") for k, v in json.loads(manifest.read_text())["shapes"].items()}


def count(network: nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def test_every_tensor_of_the_released_transformer_has_its_place(
    fixtures_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = meta_state(fixtures_folder / "manifests" / "specvqgan_vggsound_transformer_5_resnet50_feats.json")
    with torch.device("meta"):
        gpt, decoder = GPTFeats(**model.TRANSFORMER), VQDecoder(**model.CODEBOOK)
    model.load_checkpoint(gpt, decoder, state, "the manifest")
    assert not caplog.records
    ours = {f"transformer.{k}": v for k, v in gpt.state_dict().items()}
    ours |= {f"first_stage_model.{k}": v for k, v in decoder.state_dict().items()}
    read = {k: v.shape for k, v in state.items() if not model.UNREAD.fullmatch(k)}
    assert {k: v.shape for k, v in ours.items()} == read
    assert [count(gpt), count(decoder)] == [306_783_232, 42_775_425]
    for lacking in ("transformer.blocks.23.mlp.2.bias", "first_stage_model.quantize.embedding.weight"):
        with pytest.raises(MMBenchError, match=rf"lacks 1 tensors .* first {lacking.partition('.')[2]}"):
            model.load_checkpoint(gpt, decoder, {k: v for k, v in state.items() if k != lacking}, "it")
    with caplog.at_level(logging.WARNING, "mmbench"):
        model.load_checkpoint(gpt, decoder, {**state, "transformer.surplus": torch.empty(1)}, "it")
    assert "it holds 1 tensors that nothing reads, first transformer.surplus" in caplog.text


def test_every_tensor_of_the_released_vocoder_and_of_resnet50_has_its_place(fixtures_folder: Path) -> None:
    vocoder = meta_state(fixtures_folder / "manifests" / "specvqgan_melgan.json")
    images = meta_state(fixtures_folder / "manifests" / "torchvision_resnet50.json")
    with torch.device("meta"):
        melgan, resnet = MelGAN(**model.MELGAN), ResNet(**model.RESNET)
        load_melgan(melgan, vocoder)
    assert {k: v.shape for k, v in resnet.state_dict().items()} == {k: v.shape for k, v in images.items()}
    lengths = sum(v.numel() for k, v in vocoder.items() if k.endswith("weight_g"))
    assert count(melgan) == 4_266_050 - lengths
    assert count(resnet) == 25_557_032
    for change in ({k: v for k, v in vocoder.items() if k != "model.24.weight_g"}, {**vocoder, "x": torch.empty(1)}):
        with pytest.raises(MMBenchError, match="SpecVQGAN's vocoder lacks"), torch.device("meta"):
            load_melgan(melgan, change)


def test_kept_keys_and_values_give_the_logits_of_the_whole_sequence(gpt: GPTFeats) -> None:
    feats, codes = torch.randn(2, 12, 5), torch.randint(0, 40, (2, 20))
    whole, cache = gpt(codes, feats), gpt.cache(2)
    first = gpt(codes[:, :3], feats, cache)
    steps = [gpt(codes[:, k : k + 2], cache=cache) for k in range(3, 19, 2)]
    last = gpt(codes[:, 19:], cache=cache)
    torch.testing.assert_close(torch.cat([first, *steps, last], 1), whole, rtol=1e-5, atol=1e-5)


def test_codes_are_those_of_recomputing_everything(gpt: GPTFeats) -> None:
    feats, uniforms = torch.randn(3, 12, 5), np.random.default_rng(0).random((3, 20))
    choose = sampler(uniforms, top_k=30, temperature=1.0)
    codes = torch.zeros(3, 0, dtype=torch.long)
    for k in range(20):
        codes = torch.cat([codes, choose(gpt(codes, feats)[:, -1], k)[:, None]], 1)
    assert torch.equal(generate_codes(gpt, feats, 20, choose), codes)
    assert len(codes.unique()) > 10


def test_sampling_follows_the_probabilities_of_the_largest_logits() -> None:
    logits = torch.randn(1, 9, generator=torch.Generator().manual_seed(0))
    uniforms = (np.arange(10000)[:, None] + 0.5) / 10000
    drawn = sampler(uniforms, 4, 0.7)(logits.expand(10000, -1), 0)
    probabilities = top_k_probabilities(logits, 4, 0.7)[0]
    assert (probabilities > 0).sum() == 4
    assert probabilities.argmax() == logits.argmax()
    frequencies = drawn.bincount(minlength=9) / 10000
    torch.testing.assert_close(frequencies, probabilities, rtol=0, atol=2e-4)
    ends = sampler(np.array([[0.0], [np.nextafter(1, 0)]]), 4, 0.7)(logits.expand(2, -1), 0)
    assert ends.tolist() == [probabilities.nonzero().min(), probabilities.nonzero().max()]


@pytest.mark.e2e
def test_codes_do_not_know_their_batch(tiny: SpecVQGAN) -> None:
    requests = make_requests(BOUNCE, 10, seed=1)
    feats = torch.randn(10, 128, 5)
    together = tiny._model.codes(requests, feats, 512, 1.0)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    shuffled = tiny._model.codes([requests[k] for k in order], feats[order], 512, 1.0)
    alone = tiny._model.codes(requests[9:], feats[9:], 512, 1.0)
    assert torch.equal(shuffled, together[order])
    assert torch.equal(alone, together[9:])
    assert together.shape == (10, 265)
    assert len(torch.unique(together, dim=0)) == 10


@pytest.mark.e2e
def test_sound_has_the_datasets_format_and_is_the_requests_own(tiny: SpecVQGAN) -> None:
    sounds = tiny.sound(REQUESTS, CLIPS)
    assert [(s.shape, s.dtype) for s in sounds] == [((32000,), np.float32)] * 3
    assert all(np.abs(s).max() <= 1 and s.std() > 0.01 for s in sounds)
    (again,) = tiny.sound(REQUESTS[2:], CLIPS[2:])
    assert np.array_equal(again, sounds[2])
    (other,) = tiny.sound([replace(REQUESTS[2], seed=1)], CLIPS[2:])
    assert not np.allclose(other, again, atol=1e-3)
    assert tiny.weights == "tiny"


def test_only_the_frames_of_the_rule_are_looked_at(tiny: SpecVQGAN) -> None:
    video, looked_at = CLIPS[0].video, sorted({int(row * 8 / rules.FPS) for row in rules.rows_of_clip(43)})
    assert looked_at == [12, 13]  # row 33 to 36 of the 43 that 2 s have, whatever tile they are of
    for frame, same in ((11, True), (12, False), (13, False), (14, True)):
        changed = video.copy()
        changed[frame] = 255 - changed[frame]
        features = [tiny._model.features(replace(CLIPS[0], video=v)) for v in (video, changed)]
        assert torch.equal(*features) == same


def test_the_record_says_what_was_done(tiny: SpecVQGAN) -> None:
    spec = json.loads(json.dumps(tiny.spec()))
    assert spec["transformer"] == "2021-07-30T21-34-25_vggsound_transformer"
    assert (spec["top_k"], spec["temperature"]) == (512, 1.0)
    assert spec["length"] == "features tiled to 10 s, first 2 s kept"
    assert set(spec["components"].values()) == {"tiny", "float32"}
    assert SpecVQGAN(dataset=BOUNCE, weights="random").weights == "random"


def test_what_cannot_work_is_refused() -> None:
    with pytest.raises(UsageError, match="no size 'huge'"):
        SpecVQGAN(dataset=BOUNCE, size="huge")
    longer = make_dataset("bounce")
    longer.format = replace(longer.format, num_samples=160000)
    with pytest.raises(UsageError, match=r"makes 9\.85 s; clips of bounce have 10 s"):
        SpecVQGAN(dataset=longer, size="tiny")


def saved(content: Mapping[str, Any]) -> bytes:
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


def put(name: str, data: bytes) -> Path:
    path = locations.home() / "weights" / locations.entry(name).file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def files(tiny: SpecVQGAN, monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The published files as they would be for the tiny networks, and full size made tiny."""
    networks = tiny._model
    for name, part in zip(FULL, ("resnet", "transformer", "decoder", "melgan"), strict=True):
        monkeypatch.setattr(model, name, {**FULL[name], **model.TINY[part]})
    unsized = replace(published.KNOWN["resnet50"], sha256=None, bytes=None)
    monkeypatch.setitem(published.KNOWN, "resnet50", unsized)
    state = {f"transformer.{k}": v for k, v in networks.gpt.state_dict().items()}
    state |= {f"first_stage_model.{k}": v for k, v in networks.decoder.state_dict().items()}
    state["first_stage_model.encoder.conv_in.bias"] = torch.zeros(3)
    vocoder = {}
    for name, value in networks.melgan.state_dict().items():
        if name.endswith("weight"):
            vocoder |= {f"{name}_v": value, f"{name}_g": torch.linalg.vector_norm(value, dim=(1, 2), keepdim=True)}
        else:
            vocoder[name] = value
    checkpoint, archive = saved({"state_dict": state, "epoch": 3}), io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w:gz") as tar:
        info = tarfile.TarInfo("2021-07-30T21-34-25_vggsound_transformer/checkpoints/epoch_000003.ckpt")
        info.size = len(checkpoint)
        tar.addfile(info, io.BytesIO(checkpoint))
    return {
        "resnet50": saved(networks.resnet.state_dict()),
        "specvqgan_transformer": archive.getvalue(),
        "specvqgan_melgan": saved(vocoder),
    }


def test_published_files_become_the_networks(files: dict[str, bytes], tiny: SpecVQGAN) -> None:
    for name, data in files.items():
        put(name, data)
    real = SpecVQGAN(dataset=BOUNCE, device="cpu")
    assert real.weights == "real"
    assert all(len(digest) == 64 for name, digest in real.spec()["components"].items() if name != "dtype")
    (ours,), (expected,) = real.sound(REQUESTS[:1], CLIPS[:1]), tiny.sound(REQUESTS[:1], CLIPS[:1])
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_missing_files_say_how_to_get_them(files: dict[str, bytes]) -> None:
    for name, data in files.items():
        with pytest.raises(MMBenchError, match=f"weights '{name}' .* are not here") as caught:
            SpecVQGAN(dataset=BOUNCE, weights="real")
        assert Path(locations.entry(name).file).name in caught.value.expected
        assert caught.value.next == f"mmbench weights fetch {name}"
        put(name, data)


@pytest.mark.parametrize("damaged", ["specvqgan_transformer", "specvqgan_melgan"])
def test_a_file_that_is_cut_off_is_named_with_its_remedy(files: dict[str, bytes], damaged: str) -> None:
    paths = {name: put(name, data[: len(data) // (1 + (name == damaged))]) for name, data in files.items()}
    cut = paths[damaged]
    with pytest.raises(IntegrityError, match=rf"{re.escape(str(cut))} is (damaged|cut off)") as caught:
        SpecVQGAN(dataset=BOUNCE, device="cpu").sound(REQUESTS[:1], CLIPS[:1])
    assert caught.value.expected
    assert f"mmbench weights fetch {damaged}" in caught.value.next


@pytest.mark.parametrize("wrong", ["resnet50", "specvqgan_melgan"])
def test_a_file_of_another_model_is_named_with_its_remedy(files: dict[str, bytes], wrong: str) -> None:
    paths = {
        name: put(name, saved({"other": torch.ones(1)}) if name == wrong else data) for name, data in files.items()
    }
    with pytest.raises(MMBenchError, match="lacks") as caught:
        SpecVQGAN(dataset=BOUNCE, device="cpu").sound(REQUESTS[:1], CLIPS[:1])
    assert locations.entry(wrong).page in caught.value.expected
    assert caught.value.next == f"move {paths[wrong]} away, then mmbench weights fetch {wrong}"


def test_resnet50_of_another_digest_is_never_opened(files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in files.items():
        put(name, data)
    kept = replace(published.KNOWN["resnet50"], sha256="0676ba61" + 56 * "0")
    monkeypatch.setitem(published.KNOWN, "resnet50", kept)
    with pytest.raises(IntegrityError, match=r"resnet50: .* has sha256") as caught:
        SpecVQGAN(dataset=BOUNCE)
    assert caught.value.expected.startswith("sha256 0676ba61")

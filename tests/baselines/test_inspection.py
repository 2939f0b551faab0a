"""Copies of published models with a file missing, cut off, of another model, or changed: what is said, and by whom."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from mmbench.baselines.models.latent import inspection
from mmbench.checks.doctor import examine_installation
from mmbench.errors import IntegrityError
from mmbench.registry import make_dataset
from mmbench.system_names import make_system
from mmbench.weights import checkpoints as published
from mmbench.weights.headers import damage, read_meta
from tests.baselines import published_copies as copies

pytestmark = pytest.mark.e2e

PAIRS = {"audioldm": "audioldm_animatediff", "realistic_vision": "audioldm_animatediff"}
PAIRS |= {"animatediff": "audioldm_animatediff", "auffusion": "auffusion_vc2", "videocrafter2": "auffusion_vc2"}
UNET, TEXT = "unet/diffusion_pytorch_model.safetensors", "model.safetensors"
# By model: files, each with a tensor that its network needs, in all folders that hold a network.
TENSORS: Mapping[str, Mapping[str, str]] = {
    "audioldm": {
        UNET: "conv_in.weight",
        "vae/diffusion_pytorch_model.safetensors": "decoder.conv_in.bias",
        f"text_encoder/{TEXT}": "text_projection.linear1.weight",
        f"vocoder/{TEXT}": "conv_pre.weight",
    },
    "realistic_vision": {
        UNET: "conv_out.bias",
        "vae/diffusion_pytorch_model.safetensors": "quant_conv.weight",
        f"text_encoder/{TEXT}": "final_layer_norm.weight",
    },
    "animatediff": {"diffusion_pytorch_model.safetensors": "mid_block.motion_modules.0.proj_in.weight"},
    "auffusion": {
        UNET: "conv_in.weight",
        "vae/diffusion_pytorch_model.safetensors": "decoder.conv_in.bias",
        f"text_encoder_0/{TEXT}": "final_layer_norm.weight",
        "condition_adapter_0/condition_adapter.pt": "proj.bias",
        "vocoder/vocoder.pt": "ups.1.bias",
    },
}
FILES = [(name, file) for name, files in TENSORS.items() for file in files]
OTHERS = [
    *((name, f"{folder}/{file}") for name, folder, file in (("audioldm", "vae", "config.json"),)),
    ("audioldm", "tokenizer/tokenizer.json"),
    ("realistic_vision", "tokenizer/tokenizer.json"),
    ("animatediff", "config.json"),
    ("auffusion", "text_encoder_0/tokenizer.json"),
]


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory, fixtures_folder: Path) -> Iterator[Path]:
    """Whole copies of the four models that are folders and of the one that is a file; small sizes are expected."""
    root = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        for name in TENSORS:
            (root / name).mkdir()
        copies.save_audioldm(root / "audioldm")
        copies.save_realistic_vision(root / "realistic_vision")
        copies.save_animatediff(root / "animatediff")
        copies.save_auffusion(root / "auffusion", patch)
    with pytest.MonkeyPatch.context() as patch:
        copies.save_videocrafter2(root / "model.ckpt", fixtures_folder, patch)
        yield root


@pytest.fixture(autouse=True)
def here(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's own copies of everything that both pairs need."""
    shutil.copy(originals / "model.ckpt", tmp_path / "model.ckpt")
    monkeypatch.setattr(
        "mmbench.baselines.models.latent.auffusion_mel.VOCODER",
        {**copies.auffusion.VOCODER, "upsample_initial_channel": 64},
    )
    for name in TENSORS:
        shutil.copytree(originals / name, tmp_path / name)
        monkeypatch.setenv(f"MMBENCH_WEIGHTS_{name.upper()}", str(tmp_path / name))
    monkeypatch.setenv("MMBENCH_WEIGHTS_VIDEOCRAFTER2", str(tmp_path / "model.ckpt"))
    monkeypatch.setenv("MMBENCH_HOME", str(tmp_path / "home"))
    merges = published.Verdict("clip_bpe", tmp_path, "", "published")  # its published digest cannot be imitated
    verify = published.verify
    monkeypatch.setattr(published, "verify", lambda name: merges if name == "clip_bpe" else verify(name))
    inspection.require.cache_clear()
    return tmp_path


def said(here: Path, name: str) -> tuple[str, str, str]:
    """What doctor and the pair say of a model, which is the same: found, expected, next."""
    with pytest.raises(IntegrityError) as caught:
        make_system(PAIRS[name], dataset=make_dataset("bounce"), device="cpu")
    error = caught.value
    (row,) = [row for row in examine_installation(here) if row["check"] == f"weights {name}"]
    assert row["status"] == "broken"
    assert row["found"] == f"{error.found} Expected: {error.expected}."
    assert row["next"] == error.next
    return error.found, error.expected, error.next


def rewrite(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the tensors of a file."""
    if path.suffix == ".safetensors":
        state = load_file(path)
        change(state)
        save_file(state, path)
        return
    whole = torch.load(path, weights_only=True)
    change(whole.get("generator", whole.get("state_dict", whole)))
    torch.save(whole, path)


def test_whole_copies_are_fine(here: Path) -> None:
    for pair in set(PAIRS.values()):
        assert make_system(pair, dataset=make_dataset("bounce"), device="cpu").weights == "real"
    rows = {row["check"]: row["status"] for row in examine_installation(here)}
    assert {rows[f"weights {name}"] for name in PAIRS} == {"ok"}


@pytest.mark.parametrize(("name", "file"), [*FILES, *OTHERS])
def test_a_missing_file_is_named_with_its_address(here: Path, name: str, file: str) -> None:
    (here / name / file).unlink()
    for extra in ("vocab.json", "merges.txt"):
        (here / name / file).with_name(extra).unlink(missing_ok=True)
    found, expected, next = said(here, name)
    stem = file.replace("tokenizer.json", "vocab.json")
    assert str(here / name / stem) in found
    assert "is missing" in found
    assert file in expected
    assert "https://huggingface.co/" in next
    assert next.endswith(stem)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "file"), [*FILES, ("auffusion", "vae/config.json")])
def test_a_file_that_is_cut_off_is_named(here: Path, name: str, file: str) -> None:
    path = here / name / file
    path.write_bytes(path.read_bytes()[:-7])
    found, expected, next = said(here, name)
    assert f"{name}: {path} " in found
    assert "whole file" in expected
    assert next.endswith(file)


@pytest.mark.thorough
@pytest.mark.parametrize(("name", "file"), FILES)
def test_a_missing_tensor_is_named_with_what_should_be_there(here: Path, name: str, file: str) -> None:
    path, tensor = here / name / file, TENSORS[name][file]
    rewrite(path, lambda state: state.pop(tensor))
    found, expected, next = said(here, name)
    assert str(path) in found
    assert "lacks 1 tensors" in found
    assert tensor.replace("ups.", "upsampler.").rpartition(".")[0] in found
    assert "tensors" in expected
    assert next.endswith(file)


def test_a_tensor_of_another_shape_is_named(here: Path) -> None:
    rewrite(here / "realistic_vision" / UNET, lambda state: state.update({"conv_out.bias": torch.zeros(9)}))
    found, expected, _ = said(here, "realistic_vision")
    assert "first conv_out.bias (9,)" in found
    assert "conv_out.bias (4,)" in expected
    assert "bytes in float32" in expected


def test_surplus_and_old_names_are_let_be(here: Path) -> None:
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def age(state: dict[str, Any]) -> None:
        for name in list(state):
            for now, before in old.items():
                if f".attentions.0.{now}." in name:
                    state[name.replace(now, before)] = state.pop(name)
        state["position_ids"] = torch.arange(77)

    for file in ("vae/diffusion_pytorch_model.safetensors", f"text_encoder/{TEXT}"):
        rewrite(here / "realistic_vision" / file, age)
    assert inspection.examine("realistic_vision") is None


@pytest.mark.parametrize("name", PAIRS)
def test_a_change_after_the_first_use_is_named_with_both_digests(here: Path, name: str) -> None:
    first = published.verify(name)
    path = here / name / next(iter(TENSORS[name])) if name in TENSORS else here / "model.ckpt"
    rewrite(path, lambda state: next(iter(state.values())).reshape(-1)[:1].add_(1))
    found, expected, remedy = said(here, name)
    assert f"{path} has sha256 " in found
    assert expected.startswith("sha256 ")
    assert first.sha256 in expected or name in TENSORS
    assert ".sha256" in remedy


def test_videocrafter2s_file_is_looked_into(here: Path) -> None:
    path = here / "model.ckpt"
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert "is cut off" in said(here, "videocrafter2")[0]
    path.write_bytes(whole)
    rewrite(path, lambda state: state.pop("model.diffusion_model.out.2.bias"))
    found, _, next = said(here, "videocrafter2")
    assert f"{path}: " in found
    assert "lacks 1 tensors" in found
    assert next.endswith("/model.ckpt")
    path.unlink()
    (row,) = [row for row in examine_installation(here) if row["check"] == "weights videocrafter2"]
    assert row["status"] == "missing"


def test_pointers_empty_files_and_what_is_no_checkpoint_are_told(tmp_path: Path) -> None:
    for content, word in ((b"", "is empty"), (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS")):
        (tmp_path / "a.bin").write_bytes(content)
        assert word in damage(tmp_path / "a.bin")
    (tmp_path / "b.safetensors").write_bytes(b"\xff" * 40)
    assert "no safetensors file" in damage(tmp_path / "b.safetensors")
    torch.save({"a": torch.zeros(2, 3)}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    assert read_meta(tmp_path / "old.bin")["a"].shape == (2, 3)
    (tmp_path / "old.bin").write_bytes(b"\x80\x02 not a pickle")
    with pytest.raises(IntegrityError, match="cannot be read"):
        read_meta(tmp_path / "old.bin")

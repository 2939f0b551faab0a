"""Checkpoints are opened only after their digest matched, and never run."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mmbench.errors import IntegrityError, MMBenchError
from mmbench.weights import checkpoints as weights
from mmbench.weights.pickles import LIGHTNING
from tests.weights.support import BODY, Known, folder, put


class Payload:
    """Pickles as a call that leaves a mark."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("container", ["torch", "pickle", "tar"])
def test_a_pickle_that_runs_code_is_refused_and_not_run(known: Known, tmp_path: Path, container: str) -> None:
    import torch

    mark, buffer = tmp_path / "executed", io.BytesIO()
    payload = {"weight": torch.zeros(2), "extra": Payload(mark)}
    pickle.dump(payload, buffer, protocol=2) if container == "pickle" else torch.save(payload, buffer)
    data, member = buffer.getvalue(), ""
    if container == "tar":
        data, member = archive({"run/last.ckpt": data}), "*/last.ckpt"
    known(sha256=hashlib.sha256(data).hexdigest(), bytes=None)
    put(folder() / "net.bin", data)
    with pytest.raises(MMBenchError, match="holds more than tensors"):
        weights.load_state_dict("net", member)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Payload(mark)))
    assert mark.exists()  # the payload does work where pickles are trusted


def archive(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


@pytest.mark.parametrize("container", ["zip", "legacy", "safetensors", "tar", "folder"])
def test_state_dicts_are_read_from_every_container(known: Known, container: str) -> None:
    import safetensors.torch
    import torch

    state, buffer = {"weight": torch.arange(6.0).reshape(2, 3)}, io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=container != "legacy")
    data, file, member = buffer.getvalue(), "net.pt", ""
    if container == "safetensors":
        data, file = safetensors.torch.save(state), "net.safetensors"
    elif container == "tar":
        data, file, member = archive({"run/a.ckpt": data, "run/b.yaml": b""}), "net.tar.gz", "*/*.ckpt"
    elif container == "folder":
        file, member = "net", "unet/net.pt"
    known(file=file, sha256=None, bytes=None)
    put(folder() / file / member if container == "folder" else folder() / file, data)
    assert torch.equal(weights.load_state_dict("net", member)["weight"], state["weight"])
    if member:
        with pytest.raises(MMBenchError):
            weights.load_state_dict("net", "absent")


@pytest.mark.parametrize("opener", [weights.load_state_dict, weights.open_torchscript])
def test_nothing_is_opened_before_its_digest_matched(
    known: Known, monkeypatch: pytest.MonkeyPatch, opener: Callable[[str], Any]
) -> None:
    import torch

    known()
    put(folder() / "net.bin", BODY[::-1])
    monkeypatch.setattr(torch, "load", lambda *a, **k: pytest.fail("opened"))
    monkeypatch.setattr(torch.jit, "load", lambda *a, **k: pytest.fail("opened"))
    with pytest.raises(IntegrityError):
        opener("net")


def test_torchscript_opens_with_a_published_digest_only(known: Known, tmp_path: Path) -> None:
    import torch

    torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(str(tmp_path / "script.pt"))
    data = (tmp_path / "script.pt").read_bytes()
    known(sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))
    put(folder() / "net.bin", data)
    assert weights.open_torchscript("net")(torch.zeros(3, 2)).shape == (3, 2)
    known(sha256=None, bytes=len(data))
    weights.verify("net")  # even with a digest recorded on first use
    with pytest.raises(MMBenchError, match="nobody published its digest"):
        weights.open_torchscript("net")


@pytest.mark.parametrize("kept", [0.5, 0.0])
@pytest.mark.parametrize("container", ["zip", "legacy", "safetensors"])
def test_a_file_that_is_cut_off_says_how_to_get_it_again(known: Known, container: str, kept: float) -> None:
    import safetensors.torch
    import torch

    state, buffer = {"weight": torch.zeros(99)}, io.BytesIO()
    torch.save(state, buffer, _use_new_zipfile_serialization=container != "legacy")
    data = safetensors.torch.save(state) if container == "safetensors" else buffer.getvalue()
    known(file=f"net.{container}", sha256=None, bytes=None)
    put(folder() / f"net.{container}", data[: int(kept * len(data))])
    header_tells = container == "safetensors" or not kept
    what = r"(is empty|has \d+ bytes, and its header tells of)" if header_tells else "is damaged"
    with pytest.raises(IntegrityError, match=f"net.{container} {what}") as caught:
        weights.load_state_dict("net")
    if header_tells:  # before a digest was recorded, so that fetching replaces it
        assert str(caught.value.next).startswith("mmbench weights fetch net; it is http")
        assert not (folder() / f"net.{container}.sha256").exists()
    else:
        assert caught.value.next == f"delete it and {folder()}/net.{container}.sha256, then mmbench weights fetch net"


def test_what_lightning_names_in_a_checkpoint_does_nothing(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    named = {}
    for path in LIGHTNING:
        module, _, name = path.rpartition(".")
        named[name] = type(name, (dict,), {"__module__": module})
        parents = ["pytorch_lightning", module.rpartition(".")[0], module]
        for parent in parents:
            monkeypatch.setitem(sys.modules, parent, ModuleType(parent))
        setattr(sys.modules[module], name, named[name])
    callback, settings = named["ModelCheckpoint"], named["AttributeDict"](learning_rate=0.5)
    buffer = io.BytesIO()
    saved = {"state_dict": {"weight": torch.ones(2)}, "callbacks": {callback: {"best": 1.0}}}
    torch.save(saved | {"hyper_parameters": settings}, buffer)
    known(sha256=None, bytes=None)
    put(folder() / "net.bin", buffer.getvalue())
    read = weights.load_state_dict("net")
    assert read["state_dict"]["weight"].tolist() == [1, 1]
    assert read["hyper_parameters"] == {"learning_rate": 0.5}


def test_numbers_of_an_old_numpy_in_an_optimizer_are_read(known: Known) -> None:
    import numpy as np
    import torch

    saved = {"state_dict": {"weight": torch.ones(2)}, "optimizer": {"lr": np.float64(1e-4), "eps": np.float32(0.5)}}
    torch.save(saved, new := io.BytesIO())
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old := io.BytesIO(), "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b"numpy._core.", b"numpy.core."))
    assert b"numpy.core.multiarray" in old.getvalue()
    known(sha256=None, bytes=None)
    put(folder() / "net.bin", old.getvalue())
    read = weights.load_state_dict("net")
    assert (read["optimizer"], read["state_dict"]["weight"].tolist()) == ({"lr": 1e-4, "eps": 0.5}, [1, 1])


def test_arrays_of_numpy_in_a_checkpoint_are_not_made(known: Known) -> None:
    import torch

    buffer = io.BytesIO()
    sampler = {"indexes": np.arange(5), "pointer": 3}
    torch.save({"model": {"weight": torch.ones(2)}, "sampler": sampler}, buffer)
    known(sha256=None, bytes=None)
    put(folder() / "net.bin", buffer.getvalue())
    read = weights.load_state_dict("net")
    assert read["model"]["weight"].tolist() == [1, 1]
    assert [type(x).__name__ for x in read["sampler"].values()] == ["Skipped", "int"]


def test_of_several_checkpoints_in_an_archive_the_last_by_name_is_read(known: Known) -> None:
    import torch

    files = {}
    for epoch in (3, 12, 7):
        torch.save({"epoch": torch.tensor(epoch)}, buffer := io.BytesIO())
        files[f"run/checkpoints/epoch_{epoch:03}.ckpt"] = buffer.getvalue()
    known(file="net.tar.gz", sha256=None, bytes=None)
    put(folder() / "net.tar.gz", archive({**files, "run/configs/z.yaml": b"!!python/object:os.system {}"}))
    assert weights.load_state_dict("net", "*/checkpoints/*.ckpt")["epoch"] == 12


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.002])
def test_an_archive_that_is_cut_off_says_what_to_delete(known: Known, kept: float) -> None:
    import torch

    torch.save({"weight": torch.rand(9999)}, buffer := io.BytesIO())
    data = archive({"run/a.ckpt": buffer.getvalue()})
    known(file="net.tar.gz", sha256=None, bytes=None)
    put(folder() / "net.tar.gz", data[: int(kept * len(data))])
    with pytest.raises(IntegrityError, match=r"net\.tar\.gz is damaged: \w") as caught:
        weights.load_state_dict("net", "*/*.ckpt")
    assert caught.value.next == f"delete it and {folder()}/net.tar.gz.sha256, then mmbench weights fetch net"


def test_a_checkpoint_taken_out_of_its_archive_can_be_pointed_at(
    known: Known, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    torch.save({"weight": torch.ones(2)}, tmp_path / "last.ckpt")
    known(file="net.tar.gz", sha256=None, bytes=None)
    monkeypatch.setenv("MMBENCH_WEIGHTS_NET", str(tmp_path / "last.ckpt"))
    assert weights.load_state_dict("net", "*/checkpoints/*.ckpt")["weight"].tolist() == [1, 1]

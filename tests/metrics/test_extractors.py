"""What all extractors of networks promise."""

from __future__ import annotations

import pytest
import torch

from mmbench.metrics.extractors.bounce import BounceVideo
from mmbench.metrics.extractors.vggish import VGGishExtractor


def test_each_process_of_a_launcher_takes_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_LOCALID", raising=False)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    assert VGGishExtractor("random").device == torch.device("cuda")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert VGGishExtractor("random").device == BounceVideo().device == torch.device("cuda:1")
    assert VGGishExtractor("random", device="cuda:0").device == torch.device("cuda:0")
    assert VGGishExtractor("random", device="cpu").device == torch.device("cpu")

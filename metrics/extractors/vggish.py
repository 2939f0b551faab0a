"""VGGish embeddings of a sound, as FAD uses them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmbench.metrics.extractors.base import PublishedExtractor, require_sound
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip, Features, Modality
from mmbench.weights import checkpoints as published


class VGGishExtractor(PublishedExtractor):
    """(k, 128) `embedding` of a sound, one row per 0.96 s: k = 2 for clips of up to two seconds."""

    name = "vggish"
    modality: Modality = "audio"
    official = ("vggish",)
    preprocessing = "channel 0, centred, 16 kHz, zeros to 2 s, log-mel 96x64, before the last ReLU (1)"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.networks.audio_frontend import vggish_examples
        from mmbench.metrics.networks.vggish import prepare_waveform

        examples = [vggish_examples(prepare_waveform(require_sound(clip), clip.sample_rate)) for clip in batch]
        rows = network(torch.from_numpy(np.concatenate(examples)).to(self.device)).cpu().numpy()
        return [{"embedding": part} for part in np.split(rows, np.cumsum([len(x) for x in examples])[:-1])]

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.vggish import VGGish

        with torch.device("meta"):
            network = VGGish()
        load_state(network, published.load_state_dict("vggish"), "the VGGish weights", extra="leave")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.vggish import VGGish

        network = VGGish()
        fill_randomly(network, self.salt, bias_std=0.05)
        return network

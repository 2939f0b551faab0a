"""Features and class logits of a sound by PaSST and by Cnn14 of PANNs; one look serves distances, KL and scores."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from mmbench.errors import MMBenchError
from mmbench.metrics.extractors.base import PublishedExtractor, require_sound
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import load_state
from mmbench.types import Clip, Features, Modality, Spec
from mmbench.weights import checkpoints as published

CNN14_SECONDS = 0.31  # of 32 frames, which Cnn14 needs


class SoundClassifier(PublishedExtractor):
    """`embedding` (d,) and `logits` (527,) of the start of a sound, and whether all of it is `silent`.

    Random weights come in a small size.

    Args:
        seconds: How much of a sound is listened to; it is part of the name.
        weights: "real" or "random".
        **placement: As for every network: device, batch_size, salt.
    """

    modality: Modality = "audio"
    network_name: str
    default_batch_size = 4

    def __init__(self, seconds: int, weights: Literal["real", "random"] = "real", **placement: Any) -> None:
        super().__init__(weights, **placement)
        self.seconds, self.name = seconds, f"{self.network_name}_{seconds}s"

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and how much is listened to."""
        return {**super().spec(), "seconds": self.seconds}

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        sounds = [require_sound(clip) for clip in batch]
        spectra = [self._listen(audio, clip.sample_rate) for audio, clip in zip(sounds, batch, strict=True)]
        found: list[Features] = [{} for _ in batch]
        for shape in {x.shape for x in spectra}:  # sounds of one length go together
            alike = [i for i, x in enumerate(spectra) if x.shape == shape]
            rows = network(torch.from_numpy(np.stack([spectra[i] for i in alike])).to(self.device))
            for i, embedding, logits in zip(alike, *(x.cpu().numpy() for x in rows), strict=True):
                found[i] = {"embedding": embedding, "logits": logits, "silent": np.array(not sounds[i].any())}
        return found

    @abstractmethod
    def _listen(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        """The spectrogram that the network is given."""


class PaSSTExtractor(SoundClassifier):
    """PaSST's 768 features and 527 logits; it hears 10 s, what is shorter is completed with zeros."""

    network_name = "passt"
    official = ("passt",)
    preprocessing = "centred, 32 kHz, zeros to 10 s, log-mel 128x1000 (1)"

    def _listen(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        from mmbench.metrics.networks.sound_spectra import PASST_RATE, passt_mel, prepare_wave

        return passt_mel(prepare_wave(audio, sample_rate, PASST_RATE, self.seconds))

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.passt import FULL, UNUSED, PaSST

        with torch.device("meta"):
            network = PaSST(FULL)
        state = published.load_state_dict("passt")
        load_state(network, {k: v for k, v in state.items() if k not in UNUSED}, "the PaSST checkpoint")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.passt import SMALL, PaSST

        network = PaSST(SMALL)
        fill_randomly(network, self.salt)
        return network


class PANNExtractor(SoundClassifier):
    """Cnn14's 2048 features, after their ReLU, and 527 logits."""

    network_name = "pann"
    official = ("pann",)
    preprocessing = "centred, 16 kHz, log-mel 64 bands (1)"

    def _listen(self, audio: np.ndarray, sample_rate: int) -> np.ndarray:
        from mmbench.metrics.networks.cnn14 import MIN_FRAMES
        from mmbench.metrics.networks.sound_spectra import PANN_RATE, pann_log_mel, prepare_wave

        wave = prepare_wave(audio, sample_rate, PANN_RATE, self.seconds)
        if len(wave) < CNN14_SECONDS * PANN_RATE:
            need = f"{CNN14_SECONDS} s, {MIN_FRAMES} frames of its spectrogram"
            raise MMBenchError(f"The sound lasts {len(audio) / sample_rate:.2f} s, and Cnn14 needs {need}.")
        return pann_log_mel(wave)

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.networks.cnn14 import FRONT_END, Cnn14

        with torch.device("meta"):
            network = Cnn14()
        state = published.load_state_dict("pann")["model"]
        load_state(network, {k: v for k, v in state.items() if k not in FRONT_END}, "the Cnn14 checkpoint")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks.cnn14 import SMALL_WIDTHS, Cnn14

        network = Cnn14(widths=SMALL_WIDTHS)
        fill_randomly(network, self.salt)
        return network

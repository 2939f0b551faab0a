"""CLAP embeddings of sound and of text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from mmbench.metrics.extractors.base import PublishedExtractor, require_sound
from mmbench.networks.random_weights import fill_randomly
from mmbench.types import Clip, Features, Modality, Spec
from mmbench.weights import checkpoints as published


@dataclass(frozen=True)
class ClapProtocol:
    """Which CLAP listens, to what of a sound, and how much of a text it reads.

    Attributes:
        checkpoint: Name in `mmbench.weights.known`.
        seconds: What is heard from the beginning [s]; None hears all. Of more than 10 s the middle 10 s are taken.
        centred: The sound's mean is taken away first.
        resampler: Whose default resampling brings it to 48 kHz.
        tokens: Of a text, with its start and end; what is beyond is not read.
    """

    checkpoint: Literal["clap_htsat_base", "clap_htsat_unfused"]
    seconds: float | None
    centred: bool
    resampler: Literal["torchaudio", "librosa"]
    tokens: int


class ClapTower(PublishedExtractor):
    """A tower of CLAP: `embedding`, a unit vector (512,); random weights come in a small size, (20,).

    Args:
        protocol: What it hears or reads; of its name, the checkpoint.
        weights: "real" or "random".
        **placement: As for every network: device, batch_size, salt.
    """

    tower: ClassVar[Literal["audio", "text"]]

    def __init__(self, protocol: ClapProtocol, weights: Literal["real", "random"] = "real", **placement: Any) -> None:
        self.protocol = protocol
        self.name = f"{protocol.checkpoint}_{self.tower}"
        self.official = (protocol.checkpoint,) if self.tower == "audio" else (protocol.checkpoint, "roberta_bpe")
        super().__init__(weights, **placement)

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and the protocol."""
        return {**super().spec(), **asdict(self.protocol)}

    def _real(self) -> Any:
        from mmbench.metrics.networks import clap

        sizes = {"clap_htsat_base": clap.HTSAT_BASE, "clap_htsat_unfused": clap.HTSAT_TINY}
        network = clap.TOWERS[self.tower](sizes[self.protocol.checkpoint])
        state = published.load_state_dict(self.protocol.checkpoint)
        state = clap.from_official(state.get("state_dict", state))
        clap.load_tower(network, self.tower, state, f"the weights {self.protocol.checkpoint}")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.networks import clap

        network = clap.TOWERS[self.tower](clap.SMALL)
        fill_randomly(network, self.salt)
        return network


class ClapAudio(ClapTower):
    """`embedding` of a sound, and whether it is `silent`: digital silence in all that is heard of it."""

    modality: Modality = "audio"
    preprocessing = "repeated or the middle of it to 10 s at 48 kHz, log-mel 1001x64, float64 (1)"
    tower = "audio"
    default_batch_size = 8

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.networks.clap_preprocess import log_mel

        waves = [self._prepared(clip) for clip in batch]
        mels = torch.from_numpy(np.stack([log_mel(wave) for wave in waves])).to(self.device)
        rows = network(mels).cpu().numpy()
        return [{"embedding": row, "silent": np.array(not wave.any())} for row, wave in zip(rows, waves, strict=True)]

    def _prepared(self, clip: Clip) -> np.ndarray:
        from mmbench.metrics.networks.clap_preprocess import prepare_waveform

        how = self.protocol
        return prepare_waveform(
            require_sound(clip),
            clip.sample_rate,
            seconds=how.seconds,
            centred=how.centred,
            resampler=how.resampler,
        )


class ClapText(ClapTower):
    """`embedding` of a text; random weights come with tokens of single bytes, so that they need no file."""

    modality: Modality = "text"
    preprocessing = "RoBERTa tokens, the end kept (1)"
    tower = "text"

    @cached_property
    def tokenizer(self) -> Any:
        """A text to its tokens."""
        from mmbench.metrics.networks.roberta_tokens import RobertaTokens

        return RobertaTokens(published.verify("roberta_bpe").path if self.weights == "real" else None)

    def _features(self, network: Any, batch: Sequence[str]) -> list[Features]:
        import torch

        # one at a time: padding beside a longer text would change the last bits of equal prompts
        rows = [torch.from_numpy(self.tokenizer(text, self.protocol.tokens)).to(self.device) for text in batch]
        return [{"embedding": network(row, torch.ones_like(row)).cpu().numpy()[0]} for row in rows]

"""The feature networks as extractors: I3D logits, VGGish embeddings, ImageBind embeddings of video, sound and text.

Importing this needs no torch; a network is built, and its weights are looked for, at the first clip. Features are
float32 with TF32 off, and do not depend on how clips are batched, up to rounding.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from mmbench import weights as published
from mmbench.errors import MMBenchError, UsageError
from mmbench.known_weights import KNOWN
from mmbench.metrics.feature_networks import exact_float32, fill_randomly, load_needed
from mmbench.types import Clip, Features, Modality, Spec, Weights


class NetworkExtractor(ABC):
    """A network with its weights and its place in memory.

    Args:
        weights: "real" takes the published file, "random" a deterministic stand-in for tests and dry runs.
        device: A torch device; "auto" takes a GPU if there is one.
        batch_size: Clips or texts in a batch, and ImageBind views that go through the network at a time.
        salt: Another salt gives other random weights.
    """

    name: str
    modality: Modality
    official: ClassVar[tuple[str, ...]]  # names in mmbench.known_weights
    preprocessing: ClassVar[str]  # how input is made; changes whenever its output does
    default_batch_size: ClassVar[int] = 16

    def __init__(
        self,
        weights: Literal["real", "random"] = "real",
        *,
        device: str = "auto",
        batch_size: int | None = None,
        salt: str = "",
    ) -> None:
        if weights not in ("real", "random"):
            raise UsageError(f"{self.name} has no {weights!r} weights.", "real or random")
        self.weights: Weights = weights
        self.batch_size = batch_size or self.default_batch_size
        self.salt, self._device = salt, device

    def spec(self) -> Spec:
        """Digests of the weights, and how their input is made."""
        real = "+".join(str(KNOWN[name].sha256) for name in self.official)
        return {
            "weights": real if self.weights == "real" else f"random-{self.salt}",
            "preprocessing": self.preprocessing,
        }

    @cached_property
    def device(self) -> Any:
        """The torch device in use."""
        import torch

        auto = "cuda" if torch.cuda.is_available() else "cpu"
        return torch.device(auto if self._device == "auto" else self._device)

    @cached_property
    def network(self) -> Any:
        """The network with its weights, on the device."""
        return self._load().to(self.device)

    def prepare(self) -> None:
        """Look for the weights, so that missing ones are known before any clip is made or decoded.

        Raises:
            MMBenchError: They are not here; says how to fetch them.
        """
        if self.weights == "real":
            for name in self.official:
                published.locate(name)

    def extract(self, batch: Sequence[Any]) -> list[Features]:
        """Features of each clip or text, in exact float32.

        Raises:
            MMBenchError: The weights are not here, or a clip is too short or without sound.
        """
        network = self.network
        with exact_float32():
            return self._features(network, batch)

    @abstractmethod
    def _features(self, network: Any, batch: Sequence[Any]) -> list[Features]:
        """Features of clips or texts, one after the other."""

    @abstractmethod
    def _load(self) -> Any:
        """The network with its weights."""


class PublishedExtractor(NetworkExtractor):
    """A network whose weights somebody published, or the same network with random ones."""

    def _load(self) -> Any:
        return self._real() if self.weights == "real" else self._random()

    @abstractmethod
    def _real(self) -> Any:
        """The network with the published weights."""

    @abstractmethod
    def _random(self) -> Any:
        """The network with random weights."""


def _sound(clip: Clip) -> np.ndarray:
    if not len(clip.audio):
        raise MMBenchError("The clip has no audio.", "at least one sample")
    return clip.audio


class I3DExtractor(PublishedExtractor):
    """(400,) `logits` of the first frames of a video, averaged over time: what StyleGAN-V computes FVD from.

    Args:
        weights: "real" or "random".
        num_frames: Frames looked at; a shorter clip is refused, as fewer frames give another feature.
        **placement: As for every network: device, batch_size, salt.
    """

    name = "i3d"
    modality: Modality = "video"
    official = ("i3d",)
    preprocessing = "uint8, bilinear 224x224, [-1, 1], BN epsilon 1e-3, mean logits (1)"
    default_batch_size = 8

    def __init__(self, weights: Literal["real", "random"] = "real", *, num_frames: int = 16, **placement: Any) -> None:
        super().__init__(weights, **placement)
        self.num_frames = num_frames

    def spec(self) -> Spec:
        """Digest of the weights, preprocessing, and how many frames."""
        return {**super().spec(), "num_frames": self.num_frames}

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.i3d import preprocess

        for clip in batch:
            if len(clip.video) < self.num_frames:
                raise MMBenchError(f"The clip has {len(clip.video)} frames.", f"at least {self.num_frames} for FVD")
        frames = (torch.from_numpy(clip.video[None, : self.num_frames]).to(self.device) for clip in batch)
        logits = network(torch.cat([preprocess(x) for x in frames]))
        return [{"logits": row} for row in logits.cpu().numpy()]

    def _real(self) -> Any:
        from mmbench.metrics.i3d_torchscript import check_against_torchscript, read_state

        script = published.open_torchscript("i3d")
        network = read_state(script.state_dict())
        check_against_torchscript(network, script)
        return network

    def _random(self) -> Any:
        from mmbench.metrics.i3d import I3D

        network = I3D()
        fill_randomly(network, self.salt)
        return network


class VGGishExtractor(PublishedExtractor):
    """(k, 128) `embedding` of a sound, one row per 0.96 s: k = 2 for clips of up to two seconds."""

    name = "vggish"
    modality: Modality = "audio"
    official = ("vggish",)
    preprocessing = "channel 0, centred, 16 kHz, zeros to 2 s, log-mel 96x64, before the last ReLU (1)"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        import torch

        from mmbench.metrics.audio_frontend import vggish_examples
        from mmbench.metrics.vggish import prepare

        examples = [vggish_examples(prepare(_sound(clip), clip.sample_rate)) for clip in batch]
        rows = network(torch.from_numpy(np.concatenate(examples)).to(self.device)).cpu().numpy()
        return [{"embedding": part} for part in np.split(rows, np.cumsum([len(x) for x in examples])[:-1])]

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.vggish import VGGish

        with torch.device("meta"):
            network = VGGish()
        load_needed(network, published.load_state_dict("vggish"), "the VGGish weights")
        return network

    def _random(self) -> Any:
        from mmbench.metrics.vggish import VGGish

        network = VGGish()
        fill_randomly(network, self.salt, bias_std=0.05)
        return network


class ImageBindTower(PublishedExtractor):
    """One tower of ImageBind: (1024,) `embedding`; random weights come in a small size, (20,)."""

    tower: ClassVar[str]

    def _real(self) -> Any:
        import torch

        from mmbench.metrics.imagebind import HUGE, ImageBind, load_towers

        with torch.device("meta"):
            network = ImageBind(HUGE, [self.tower])
        # mapped, not read: the file holds six towers
        state = torch.load(published.verify("imagebind").path, map_location="cpu", mmap=True, weights_only=True)
        load_towers(network, state)
        return network

    def _random(self) -> Any:
        from mmbench.metrics.imagebind import SMALL, ImageBind

        network = ImageBind(SMALL, [self.tower])
        fill_randomly(network, self.salt)
        return network


class ImageBindVideo(ImageBindTower):
    """`embedding` of a video: the mean over ImageBind's 15 views, of which only distinct ones are computed."""

    name = "imagebind_video"
    modality: Modality = "video"
    official = ("imagebind",)
    preprocessing = "5 clips of 2 frames, bilinear 224, 3 crops, mean of unit vectors (1)"
    tower = "vision"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        from mmbench.metrics.imagebind_preprocess import mean_over_views, video_views

        views = [video_views(clip.video, float(clip.fps)) for clip in batch]
        rows = mean_over_views(lambda x: network.embed_vision(x.to(self.device)), views, self.batch_size)
        return [{"embedding": row} for row in rows.cpu().numpy()]


class ImageBindAudio(ImageBindTower):
    """`embedding` of a sound: the mean over ImageBind's three views, of which only distinct ones are computed."""

    name = "imagebind_audio"
    modality: Modality = "audio"
    official = ("imagebind",)
    preprocessing = "16 kHz, 3 clips, centred in place, Kaldi filter bank 128x204, float64 (1)"
    tower = "audio"

    def _features(self, network: Any, batch: Sequence[Clip]) -> list[Features]:
        from mmbench.metrics.imagebind_preprocess import audio_views, mean_over_views

        views = [audio_views(_sound(clip), clip.sample_rate) for clip in batch]
        rows = mean_over_views(lambda x: network.embed_audio(x.to(self.device)), views, self.batch_size)
        return [{"embedding": row} for row in rows.cpu().numpy()]


class ImageBindText(ImageBindTower):
    """`embedding` of a text; random weights come with tokens of single bytes, so that they need no file."""

    name = "imagebind_text"
    modality: Modality = "text"
    official = ("imagebind", "clip_bpe")
    preprocessing = "CLIP tokens, 77 with the end kept (1)"
    tower = "text"

    @cached_property
    def tokenizer(self) -> Any:
        """Texts to (n, 77) int64."""
        from mmbench.metrics.imagebind_text import ClipTokenizer

        return ClipTokenizer(published.verify("clip_bpe").path if self.weights == "real" else None)

    def _features(self, network: Any, batch: Sequence[str]) -> list[Features]:
        import torch

        tokens = torch.from_numpy(self.tokenizer(batch)).to(self.device)
        return [{"embedding": row} for row in network.embed_text(tokens).cpu().numpy()]

"""SpecVQGAN put together: frames of a clip, ResNet-50, transformer, decoder and vocoder; and its published files.

Sizes: v-iashin/SpecVQGAN@33c601d:configs/vggsound_transformer.yaml, configs/vggsound_codebook.yaml. As the original
loader does, what no network needs is left out of the checkpoint; what a network needs must be there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.baselines.models.specvqgan import features as rules
from mmbench.baselines.models.specvqgan.decoder import VQDecoder, code_grid
from mmbench.baselines.models.specvqgan.gpt import GPTFeats, generate_codes, sampler
from mmbench.baselines.models.specvqgan.melgan import MelGAN, load_melgan
from mmbench.baselines.models.specvqgan.resnet import ResNet
from mmbench.baselines.parts.loading import Parts
from mmbench.console import log
from mmbench.errors import MMBenchError
from mmbench.media.resample import resample_video
from mmbench.networks.devices import exact_float32
from mmbench.networks.random_weights import fill_randomly
from mmbench.networks.state_dicts import State, load_state, part
from mmbench.types import Clip, Request, Weights
from mmbench.weights import checkpoints as published
from mmbench.weights import locations

HEIGHT, WIDTH = 5, 53  # codes: mel bands by time
STREAM = "specvqgan codes"
RESNET: Mapping[str, Any] = {"layers": (3, 4, 6, 3), "width": 64}
TRANSFORMER: Mapping[str, Any] = {
    "feat_depth": 2048,
    "vocab_size": 1024,
    "block_size": rules.COLUMNS + HEIGHT * WIDTH,
    "n_layer": 24,
    "n_head": 16,
    "n_embd": 1024,
}
DDCONFIG: Mapping[str, Any] = {
    "ch": 128,
    "out_ch": 1,
    "ch_mult": (1, 1, 2, 2, 4),
    "num_res_blocks": 2,
    "attn_resolutions": (WIDTH,),
    "resolution": 16 * WIDTH,
    "z_channels": 256,
}
CODEBOOK: Mapping[str, Any] = {"n_embed": 1024, "embed_dim": 256, "ddconfig": DDCONFIG}
MELGAN: Mapping[str, Any] = {"input_size": 16 * HEIGHT, "ngf": 32, "n_residual_layers": 3}
TINY: Mapping[str, Mapping[str, Any]] = {
    "resnet": {"layers": (1, 1, 1, 1), "width": 4},
    "transformer": {"feat_depth": 128, "n_layer": 2, "n_head": 2, "n_embd": 32},
    "decoder": {
        "embed_dim": 16,
        "ddconfig": {**DDCONFIG, "ch": 32, "ch_mult": (1,) * 5, "num_res_blocks": 0, "z_channels": 16},
    },
    "melgan": {"ngf": 2, "n_residual_layers": 1},
}
CHECKPOINT = "*/checkpoints/*.ckpt"  # in the published archive
UNREAD = re.compile(  # the first stage's encoder and losses, and the order of codes, which is a rule here
    r"first_stage_model\.(encoder|quant_conv|loss)\..+|first_stage_permuter\..+|cond_stage_\w+\..+"
)


class SpecVQGANModel:
    """The networks, and what they do with clips.

    Args:
        weights: "real", "random" or "tiny".
        device: Where they run.
        dtype: Precision of the transformer; None leaves float32, as the others have it always.
        together: Samples that go through the transformer together; batches are filled up to it with copies, so that
            the arithmetic of a sample is the same whatever batch it came in.
    """

    def __init__(self, weights: Weights, device: str, dtype: torch.dtype | None, together: int) -> None:
        names = ("resnet50", "specvqgan_transformer", "specvqgan_melgan")
        eyes, heart, voice = (Parts(name, weights, device, dtype) for name in names)
        self.device, self.together = device, together
        if weights == "real":
            with torch.device("meta"):  # every tensor comes from a file, without a copy
                resnet, gpt = ResNet(**RESNET), GPTFeats(**TRANSFORMER)
                decoder, melgan = VQDecoder(**CODEBOOK), MelGAN(**MELGAN)
            load_published(resnet, gpt, decoder, melgan)
        else:
            resnet = eyes.new(ResNet, RESNET, TINY["resnet"], "resnet")
            gpt = heart.new(GPTFeats, TRANSFORMER, TINY["transformer"], "transformer")
            decoder = heart.new(VQDecoder, CODEBOOK, TINY["decoder"], "decoder")
            melgan = voice.new(MelGAN, MELGAN, TINY["melgan"], "melgan")
            for network in (resnet, gpt, decoder, melgan):
                fill_randomly(network, type(network).__name__)  # torch's own start would fade to one constant sound
        self.resnet, self.gpt = eyes.place(resnet), heart.denoiser(gpt)
        self.decoder, self.melgan = heart.place(decoder), voice.place(melgan)

    def features(self, clip: Clip) -> Tensor:
        """(feat_depth, 5) features of the frames that the transformer is given."""
        video = resample_video(clip, rules.FPS).video
        pixels = np.stack([rules.crop_frame(video[row]) for row in rules.rows_of_clip(len(video))])
        return self.resnet(torch.from_numpy(rules.normalize(pixels)).to(self.device)).T

    def codes(self, requests: Sequence[Request], feats: Tensor, top_k: int, temperature: float) -> Tensor:
        """(n, 265) codes for features (n, feat_depth, 5), drawn with each request's own numbers."""
        made = []
        for k in range(0, len(requests), self.together):
            rows, mine = requests[k : k + self.together], feats[k : k + self.together]
            fill = self.together - len(rows)
            uniforms = np.stack([request.rng(STREAM).random(HEIGHT * WIDTH) for request in rows])
            choose = sampler(np.pad(uniforms, ((0, fill), (0, 0)), "edge"), top_k, temperature)
            filled = torch.cat([mine, mine[-1:].expand(fill, -1, -1)])
            made.append(generate_codes(self.gpt, filled, HEIGHT * WIDTH, choose)[: len(rows)])
        return torch.cat(made)

    def waves(
        self, requests: Sequence[Request], clips: Sequence[Clip], top_k: int, temperature: float
    ) -> list[np.ndarray]:
        """Sounds of clips, (217088,) float32 in [-1, 1] at 22,050 Hz each."""
        with exact_float32():
            feats = torch.stack([self.features(clip) for clip in clips])
            made = []
            for codes in self.codes(requests, feats, top_k, temperature).split(1):  # one at a time: bounded memory
                spectrogram = self.decoder(code_grid(codes, HEIGHT, WIDTH))
                made.append(self.melgan(spectrogram[:, 0])[0, 0].cpu().numpy())
        return made


def load_published(resnet: nn.Module, gpt: nn.Module, decoder: nn.Module, melgan: MelGAN) -> None:
    """Fill the networks from the published files, whose digests are checked first.

    Raises:
        MMBenchError: A file is not here, is damaged or is of another model; says how to get it.
    """
    fill("resnet50", "", lambda state, source: report(load_state(resnet, state, source, extra="leave"), source))
    fill("specvqgan_transformer", CHECKPOINT, lambda state, source: load_checkpoint(gpt, decoder, state, source))
    fill("specvqgan_melgan", "", lambda state, _: load_melgan(melgan, state))


def load_checkpoint(gpt: nn.Module, decoder: nn.Module, state: State, source: str) -> None:
    """Load `transformer.*` and what of `first_stage_model.*` decodes; tell of tensors that nobody knows."""
    left = []
    for network, prefix in ((gpt, "transformer."), (decoder, "first_stage_model.")):
        left += [
            f"{prefix}{name}"
            for name in load_state(network, part(state, prefix), f"{prefix}* of {source}", extra="leave")
        ]
    left += [name for name in state if not name.startswith(("transformer.", "first_stage_model."))]
    report([name for name in left if not UNREAD.fullmatch(name)], source)


def report(unknown: Sequence[str], source: str) -> None:
    """Warn of tensors that nothing reads."""
    if unknown:
        log.warning("%s holds %d tensors that nothing reads, first %s.", source, len(unknown), unknown[0])


def fill(name: str, member: str, load: Any) -> None:
    """Give `load` the tensors of a published file and its path; errors say where the right one comes from."""
    path = published.verify(name).path
    held = published.load_state_dict(name, member)
    held = held.get("state_dict", held) if isinstance(held, Mapping) else {}
    try:
        load({key: value for key, value in held.items() if isinstance(value, Tensor)}, str(path))
    except MMBenchError as error:
        expected = f"{error.expected}, as {locations.entry(name).page} has it"
        raise MMBenchError(error.found, expected, f"move {path} away, then mmbench weights fetch {name}") from error

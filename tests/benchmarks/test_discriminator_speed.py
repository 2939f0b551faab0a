"""Time of each discriminator against the plain computation in the official layouts.

Official: two calls in float32, one per text condition, each with its own graph. Ours: one call with both texts, and
one gradient per modality of their weighted sum, which is classifier-free guidance; for the second gradient, one batch
of pairs with and without text. Discriminators without text are called once either way. Run with `--benchmark-enable`;
`extra_info["ratio"]` is official over ours, medians of CPU time (all threads) in interleaved runs.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.mmdisco.design import DiscriminatorConfig, in_domain, out_of_domain
from mmbench.mmdisco.discriminator import Discriminator
from mmbench.types import DESIGNS
from tests.mmdisco.plain import plain_logit

BATCH, ROUNDS = 4, 5
WEIGHTS = (7.5, 2.5)  # of classifier-free guidance, video and audio
Call = Callable[..., Tensor]


def config_of(design: Any, form: str, timed: bool) -> DiscriminatorConfig:
    size: dict[str, Any] = {"fusion_channels": 64, "vit_channels": 64, "vit_layers": 2, "num_blocks": 2 if timed else 1}
    size["video_size"] = (16, 16, 16) if timed else (2, 8, 8)
    if form == "waveform":
        return in_domain(design, channels=32, **size, audio_size=(3200 if timed else 400,), audio_patch=(100,))
    return out_of_domain(design, channels=32, **size, audio_size=(50, 16) if timed else (5, 8))


class Case:
    """One discriminator with its inputs, both ways."""

    def __init__(self, config: DiscriminatorConfig) -> None:
        torch.manual_seed(0)
        self.model = Discriminator(config)
        for p in self.model.parameters():
            if p.ndim > 1:  # zero-initialised layers would hide everything behind them
                p.data = torch.randn_like(p) * p[0].numel() ** -0.5
        state = dict(self.model.named_parameters())
        self.official: Call = lambda *inputs: plain_logit(state, config, *inputs)
        self.video = torch.randn(BATCH, config.video_channels, *config.video_size)
        self.audio = torch.randn(BATCH, config.audio_channels, *config.audio_size)
        self.t = torch.randint(0, 1000, (BATCH,))
        widths = (config.video_text_channels, config.audio_text_channels)
        self.texts = [torch.randn(2 * BATCH, width) for width in widths if width is not None]
        halves = [text.chunk(2) for text in self.texts]
        self.each = [[half[k] for half in halves] for k in range(2)] if self.texts else [[]]

    def leaves(self, times: int = 1) -> tuple[Tensor, Tensor, Tensor]:
        video, audio, t = (torch.cat([z] * times) for z in (self.video, self.audio, self.t))
        return video.requires_grad_(), audio.requires_grad_(), t

    def forward(self, ours: bool) -> list[Tensor]:
        with torch.no_grad():
            if ours:
                return [self.model(*self.leaves(len(self.each)), *self.texts)]
            return [torch.cat([self.official(self.video, self.audio, self.t, *text) for text in self.each])]

    def gradient(self, ours: bool) -> list[Tensor]:
        """Guidance: u + w (c - u) of the gradients of both conditions."""
        if ours:
            inputs = self.leaves(len(self.each))
            both = torch.autograd.grad(self.model(*inputs, *self.texts).sum(), inputs[:2])
            halves = [z.chunk(2) for z in both] if self.texts else [(z, z) for z in both]
            return [u + w * (c - u) for (c, u), w in zip(halves, WEIGHTS, strict=True)]
        gradients = []
        for text in self.each:
            inputs = self.leaves()
            gradients.append(torch.autograd.grad(self.official(*inputs, *text).sum(), inputs[:2]))
        conditional, unconditional = gradients[0], gradients[-1]
        return [u + w * (c - u) for c, u, w in zip(conditional, unconditional, WEIGHTS, strict=True)]

    def second_gradient(self, ours: bool) -> list[Tensor]:
        """The parameter gradient of h + |grad h|^2, as in training, for pairs with text and without in one batch."""
        self.model.zero_grad(set_to_none=True)
        for text in [self.texts] if ours else self.each:
            repeats = len(self.each) if ours else 1
            video, audio, t = (torch.cat([z] * repeats) for z in (self.video, self.audio, self.t))
            video, audio = video.requires_grad_(), audio.requires_grad_()
            h = (self.model if ours else self.official)(video, audio, t, *text)
            gradients = torch.autograd.grad(h.sum(), (video, audio), create_graph=True)
            loss = h.sum() + torch.stack([g.square().sum() for g in gradients]).sum()
            loss.backward(inputs=list(self.model.parameters()))
        return [p.grad for p in self.model.parameters() if p.grad is not None]


def cpu_time(function: Callable[[], Any]) -> float:
    """CPU seconds of one call: unlike wall time, hardly disturbed by what else the machine does."""
    start = time.process_time()
    function()
    return time.process_time() - start


def agree(ours: list[Tensor], official: list[Tensor]) -> bool:
    largest = max(b.abs().max().item() for b in official)
    return all(torch.allclose(a, b, rtol=1e-3, atol=1e-4 * largest) for a, b in zip(ours, official, strict=True))


@pytest.mark.parametrize("stage", ["forward", "gradient", "second_gradient"])
@pytest.mark.parametrize("form", ["latent", "waveform"])
@pytest.mark.parametrize("design", DESIGNS)
def test_step_time(benchmark: Any, design: str, form: str, stage: str) -> None:
    case = Case(config_of(design, form, benchmark.enabled))
    run: Callable[[bool], list[Tensor]] = getattr(case, stage)
    assert agree(run(True), run(False)), "a timing counts only if the result is right"
    if benchmark.enabled:
        times = [(cpu_time(lambda: run(False)), cpu_time(lambda: run(True))) for _ in range(ROUNDS)]
        official, ours = (statistics.median(column) for column in zip(*times, strict=True))
        benchmark.extra_info.update(official_s=official, ours_s=ours, ratio=official / ours)
    benchmark.pedantic(run, args=(True,), rounds=1)

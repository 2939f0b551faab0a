"""At which pairs of noise levels a discriminator tells a video's own sound from that of another clip of its text.

    python results/tiny/level_pairs.py DISCRIMINATOR.safetensors ...

Real clips that it was not trained on (those of `decomposition.py`), noised: the video to the t of the row, the sound to
that of the column. A share: how often the own sound has the higher logit, over pairs of different clips of one text.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from decomposition import NUM, SEED, held_out, others
from torch import Tensor

from mmbench.mmdisco.discriminator import load_discriminator
from mmbench.mmdisco.losses import Pair, add_noise
from mmbench.mmdisco.pairs import generator

VIDEO_LEVELS, AUDIO_LEVELS = (0, 200, 400, 600, 700, 800, 900), (400, 600, 700, 800, 900, 950)


@torch.no_grad()
def main(files: Sequence[str]) -> None:
    """Print a table for each discriminator."""
    torch.set_num_threads(1)
    system, requests, real = held_out(NUM)
    pair, texts = system.pair(), [r.prompt.text for r in requests]
    text = pair.texts(texts)
    first, second = map(torch.from_numpy, others(texts))
    at: list[dict[int, Tensor]] = []
    for k, (clean, levels) in enumerate(zip(real, (VIDEO_LEVELS, AUDIO_LEVELS), strict=True)):
        noised = {}
        for t in levels:
            abar = pair.schedules[k].alphas_cumprod[t].expand(len(clean))
            noised[t] = add_noise(clean, torch.randn(clean.shape, generator=generator(SEED, "level pairs", k, t)), abar)
        at.append(noised)
    for file in files:
        judge = load_discriminator(Path(file)).eval()
        print(f"\n{Path(file).parent.name}/{Path(file).name}, {len(first)} pairs of {len(texts)} clips\n")
        print("| video \\ sound | " + " | ".join(map(str, AUDIO_LEVELS)) + " |")
        print("|---" * (len(AUDIO_LEVELS) + 1) + "|")
        for t_video in VIDEO_LEVELS:
            cells = []
            for t_audio in AUDIO_LEVELS:
                state, times = (at[0][t_video], at[1][t_audio]), (t_video, t_audio)
                own = logits(judge, state, times, text, torch.arange(len(texts)), torch.arange(len(texts)))
                other = logits(judge, state, times, text, first, second)
                cells.append(f"{float((own[first] > other).double().mean()):.3f}")
            print(f"| {t_video} | " + " | ".join(cells) + " |", flush=True)


def logits(judge: Any, state: Pair, times: tuple[int, int], text: Pair, videos: Tensor, sounds: Tensor) -> Tensor:
    """The logits (m,) of m videos and m sounds, by index, with the videos' texts."""
    parts = []
    for video, sound in zip(videos.split(64), sounds.split(64), strict=True):
        t = tuple(torch.full((len(video),), level) for level in times)
        parts.append(judge(state[0][video], state[1][sound], t, *[z[video] for z in text]))
    return torch.cat(parts)


if __name__ == "__main__":
    main(sys.argv[1:])

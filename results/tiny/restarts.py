"""At which noise are balls lost? Real clips get noise, the video model of `tiny` takes it away, balls are counted.

    python results/tiny/restarts.py --num 128 --seed 907             # with the refiner, then without

Latents of real clips are noised to where the sampler stands after so many of its 25 evaluations, and it goes on from
there: what is wrong at the end was lost in the evaluations that remain. "all" starts from noise alone. Rows are those
of `scenes.py`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from scenes import RULES, rows
from torch import Tensor

from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.networks import SCHEDULES, VIDEO_LATENT, unpack, words_of
from mmbench.baselines.models.tiny.pair import pixels
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.datasets.bounce_world.seen_balls import Shown, judge, seen_balls
from mmbench.mmdisco.losses import add_noise
from mmbench.mmdisco.samplers import make_scheduler
from mmbench.registry import make_dataset

FILE, STEPS, BATCH = SHIPPED / "tiny.safetensors", 25, 16


class Restarts:
    """Real clips and the sampler that begins anywhere.

    Args:
        num: Clips.
        seed: Of them and of all noise.
    """

    def __init__(self, num: int, seed: int) -> None:
        self.seed, self.codec = seed, unpack("video_codec", FILE)
        reference = make_dataset("bounce").reference(num, seed)
        items = [reference[i] for i in range(num)]
        self.asked = [item.prompt.data for item in items]
        self.words = torch.stack([words_of(item.prompt.text) for item in items])
        self.latents = torch.stack([self.encode(item.clip.video) for item in items])

    @torch.inference_mode()
    def encode(self, video: np.ndarray) -> Tensor:
        """Latents (4, 16, 8, 8) of frames."""
        codec: Any = self.codec
        z: Tensor = codec.encode(torch.from_numpy(video).permute(0, 3, 1, 2).float() / 127.5 - 1)
        return z.transpose(0, 1)

    @torch.inference_mode()
    def go_on(self, model: Any, done: int, first: int) -> Tensor:
        """Latents of one batch after the evaluations that remain after `done` of them."""
        scheduler = make_scheduler("sde-dpmsolver++2m", SCHEDULES[0])
        scheduler.set_timesteps(STEPS)
        scheduler.set_begin_index(done)
        clean, words = self.latents[first : first + BATCH], self.words[first : first + BATCH]
        generators = [torch.Generator().manual_seed(1000 * self.seed + first + i) for i in range(len(clean))]
        x = torch.stack([torch.randn(VIDEO_LATENT, generator=g) for g in generators])
        t0 = scheduler.timesteps[done].expand(len(x))
        x = add_noise(clean, x, SCHEDULES[0].alphas_cumprod[t0]) if done else x
        for t in scheduler.timesteps[done:]:
            noise = model.epsilon(x, t.expand(len(x)), model.words(words))
            x = scheduler.step(noise, t, x, generator=generators).prev_sample
        return x

    @torch.inference_mode()
    def shown(self, model: Any, done: int) -> dict[int, list[Shown]]:
        """What the clips show, by the number of balls asked for."""
        found: dict[int, list[Shown]] = {}
        codec: Any = self.codec
        for first in range(0, len(self.asked), BATCH):
            for i, x in enumerate(self.go_on(model, done, first), first):
                video = np.rint(255 * pixels(codec.decode(x.transpose(0, 1))).clip(0, 1)).astype(np.uint8)
                asked = self.asked[i]
                found.setdefault(asked["num_balls"], []).append(
                    judge(seen_balls(video), asked["material"], asked["num_balls"])
                )
        return found


def main(words: Sequence[str]) -> None:
    """Print the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num", type=int, default=128, help="clips")
    parser.add_argument("--seed", type=int, default=907, help="of clips and noise")
    parser.add_argument("--done", type=int, nargs="+", default=[0, 5, 11, 17], help="evaluations that are left out")
    arguments = parser.parse_args(words)
    torch.set_num_threads(1)
    denoiser: Any = unpack("video_model", FILE)
    refiner: Any = unpack("video_refiner", FILE)
    restarts = Restarts(arguments.num, arguments.seed)
    print("| video model, evaluations | balls | n | " + " | ".join(RULES) + " |")
    print("|---" * (3 + len(RULES)) + "|")
    for name, model in (("refined", RefinedDenoiser(denoiser, refiner)), ("not refined", denoiser)):
        for done in arguments.done:
            rows(f"{name}, {f'the last {STEPS - done}' if done else 'all'}", restarts.shown(model, done))


if __name__ == "__main__":
    main(sys.argv[1:])

"""Bounce: balls of known materials in a room, every impact seen and heard; made here, exact, without files.

The joint distribution of picture and sound is known: sounds start at impact times that solve the equations of motion,
are louder for faster impacts and lower for bigger balls. An item is a pure function of (seed, split, index).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import overload

import numpy as np

from mmbench.datasets.bounce_world.scene import draw_scene, film, record
from mmbench.datasets.bounce_world.world import HEAVY, STANDARD, World
from mmbench.registry import register
from mmbench.types import Clip, ClipFormat, Item, Prompt, Request, Spec

VERSION = 1
FORMAT = ClipFormat(num_frames=16, height=64, width=64, fps=8.0, num_samples=32000, sample_rate=16000)
NUM_REFERENCE = 2048  # items of a reference set by default
PHRASES = {
    ("any", 1): "a {} ball bouncing",
    ("small", 1): "a small {} ball bouncing",
    ("large", 1): "a large {} ball bouncing",
    ("any", 2): "two {} balls bouncing",
}


def keyed_rng(*key: object) -> np.random.Generator:
    """A generator seeded by the sha256 of a key; keys of requests begin with a number, these with a dataset's name."""
    words = np.frombuffer(hashlib.sha256("\0".join(map(str, key)).encode()).digest(), dtype="<u4")
    return np.random.Generator(np.random.PCG64([int(w) for w in words]))


class Bounce:
    """The dataset, for one world."""

    format = FORMAT
    default_metrics = ("fvd_bounce", "fad_bounce", "ib_bounce_tv", "ib_bounce_ta", "ib_bounce_av", "av_align")
    events, event_times = "impacts", "impact_times"

    def __init__(self, name: str, world: World, shape: Mapping[str, float] | None = None) -> None:
        self.name = name
        self.world = world
        self.format = FORMAT.changed(**shape or {})

    def spec(self) -> Spec:
        """Name, version, format and all parameters of the world."""
        return {"name": self.name, "version": VERSION, "format": asdict(self.format), "world": asdict(self.world)}

    def _draw_prompt(self, prompt_id: str, rng: np.random.Generator) -> Prompt:
        materials, kinds = sorted(self.world.materials), list(PHRASES)
        material = materials[rng.integers(len(materials))]
        size, num_balls = kinds[rng.integers(len(kinds))]
        text = PHRASES[size, num_balls].format(self.world.materials[material].adjective)
        return Prompt(prompt_id, text, {"material": material, "size": size, "num_balls": num_balls})

    def prompts(self, num: int, seed: int) -> list[Prompt]:
        """The first `num` prompts of a run; prompt i depends on (seed, i) alone."""
        return [
            self._draw_prompt(f"{self.name}-{seed}-{i:06d}", keyed_rng(self.name, "prompt", seed, i))
            for i in range(num)
        ]

    def real(self, request: Request, stream: str) -> Item:
        """A new item of the test split that fits the prompt, drawn from one stream of the request."""
        item_id = f"{self.name}-test-{request.seed}-{request.prompt.id}-{request.index}-{stream}"
        return self.make(item_id, request.prompt, request.rng(stream))

    def reference(self, num: int | None, seed: int) -> Sequence[Item]:
        """The first `num` (2048 if None) items of the train split, each made when indexed."""
        return Reference(self, NUM_REFERENCE if num is None else num, seed)

    def make(self, item_id: str, prompt: Prompt, rng: np.random.Generator) -> Item:
        """Draw, simulate, film and record one item with the prompt's material, size and number of balls.

        Returns:
            An item whose `truth` lists all impacts in order of time: impact_times [s], impact_speeds (normal) [m/s],
            impact_surfaces ("floor", "left", "right"), impact_points (x, y) [m], impact_balls (index), and the balls.
        """
        form = self.format
        scene = draw_scene(self.world, prompt.data, form.num_samples / form.sample_rate, rng)
        audio = record(scene, form.num_samples, form.sample_rate, rng)
        video = film(scene, form.height, form.width, np.arange(form.num_frames) / form.fps, rng)
        return Item(item_id, prompt, Clip(video, form.fps, audio, form.sample_rate), scene.truth())


class Reference(Sequence[Item]):
    """Items of the train split, made when indexed."""

    def __init__(self, dataset: Bounce, num: int, seed: int) -> None:
        self.dataset, self.num, self.seed = dataset, num, seed

    def __len__(self) -> int:
        return self.num

    @overload
    def __getitem__(self, index: int) -> Item: ...

    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...

    def __getitem__(self, index: int | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(self.num))]
        prompt, rng = self._prompt(range(self.num)[index])
        return self.dataset.make(prompt.id, prompt, rng)

    @property
    def texts(self) -> list[str]:
        """The texts of all items, without making them."""
        return [self._prompt(i)[0].text for i in range(self.num)]

    def _prompt(self, i: int) -> tuple[Prompt, np.random.Generator]:
        """The prompt of item i, and its generator, from which the rest of it is drawn."""
        item_id = f"{self.dataset.name}-train-{self.seed}-{i:06d}"
        rng = keyed_rng(self.dataset.name, "train", self.seed, i)
        return self.dataset._draw_prompt(item_id, rng), rng


@register("dataset", "bounce", "Bouncing balls with impact sounds, made here: 2 s, 16 frames of 64x64, 16 kHz.")
def bounce(*, shape: Mapping[str, float] | None = None) -> Bounce:
    """The standard world: five materials, a little less than the earth's gravity."""
    return Bounce("bounce", STANDARD, shape)


@register("dataset", "bounce_heavy", "Bounce on a heavier planet: more gravity, duller and deader balls.")
def bounce_heavy(*, shape: Mapping[str, float] | None = None) -> Bounce:
    """A shifted world: 1.5 times the gravity, less restitution, lower and shorter modes."""
    return Bounce("bounce_heavy", HEAVY, shape)

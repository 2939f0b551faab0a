"""Make docs/bounce_contact_sheet.png and docs/bounce_preview.gif: what the bounce dataset looks and sounds like."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmbench.datasets.bounce import Bounce, bounce
from mmbench.pictures.clip_images import animation, clip_sheet
from mmbench.types import Item, Request

DOCS = Path(__file__).resolve().parent.parent / "docs"
SHEET = ("a large glass ball bouncing", "two metal balls bouncing", "a wooden ball bouncing", "a rubber ball bouncing")
PREVIEW = (*SHEET[:2], "a small plastic ball bouncing", SHEET[3])
SEED = 7


def items(dataset: Bounce, texts: Sequence[str]) -> list[Item]:
    """A real item for the first prompt with each of the texts."""
    prompts = {prompt.text: prompt for prompt in reversed(dataset.prompts(400, SEED))}
    return [dataset.real(Request(prompts[text], 0, SEED), "real") for text in texts]


def write_gif(path: Path, frames: np.ndarray, fps: float) -> None:
    """Write frames (t, h, w, 3) uint8 with one palette for all of them, so that still parts stay still."""
    palette = Image.fromarray(np.concatenate(list(frames))).quantize(256, kmeans=2)
    images = [Image.fromarray(f).quantize(palette=palette, dither=Image.Dither.NONE) for f in frames]
    images[0].save(path, save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, optimize=True)


def main() -> None:
    dataset = bounce()
    DOCS.mkdir(exist_ok=True)
    shown = items(dataset, SHEET)
    sheet = clip_sheet(
        [item.clip for item in shown],
        [item.prompt.text for item in shown],
        marks=[item.truth["impact_times"] for item in shown],
    )
    Image.fromarray(sheet).save(DOCS / "bounce_contact_sheet.png", optimize=True)
    shown = items(dataset, PREVIEW)
    frames = animation([item.clip for item in shown], [item.prompt.text.removesuffix(" bouncing") for item in shown])
    write_gif(DOCS / "bounce_preview.gif", frames, dataset.format.fps)


if __name__ == "__main__":
    main()

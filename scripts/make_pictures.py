"""Make the pictures of README.md, docs/ and results/: contact sheets and GIFs of real and of generated samples.

    mmbench run -s ground_truth -s tiny -s tiny_cascade -s tiny+mmdisco-res_frieren -n 32 --seed 40 \\
        -m ib_bounce_av -m av_align
    python scripts/make_pictures.py                     # all of them, in about a minute
    python scripts/make_pictures.py tiny_gif --out runs

The run takes two minutes. Which prompts are shown follows a rule: of the 32, ordered by how much guidance raises the
share of sounds that begin at a seen impact (ties in order of the prompts), those at the quartiles; README shows the
median. What all 32 have is printed, beside the same of sounds under the videos of other prompts.

    bounce_sheet      docs/bounce_contact_sheet.png     the first four real clips of seed 7
    bounce_gif        docs/bounce_preview.gif           the same, playing
    tiny_sheet        docs/tiny_contact_sheet.png       the median prompt
    tiny_gif          docs/tiny_side_by_side.gif        the same, playing
    tiny_quartiles    results/tiny/contact_sheet.png    the prompts at the lower and the upper quartile

Curves are drawn by commands that print their numbers, too: results/toy/*.png by `mmbench toy`, results/tiny/figure5.png
by `mmbench sweep figure5`; their READMEs state them. docs/screens are made by scripts/make_screens.py.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from itertools import permutations
from pathlib import Path

import numpy as np
from PIL import Image

from mmbench.baselines.ground_truth import STREAM
from mmbench.datasets.bounce import bounce
from mmbench.files import write_whole
from mmbench.pictures.clip_images import common_palette
from mmbench.pictures.columns import Column, open_columns
from mmbench.pictures.contact_sheet import sheet_header, sheet_row
from mmbench.pictures.panels import Panel, load_panels, panel_of
from mmbench.pictures.preview import sample_title
from mmbench.pictures.side_by_side import write_gif
from mmbench.pictures.truth import find_truth
from mmbench.runs.find import find_run
from mmbench.types import Request

REPOSITORY = Path(__file__).resolve().parent.parent
SYSTEMS = ("ground_truth", "tiny", "tiny_cascade", "tiny+mmdisco-res_frieren")
GUIDED, UNGUIDED = 3, 1  # of these
SEED, NUM_SAMPLES = 40, 32
REAL_SEED, NUM_REAL = 7, 4

Block = tuple[str, list[Panel]]  # the title of a sample, and its panels


def bounce_sheet(out: Path) -> Path:
    """Four real clips of bounce as a contact sheet."""
    return write_sheet([real_clips()], REPOSITORY / "docs" / "bounce_contact_sheet.png")


def bounce_gif(out: Path) -> Path:
    """Four real clips of bounce, playing."""
    return animate(real_clips(), REPOSITORY / "docs" / "bounce_preview.gif")


def tiny_sheet(out: Path) -> Path:
    """What guidance changes, at the prompt of the median gain."""
    return write_sheet([generated(out, 0.5)], REPOSITORY / "docs" / "tiny_contact_sheet.png")


def tiny_gif(out: Path) -> Path:
    """What guidance changes, playing, at the prompt of the median gain."""
    return animate(generated(out, 0.5), REPOSITORY / "docs" / "tiny_side_by_side.gif")


def tiny_quartiles(out: Path) -> Path:
    """What guidance changes, at the prompts of the lower and of the upper quartile of the gain."""
    blocks = [generated(out, share) for share in (0.25, 0.75)]
    return write_sheet(blocks, REPOSITORY / "results" / "tiny" / "contact_sheet.png")


PICTURES: dict[str, Callable[[Path], Path]] = {
    make.__name__: make for make in (bounce_sheet, bounce_gif, tiny_sheet, tiny_gif, tiny_quartiles)
}


@cache
def real_clips() -> Block:
    """The first real clips of bounce, of one seed."""
    dataset = bounce()
    prompts = dataset.prompts(NUM_REAL, REAL_SEED)
    items = [dataset.real(Request(prompt, i, REAL_SEED), STREAM) for i, prompt in enumerate(prompts)]
    return f"bounce, seed {REAL_SEED}", [panel_of(item, "bounce") for item in items]


@cache
def columns_of(out: Path) -> list[Column]:
    """The runs that are shown, in order."""
    found = {system: find_run(f"{system}-bounce-s{SEED}", out) for system in SYSTEMS}
    if lacking := [system for system, folder in found.items() if folder is None]:
        systems = " ".join(f"-s {system}" for system in lacking)
        raise SystemExit(
            f"{out} lacks {lacking[0]}. try: mmbench run {systems} -n {NUM_SAMPLES} --seed {SEED} --out {out}"
        )
    return open_columns([folder for folder in found.values() if folder is not None], out)


@cache
def gains(out: Path) -> np.ndarray:
    """By how much guidance raises the share of sounds that begin at a seen impact: (n,), in order of the prompts."""
    return np.array([share_in_time(p[GUIDED]) - share_in_time(p[UNGUIDED]) for p in all_panels(out)])


@cache
def all_panels(out: Path) -> list[list[Panel]]:
    """Every sample of every run."""
    columns, rows = columns_of(out), [[i] * len(SYSTEMS) for i in range(NUM_SAMPLES)]
    truth = find_truth(columns, rows)
    return [load_panels(columns, row, truth.of_row(i)) for i, row in enumerate(rows)]


def share_in_time(video: Panel, sound: Panel | None = None) -> float:
    """Share of the sounds of a clip that begin at an impact seen in it, or in another video; 0 of a silent one."""
    seen, heard = video.events, (sound or video).events
    if seen is None or heard is None:
        raise SystemExit(
            f"{video.name} lacks a sample: {video.reason}. try: mmbench run, as {Path(__file__).name} says"
        )
    both = replace(seen, heard=heard.heard)
    return float(both.heard_in_time.mean()) if len(both.heard) else 0.0


def print_shares(out: Path) -> None:
    """Print what share of its sounds begins at a seen impact, of every system, and over shuffled pairs."""
    for name, panels in zip(SYSTEMS, zip(*all_panels(out), strict=True), strict=True):
        own = [share_in_time(panel) for panel in panels]
        chance = np.mean([share_in_time(a, b) for a, b in permutations(panels, 2)])
        error = np.std(own, ddof=1) / np.sqrt(len(own))
        print(f"{name}: {np.mean(own):.3f} ± {error:.3f} of the sounds at a seen impact; shuffled {chance:.3f}")


def generated(out: Path, share: float) -> Block:
    """The sample at a quantile of the gains."""
    index = int(np.argsort(gains(out), kind="stable")[round(share * (NUM_SAMPLES - 1))])
    columns = columns_of(out)
    return sample_title(columns, [index] * len(columns))[1], all_panels(out)[index]


def write_sheet(blocks: Sequence[Block], file: Path) -> Path:
    """Write a contact sheet as a PNG of 256 colours, a third as large as all colours."""
    panels = [panel for _, shown in blocks for panel in shown]
    image = np.concatenate([sheet_header(panels), *(sheet_row(title, shown) for title, shown in blocks)])
    buffer = io.BytesIO()
    Image.fromarray(image).quantize(palette=common_palette(image)).save(buffer, "png", optimize=True)
    write_whole(file, buffer.getvalue())
    return file


def animate(block: Block, file: Path) -> Path:
    """Write a GIF of panels in step."""
    write_gif(*block, file)
    return file


def main() -> None:
    """Make those that are named, or all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PICTURES)}; default: all")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the runs; default: runs")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in PICTURES]:
        parser.error(f"no picture is called {', '.join(unknown)}; there are {', '.join(PICTURES)}")
    for name in given.names or PICTURES:
        file = PICTURES[name](given.out)
        print(file.relative_to(REPOSITORY), f"{file.stat().st_size / 1e3:.0f} kB")
    if any(name.startswith("tiny") for name in given.names or PICTURES):
        print_shares(given.out)


if __name__ == "__main__":
    main()

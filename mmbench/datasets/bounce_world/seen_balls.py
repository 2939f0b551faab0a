"""Which balls a video of the bounce world shows, real or generated, and whether they are those of its prompt.

Balls are found before the back wall, where no shadow falls: pixels that are darker than the wall under any amount of
dust are covered by as few discs as cover them well. A disc is of the material whose drawn ball is nearest to it.
The worlds of `bounce` and `bounce_heavy` look the same.

Of real clips of seed 907 (constants were chosen on 902 to 906), all of 400 that show one ball and 398 of 400 that show
two are right; constant are all of 400 and 387 of 400: dust, or another ball for most of a clip, hides the second ball.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import combinations, groupby

import numpy as np
from scipy.fft import irfft2, rfft2
from scipy.ndimage import binary_fill_holes

from mmbench.datasets.bounce_world.render import DUST_WHITE, sprite
from mmbench.datasets.bounce_world.stage import WALL, Projection
from mmbench.datasets.bounce_world.world import STANDARD

LEAST_DARKER = 20.0  # levels below the dusty wall, in the channel most below
LEAST_ROOM = 24.0  # between a wall's colour and dust, in levels, so that noise on white walls is no dust
MOST_OFF = 6.0  # levels, of a row of the wall from the line on which most rows are
LEAST_SEEN = 0.3  # share of a disc that no other disc covers, covered pixels of the wall taken off
LEAST_PIXELS = 8  # the same for a ball whose most is below the wall's lower edge
LEAST_APART = 0.5  # distance of two discs' centres, in radii of the larger
MOST_BALLS = 4
ROUNDS = 3  # in which all discs of a frame are moved to where they fit best beside the others
LEAST_FRAMES = 0.25  # of a clip, that show a number of balls for it to be the clip's number
MOST_HIDDEN = 0.6  # of a clip, for which one ball may hide another on end
TOUCH = 1.0  # gap [px] between outlines

Disc = tuple[int, int, float]  # column and row of the centre, radius [px]


@dataclass(frozen=True)
class SeenBall:
    """A ball in a frame: its material, centre (column x, row y) and radius [px], whether the picture's edge cuts it."""

    material: str
    x: int
    y: int
    radius: float
    cut: bool

    def touches(self, other: SeenBall) -> bool:
        """Whether the outlines of two balls meet, so that one may soon hide the other."""
        gap = np.hypot(self.x - other.x, self.y - other.y) - self.radius - other.radius
        return bool(gap <= TOUCH)


@dataclass(frozen=True)
class Shown:
    """Whether a clip shows what its prompt asks for.

    Attributes:
        right: Most frames show exactly the balls that the prompt asks for, in number and material.
        number: Most frames show the number, whatever the material.
        material: Of the frames that show balls, most show balls of the material alone, whatever the number.
        constant: All frames show one number of balls, whatever the prompt asks for.

    Frames in which a ball may be hidden (`hidden`) count neither way, but for `material`.
    """

    right: bool
    number: bool
    material: bool
    constant: bool


class Discs:
    """All discs that a ball may be in pictures of one size, and how well they cover a map of weights."""

    def __init__(self, height: int, width: int) -> None:
        scene = Projection(STANDARD, height, width)
        radii = np.array([m.radii for m in STANDARD.materials.values()]) * scene.scale
        side = round(WALL * scene.scale)
        self.wall = np.zeros((height, width), bool)  # before which balls are looked for
        self.wall[: scene.edge, side : width - side] = True
        self.radii = np.arange(radii.min(), radii.max() + 0.5, 0.5)
        self.margin = int(np.ceil(self.radii[-1]))  # a centre may lie that far outside the picture
        self.shape = (height + 2 * self.margin, width + 2 * self.margin)
        rows, columns = (np.minimum(i, n - i) for i, n in zip(np.indices(self.shape), self.shape, strict=True))
        discs = (columns**2 + rows**2)[None] <= (self.radii**2)[:, None, None]
        self.spectra = rfft2(discs.astype(np.float32)).conj()
        self.floor = self.margin + scene.edge + round(self.radii[0] / 2)  # below which no centre lies
        self.grid = np.indices((height, width))

    def pixels(self, disc: Disc) -> np.ndarray:
        """The pixels of a disc before the wall: (height, width) bool."""
        x, y, radius = disc
        rows, columns = self.grid
        return np.asarray(((columns - x) ** 2 + (rows - y) ** 2 <= radius**2) & self.wall)

    def best(self, weights: np.ndarray) -> Disc:
        """The disc that covers the largest sum of `weights` (height, width)."""
        spectrum = rfft2(np.pad(weights, self.margin))
        sums = irfft2(spectrum * self.spectra, s=self.shape)[:, : self.floor]
        k, row, column = np.unravel_index(sums.argmax(), sums.shape)
        return int(column) - self.margin, int(row) - self.margin, float(self.radii[k])

    def without(self, weights: np.ndarray, discs: Sequence[Disc]) -> np.ndarray:
        """`weights` with 0 where discs are."""
        left = weights.copy()
        for disc in discs:
            left[self.pixels(disc)] = 0.0
        return left

    def cover(self, mask: np.ndarray) -> list[Disc]:
        """The fewest discs, each seen well, to which no further one can be added."""
        weights = np.where(self.wall, np.where(mask, 1.0, -1.0), 0.0).astype(np.float32)
        found: list[Disc] = []
        while len(found) < MOST_BALLS:
            left = self.without(weights, found)
            if (left > 0).sum() < LEAST_PIXELS:
                break
            trial = self._settle(weights, [*found, self.best(left)])
            if not self._seen(weights, trial):
                break
            found = trial
        return found

    def _settle(self, weights: np.ndarray, discs: list[Disc]) -> list[Disc]:
        for _ in range(ROUNDS if len(discs) > 1 else 0):
            before = list(discs)
            for k in range(len(discs)):
                discs[k] = self.best(self.without(weights, discs[:k] + discs[k + 1 :]))
            if discs == before:
                break
        return discs

    def _seen(self, weights: np.ndarray, discs: list[Disc]) -> bool:
        for k, disc in enumerate(discs):
            pixels = self.pixels(disc)
            gain = self.without(weights, discs[:k] + discs[k + 1 :])[pixels].sum()
            if gain < max(LEAST_PIXELS, LEAST_SEEN * pixels.sum()):
                return False
        return all(
            np.hypot(a[0] - b[0], a[1] - b[1]) >= LEAST_APART * max(a[2], b[2]) for a, b in combinations(discs, 2)
        )


@cache
def _discs(height: int, width: int) -> Discs:
    return Discs(height, width)


def seen_balls(video: np.ndarray) -> list[list[SeenBall]]:
    """The balls that each frame shows, at most four; of balls whose centres nearly coincide, one.

    Args:
        video: (T, H, W, 3) uint8, RGB, of a bounce dataset's framing; H and W as large as they may be.
    """
    discs = _discs(*video.shape[1:3])
    frames = video.astype(np.float32)
    wall = np.where(discs.wall[..., None], _wall(frames, discs.wall)[:, None], 0.0)
    room = 255.0 * DUST_WHITE - wall
    norm = np.maximum((room**2).sum(axis=-1), LEAST_ROOM**2)
    found = []
    for frame in frames:
        dust = np.clip(((frame - wall) * room).sum(axis=-1) / norm, 0.0, 1.0)[..., None]
        darker = (wall + dust * room - frame).max(axis=-1) > LEAST_DARKER
        found.append(_name(discs, discs.cover(binary_fill_holes(darker & discs.wall) & discs.wall), frame, wall))
    return found


def _wall(frames: np.ndarray, where: np.ndarray) -> np.ndarray:
    """The back wall's colour in each row: (H, 3), unknown and 0 below it.

    A row has one colour, the median over time, which changes evenly from row to row. Rows that balls cover most of the
    time are off the line on which most rows are, and get its colour.
    """
    rows = np.flatnonzero(where.any(axis=1))
    colors = np.stack([np.median(frames[:, row, where[row]].reshape(-1, 3), axis=0) for row in rows])
    first, second = np.triu_indices(len(rows), max(1, len(rows) // 8))
    slopes = (colors[second] - colors[first]) / (second - first)[:, None]
    steps = np.arange(len(rows)) - first[:, None]
    lines = colors[first][:, None] + slopes[:, None] * steps[..., None]
    off = np.abs(lines - colors).max(axis=-1) > MOST_OFF
    line = off.sum(axis=1).argmin()
    wall = np.zeros((len(where), 3), np.float32)
    wall[rows] = np.where(off[line][:, None], lines[line], colors)
    return wall


def _name(discs: Discs, found: list[Disc], frame: np.ndarray, wall: np.ndarray) -> list[SeenBall]:
    """Discs of a frame as balls of the nearest material, by squared error where no other disc lies."""
    width = wall.shape[1]
    balls = []
    for k, (x, y, radius) in enumerate(found):
        own = discs.without(discs.wall, found[:k] + found[k + 1 :]) & discs.pixels(found[k])
        rows, columns = np.nonzero(own)
        reach = int(np.ceil(radius)) + 1
        centre = np.array([reach + 0.5], np.float32)
        error = {}
        for name, material in STANDARD.materials.items():
            patch = sprite(material, radius, centre, centre, 2 * reach + 1)[0][rows - y + reach, columns - x + reach]
            drawn = 255.0 * patch[:, :3] + (1.0 - patch[:, 3:]) * wall[rows, columns]
            error[name] = float(((frame[rows, columns] - drawn) ** 2).sum())
        cut = min(x, y) < radius or x + radius > width - 1
        balls.append(SeenBall(min(error, key=error.__getitem__), x, y, radius, cut))
    return balls


def hidden(frames: Sequence[Sequence[SeenBall]], number: int) -> np.ndarray:
    """Frames in which fewer than `number` balls are seen though none need be missing: (T,) bool.

    So it is for at most 0.6 of a clip on end, if the frames before and after (one, at a clip's end) show all the
    balls and two that touch, or one that the picture's edge cuts; and if a quarter of the clip's frames show them all.
    """
    excused = np.zeros(len(frames), bool)
    counts = np.array([len(balls) for balls in frames])
    if (counts == number).sum() < LEAST_FRAMES * len(frames):
        return excused

    def may_hide(balls: Sequence[SeenBall]) -> bool:
        near = any(a.touches(b) for a, b in combinations(balls, 2))
        return len(balls) == number and (near or any(ball.cut for ball in balls))

    for fewer, group in groupby(range(len(frames)), key=lambda t: bool(counts[t] < number)):
        run = list(group)
        beside = [frames[t] for t in (run[0] - 1, run[-1] + 1) if 0 <= t < len(frames)]
        if fewer and len(run) <= MOST_HIDDEN * len(frames) and all(may_hide(balls) for balls in beside):
            excused[run] = True
    return excused


def judge(frames: Sequence[Sequence[SeenBall]], material: str, number: int) -> Shown:
    """Compare the balls that are seen with those that a prompt asks for; the rules are `Shown`'s.

    A clip's own number, which constant frames show, is the largest that a quarter of its frames shows, and not 0.

    Args:
        frames: Of each frame its balls.
        material: Name of the material that the prompt asks for.
        number: Of balls that the prompt asks for.
    """
    counts = np.array([len(balls) for balls in frames])
    pure = np.array([all(ball.material == material for ball in balls) for balls in frames])
    judged = ~hidden(frames, number)
    usual = [n for n in range(1, MOST_BALLS + 1) if (counts == n).sum() >= LEAST_FRAMES * len(frames)]
    own = max(usual, default=0)
    return Shown(
        right=_most(((counts == number) & pure)[judged]),
        number=_most((counts == number)[judged]),
        material=_most(pure[counts > 0]),
        constant=own > 0 and bool((counts == own)[~hidden(frames, own)].all()),
    )


def _most(which: np.ndarray) -> bool:
    return bool(which.sum() > len(which) / 2)

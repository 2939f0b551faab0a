"""Why samples of tiny+mmdisco are not real clips: what the bases, the discriminator and the sampler each lose.

    mmbench run -s ground_truth -s tiny -s tiny+mmdisco-res_frieren -d bounce -n 64 --seed 23 -m av_align --out RUNS
    for steps in 50 100 200; do
        mmbench run -s tiny+mmdisco-res_frieren -d bounce -n 64 --seed 23 -m av_align --out RUNS \\
            --set num_inference_steps=$steps
    done
    python results/tiny/decomposition.py RUNS > results/tiny/decomposition.md

Ten minutes on one core, six of them for the runs.

* Bases: Fréchet distances of each half to 1024 real clips, and by how much they exceed those of ground_truth, which
  are real clips of the same prompts [95 %]. No guidance mends what the bases cannot make.
* Sampler: excess of own over other pairs of a run in ib_bounce_av and AV-Align, by steps, with a gradient at each
  step; differences are between the same prompts and noise.
* Discriminator, by timestep, on real clips that it was not trained on. "told": of a noised video and two noised
  sounds, its own and that of another clip of the same text, how often its own has the higher logit (95 % by Wilson);
  "nats": cross-entropy of own and other pairs (chance is 0.693), as it is, and after a slope and an offset fitted on
  the other half of the texts; "slope": the fitted one, 1 where logits are as sure as they should be. "towers" is a
  rival: the cosine of the networks of ib_bounce_av, which saw a new clip in every step of their training, on what the
  bases make of the noised halves. "bound" is what nothing can exceed: the exact posterior for one who knows these
  very clips, and that there are no others. The best that is achievable lies between the better of both and the bound.
  "real, tiny": how often a real pair has a higher logit than a pair of tiny of the same text; "other, tiny": the same
  of a real video with another real sound, which nothing but the quality of its halves tells from a pair of tiny.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.optimize import minimize
from scipy.special import logsumexp
from torch import Tensor

from mmbench.baselines.ground_truth import STREAM
from mmbench.baselines.kinds.discriminators import SHIPPED
from mmbench.baselines.models.tiny.agreement import heard
from mmbench.errors import MMBenchError
from mmbench.identity import digest_bytes
from mmbench.metrics.arithmetic.frechet import Moments, frechet_distance, frechet_replicates
from mmbench.metrics.av_align import AVAlign
from mmbench.metrics.extractors.bounce import WEIGHTS, BounceAudio, BounceVideo
from mmbench.metrics.extractors.optical_flow import flow_peaks
from mmbench.metrics.networks.bounce import load
from mmbench.mmdisco.losses import add_noise
from mmbench.mmdisco.pairs import generator
from mmbench.registry import make_dataset
from mmbench.runs.circumstances import machine
from mmbench.runs.spec import make_requests
from mmbench.runs.store import SampleStore
from mmbench.statistics.estimates import bootstrap_estimate, resample_indices
from mmbench.statistics.paired import wilson_interval
from mmbench.system_names import make_system
from mmbench.types import Request

GUIDED = "tiny+mmdisco-res_frieren"
SYSTEMS = ("ground_truth", "tiny", GUIDED)
AGAIN = f"mmbench run {' '.join(f'-s {name}' for name in SYSTEMS)} -d bounce -n 64 --seed 23 --out NEW_FOLDER"
NUM_REFERENCE, NUM_RESAMPLINGS = 1024, 400
SEED, NUM = 24, 160  # of the clips that discriminators are asked about
TIMES = (20, 400, 600, 700, 800, 950)
SLICE = 16  # clips that go through a network together


# Pairs of clips of one text


def others(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Every (i, j) of different clips of one text: two arrays of indices."""
    alike = np.array(texts)[:, None] == np.array(texts)
    np.fill_diagonal(alike, False)
    first, second = np.nonzero(alike)
    return first, second


@dataclass(frozen=True)
class Told:
    """How well logits tell own from other pairs, as the table has it; `nats` as they are, `fitted` after a line."""

    share: float
    n: int
    nats: float
    fitted: float
    slope: float

    @property
    def told(self) -> str:
        """The share with its interval."""
        low, high = wilson_interval(self.share, self.n)
        return f"{self.share:.3f} [{low:.3f}, {high:.3f}]"


def tell(own: np.ndarray, other: np.ndarray, first: np.ndarray, fold: np.ndarray) -> Told:
    """Compare the logit of each clip's own pair with those of its other pairs.

    Args:
        own: (n,) logits of own pairs.
        other: (m,) logits of the videos `first` with other sounds.
        first: (m,) indices of videos.
        fold: (n,) bool: the halves of which each is scored by a line fitted on the other.
    """
    wins = np.array([np.mean((own[i] > other[first == i]) + 0.5 * (own[i] == other[first == i])) for i in set(first)])
    nats, slopes = [], []
    for held in (fold, ~fold):
        slope, offset = fit_line(own[~held], other[~held[first]])
        nats.append(cross_entropy(slope * own[held] + offset, slope * other[held[first]] + offset))
        slopes.append(slope)
    return Told(float(wins.mean()), len(wins), cross_entropy(own, other), float(np.mean(nats)), float(np.mean(slopes)))


def cross_entropy(own: np.ndarray, other: np.ndarray, doubt: tuple[float, float] = (0.0, 0.0)) -> float:
    """Of a half each of own and other pairs [nats], of which a share `doubt` is called the opposite."""
    terms = [
        (1 - d) * np.logaddexp(0, -z).mean() + d * np.logaddexp(0, z).mean()
        for z, d in zip((own, -other), doubt, strict=True)
    ]
    return float(sum(terms) / 2)


def fit_line(own: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """The slope and offset of logits that minimise their cross-entropy to Platt's targets: finite if all are told."""
    spread = max(float(np.concatenate([own, other]).std()), 1e-12)
    doubt = 1 / (len(own) + 2), 1 / (len(other) + 2)

    def loss(p: np.ndarray) -> float:
        return cross_entropy(p[0] * own / spread + p[1], p[0] * other / spread + p[1], doubt)

    slope, offset = minimize(loss, [1.0, 0.0]).x
    return float(slope) / spread, float(offset)


def posterior_logits(noised: tuple[Tensor, Tensor], clean: tuple[Tensor, Tensor], abar: Sequence[float]) -> np.ndarray:
    """The exact logit (n, n) that video i and sound j are of one clip, for one who knows all n clips of a text.

    Own pairs are of a clip k, other pairs of clips k and l != k, all equally likely. Who knows more tells no worse, so
    on average over clips this bounds what can be told from the noised pairs alone.

    Args:
        noised: (n, ...) noised videos and sounds.
        clean: The n clips.
        abar: Of videos and of sounds.
    """
    kernels = []
    for z_t, z, level in zip(noised, clean, abar, strict=True):
        distance = torch.cdist(z_t.flatten(1).double(), level**0.5 * z.flatten(1).double())
        kernels.append((-0.5 * distance**2 / (1 - level)).numpy())
    video, sound = kernels
    num = len(video)
    same = video[:, None, :] + sound[None, :, :]
    own = logsumexp(same, axis=2) - np.log(num)
    every = video[:, None, :, None] + sound[None, :, None, :]
    every[:, :, np.arange(num), np.arange(num)] = -np.inf
    return own - (logsumexp(every, axis=(2, 3)) - np.log(num * (num - 1)))


# Discriminator


def held_out(num: int) -> tuple[Any, list[Request], tuple[Tensor, Tensor]]:
    """The guided system, and of `num` requests those whose text another has, too, with latents of their real clips."""
    dataset = make_dataset("bounce")
    system: Any = make_system(GUIDED, dataset=dataset, device="cpu")
    requests = make_requests(dataset, num, SEED)
    counts = Counter(r.prompt.text for r in requests)
    requests = [r for r in requests if counts[r.prompt.text] > 1]
    examples = [system.pair().encode(dataset.real(r, STREAM)) for r in requests]
    video, audio = (torch.stack([example[k] for example in examples]) for k in (0, 1))
    return system, requests, (video, audio)


def discriminator_table(num: int = NUM, times: Sequence[int] = TIMES) -> None:
    """Print how well the shipped discriminator and its rivals tell own from other pairs of `num` clips, by timestep."""
    system, requests, real = held_out(num)
    pair, texts = system.pair(), [r.prompt.text for r in requests]
    counts = Counter(texts)
    made = pair.sample(requests)
    text = pair.texts(texts)
    empty = tuple(u.expand_as(c) for u, c in zip(pair.unconditional, text, strict=True))
    judge = system.guide(text, empty).discriminator
    first, second = others(texts)
    fold = np.array([sorted(set(texts)).index(t) % 2 == 0 for t in texts])
    print(
        "| t | told | nats | fitted | slope | towers: told | fitted | bound: told | nats | real, tiny | other, tiny |"
    )
    print("|---" * 11 + "|")
    for t in times:
        abar = [float(s.alphas_cumprod[t]) for s in pair.schedules]
        x, y = noised(real, abar, "real", t)
        made_x, made_y = noised(made, abar, "made", t)

        def logits(x: Tensor, y: Tensor, rows: np.ndarray, t: int = t) -> np.ndarray:
            with torch.no_grad():
                parts = [
                    judge(x[k], y[k], torch.full((len(k),), t), *[z[torch.from_numpy(rows)[k]] for z in text])
                    for k in torch.arange(len(x)).split(64)
                ]
            return torch.cat(parts).double().numpy()

        every = np.arange(len(texts))
        own, other = logits(x, y, every), logits(x[first], y[second], first)
        shipped = tell(own, other, first, fold)
        cosines = tower_cosines(pair, (x, y), text, t, abar)
        towers = tell(np.diag(cosines), cosines[first, second], first, fold)
        exact = np.zeros((len(texts), len(texts)))
        for name in counts:
            rows = np.flatnonzero(np.array(texts) == name)
            if len(rows):
                exact[np.ix_(rows, rows)] = posterior_logits((x[rows], y[rows]), (real[0][rows], real[1][rows]), abar)
        bound = tell(np.diag(exact), exact[first, second], first, fold)
        cells = [shipped.told, f"{shipped.nats:.3f}", f"{shipped.fitted:.3f}", f"{shipped.slope:.2f}"]
        cells += [towers.told, f"{towers.fitted:.3f}", bound.told, f"{bound.nats:.3f}"]
        fake = logits(made_x, made_y, every)
        cells += [f"{np.mean(own[first] > fake[second]):.3f}", f"{np.mean(other > fake[second]):.3f}"]
        print(f"| {t} | " + " | ".join(cells) + " |", flush=True)


def noised(clean: Sequence[Tensor], abar: Sequence[float], name: str, t: int) -> tuple[Tensor, Tensor]:
    """Clean halves with noise of their own, the same in every run of this script."""
    halves = []
    for k, (z, level) in enumerate(zip(clean, abar, strict=True)):
        noise = torch.randn(z.shape, generator=generator(SEED, name, t, k))
        halves.append(add_noise(z, noise, torch.full((len(z),), level, dtype=torch.float64)))
    return halves[0], halves[1]


@torch.no_grad()
def tower_cosines(
    pair: Any, z_t: Sequence[Tensor], text: Sequence[Tensor], t: int, abar: Sequence[float]
) -> np.ndarray:
    """(n, n) cosines of video i and sound j, of the clean halves that the bases expect behind noised ones."""
    video_tower, audio_tower = load("video", WEIGHTS), load("audio", WEIGHTS)
    seen, sounds = [], []
    for k in torch.arange(len(z_t[0])).split(SLICE):
        times = torch.full((len(k),), t)
        eps = pair.epsilon_video(z_t[0][k], times, text[0][k]), pair.epsilon_audio(z_t[1][k], times, text[1][k])
        x, y = ((z[k] - (1 - a) ** 0.5 * e) / a**0.5 for z, e, a in zip(z_t, eps, abar, strict=True))
        frames = pair.video_codec.decode(x.transpose(1, 2).flatten(0, 1)).unflatten(0, (len(k), -1))
        seen.append(video_tower((frames / 2 + 0.5).clamp(0, 1))[1])
        sounds.append(audio_tower(heard(pair.audio_codec.decode(y)))[1])
    return (torch.cat(seen) @ torch.cat(sounds).T).double().numpy()


# Bases and sampler


def steps_of(store: SampleStore) -> int:
    """Steps of the sampler of a run; 0 for what has none."""
    return int(store.run.spec["system"].get("sampling", {}).get("num_inference_steps", 0))


def find_runs(folder: Path) -> list[SampleStore]:
    """The runs of the tables, ground_truth first, guided ones by steps.

    Raises:
        MMBenchError: One of the three systems is missing, or the runs are of several seeds or sizes.
    """
    stores = [SampleStore.open(path.parent) for path in sorted(folder.glob("*/manifest.json"))]
    stores = [s for s in stores if s.run.dataset == "bounce" and s.run.system in SYSTEMS]
    kinds = {(s.run.seed, len(s.status().present)) for s in stores}
    if len(kinds) != 1 or {s.run.system for s in stores} != set(SYSTEMS):
        names = ", ".join(sorted({s.run.system for s in stores})) or "none"
        found = f"{folder} holds {len(stores)} runs of bounce ({names}), of (seed, samples) {sorted(kinds)}."
        raise MMBenchError(found, f"runs of {', '.join(SYSTEMS)}, of one seed and one n", AGAIN)
    return sorted(stores, key=lambda s: (SYSTEMS.index(s.run.system), steps_of(s)))


@dataclass(frozen=True, eq=False)
class Measured:
    """What the tables need of a run's clips.

    Attributes:
        features: (n, 32) of the videos and of the sounds.
        values: (n, n) of ib_bounce_av and av_align: of the video of sample i with the sound of sample j.
    """

    features: tuple[np.ndarray, np.ndarray]
    values: dict[str, np.ndarray]


def measure(store: SampleStore) -> Measured:
    """Load the clips of a run once and measure them."""
    clips = [store.source(i).load() for i in store.status().present]
    align = AVAlign()
    flows, sounds = (e.extract(clips) for e in align.extractors())
    peaks = [flow_peaks(f["flow"], float(f["fps"]), align.preset.flow_threshold) for f in flows]
    aligned = [
        [align.preset.formula(s["onsets"], p, float(f["fps"])) for s in sounds]
        for p, f in zip(peaks, flows, strict=True)
    ]
    rows = [tower(device="cpu").extract(clips) for tower in (BounceVideo, BounceAudio)]
    (seen, sounding), features = (
        tuple(np.stack([row[name] for row in half]) for half in rows) for name in ("embedding", "features")
    )
    return Measured((features[0], features[1]), {"ib_bounce_av": seen @ sounding.T, "av_align": np.array(aligned)})


def base_table(stores: Sequence[SampleStore], measured: Sequence[Measured]) -> None:
    """Print the distances of the halves, and what they exceed those of real clips of the same prompts by."""
    clips = [item.clip for item in make_dataset("bounce").reference(NUM_REFERENCE, SEED)]
    n = len(measured[0].features[0])
    drawn = resample_indices(n, NUM_RESAMPLINGS, SEED)
    columns = []
    for k, (tower, ddof) in enumerate(((BounceVideo, 0), (BounceAudio, 1))):
        reference = Moments.of(np.stack([row["features"] for row in tower(device="cpu").extract(clips)]))
        values = [frechet_distance(Moments.of(m.features[k]), reference, ddof) for m in measured]
        resampled = [frechet_replicates(m.features[k], reference, drawn, ddof) for m in measured]
        cells: list[str] = []
        for value, replicates in zip(values, resampled, strict=True):
            found = bootstrap_estimate(value - values[0], replicates - resampled[0], n)
            more = f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]" if cells else ""  # not to itself
            cells.append(f"{value:.2f} | {more}")
        columns.append(cells)
    print("| run | steps | video | more than real | sound | more than real |")
    print("|---" * 6 + "|")
    for store, *cells in zip(stores, *columns, strict=True):
        print(f"| {store.run.system} | {steps_of(store) or ''} | " + " | ".join(cells) + " |")


def excess(values: np.ndarray) -> np.ndarray:
    """Of (n, n) values of video i and sound j, per clip, what the mean is of own less other pairs.

    The mean over clips is exactly that difference, and their scatter its error (Hájek's projection): a clip counts in
    its own pair and, as video and as sound, in those of others. NaN where a clip's own pair is unscored.
    """
    off = np.where(np.eye(len(values), dtype=bool), np.nan, values)
    mean = np.nanmean(off)
    rest = np.nanmean(off, axis=1) + np.nanmean(off, axis=0) - 2 * mean
    own = np.diag(values)
    return np.asarray(own - mean - (rest - rest[~np.isnan(own)].mean()))


def sampler_table(stores: Sequence[SampleStore], measured: Sequence[Measured]) -> None:
    """Print the excess of own pairs, and by how much more steps change it on the same prompts and noise."""
    metrics = ("ib_bounce_av", "av_align")
    print("| run | steps | " + " | ".join(f"{m} | Δ to fewest steps" for m in metrics) + " |")
    print("|---" * (2 + 2 * len(metrics)) + "|")
    first: dict[str, np.ndarray] = {}
    for store, found_of in zip(stores, measured, strict=True):
        cells = []
        for metric, values in found_of.values.items():
            found = excess(values)
            cells.append(mean_with_error(found))
            if store.run.system != GUIDED:
                cells.append("")
                continue
            cells.append(mean_with_error(found - first[metric], "+") if metric in first else "")
            first.setdefault(metric, found)
        print(f"| {store.run.system} | {steps_of(store) or ''} | " + " | ".join(cells) + " |", flush=True)


def mean_with_error(values: np.ndarray, sign: str = "") -> str:
    """Mean and standard error of what is scored."""
    scored = values[~np.isnan(values)]
    return f"{scored.mean():{sign}.3f} ± {scored.std(ddof=1) / len(scored) ** 0.5:.3f}"


def main(folder: Path) -> None:
    """Print the page."""
    torch.set_num_threads(1)
    stores = find_runs(folder)
    files = (SHIPPED / f"{stem}.safetensors" for stem in ("tiny", f"{GUIDED}-bounce-independent"))
    weights = ", ".join(f"{path.name} {digest_bytes(path.read_bytes())[:12]}" for path in files)
    title, _, text = str(__doc__).partition("\n")
    print(f"# {title}\n{text}\n{date.today():%d %B %Y}, {machine()['cpu']}, one thread; {weights}.")
    measured = [measure(store) for store in stores]
    print(f"\n## Bases (n = {len(measured[0].features[0])}, seed {stores[0].run.seed})\n")
    base_table(stores, measured)
    print("\n## Sampler (the same runs)\n")
    sampler_table(stores, measured)
    print(f"\n## Discriminator ({NUM} clips, seed {SEED})\n")
    discriminator_table()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Train the embedded models `tiny` and `tiny_cascade` from nothing: baselines/data/tiny*.safetensors.

Stages, each resumed where it was stopped: items, two codecs, latents, denoisers (of video, what refines it, both, both
with text guidance, of audio, of audio given the video), and decoders once more on latents that stay as they are. Video
and audio models never see the other modality. Run all of it with

    python scripts/train_tiny.py --work WORK

or stages side by side, one process each: `--stage video_model` beside `--stage audio_model`.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mmbench.baselines.models.tiny.networks import FILES, NETWORKS, WORDS, log_mel, pack, words_of
from mmbench.baselines.models.tiny.refiner import RefinedDenoiser
from mmbench.datasets.bounce import bounce
from mmbench.files import write_whole
from mmbench.mmdisco.losses import add_noise, per_sample
from mmbench.runs.circumstances import machine

ROOT = Path(__file__).resolve().parent.parent
OUT, RECORD = ROOT / "baselines" / "data", ROOT / "results" / "tiny" / "training.json"
SEED = 88001  # of the items: the train split of no run that anybody scores
NUM_ITEMS, CHUNK = 16000, 1000
MOVING = 0.12  # a pixel that differs this much from its clip's median, of 2, belongs to what happens
MOVING_WEIGHT, KL_WEIGHT, TEXT_DROP = 6.0, 1e-4, 0.1
TWO_BALLS = 0.4  # of the clips that models of videos learn from, of 0.25 of all clips: they are the harder ones
MIDDLE, MIDDLE_SHARE = (400, 900), 0.4  # timesteps at which balls take their paths, and how many more lie there
TEXT_WEIGHT = 2.0  # of the text guidance that is learned (arXiv 2502.12154) at these timesteps (arXiv 2404.07724)
GUIDED_SHARE = 0.6  # of the weights that learned it, in those that ship; all of it shows text too plainly
GUESS_WEIGHT, DENOISER_RATE = 0.3, 0.25  # where both learn: of the denoiser's own error, and of its learning rate
DECODER_NOISE = 0.05  # at most, on latents that decoders go on with: denoisers do not hit them either
CONTEXT_NOISE = 0.1  # on the video that the video-to-audio model sees: what it will be given is not perfect either


@dataclass(frozen=True)
class Course:
    """How long and how fast one network learns: AdamW, linear warm-up, cosine to nothing, an average of the weights."""

    steps: int
    batch_size: int
    learning_rate: float = 1e-3
    warmup: int = 200
    average: float = 0.999


COURSES = {
    "video_codec": Course(1414, 48, 2e-3, 100, 0.995),
    "audio_codec": Course(1240, 32, 2e-3, 100, 0.995),
    "video_model": Course(12000, 64),
    "audio_model": Course(7000, 32),
    "video_to_audio_model": Course(3500, 32),
    "video_decoder": Course(2600, 36, 1e-3, 50, 0.998),
    "audio_decoder": Course(2600, 16, 1e-3, 50, 0.998),
    "video_refiner": Course(7200, 16, 2e-3, 100, 0.998),
    "video_together": Course(2100, 32, 1.2e-3, 100, 0.998),
    "video_guided": Course(2200, 32, 8e-4, 100, 0.998),
}
DECODERS = {"video_decoder": "video_codec", "audio_decoder": "audio_codec"}
PARTS = {"denoiser": "video_model", "refiner": "video_refiner"}
BOTH = ("video_together", "video_guided")  # courses of both parts, one after the other
BEFORE = {"video_to_audio_model": "audio_model", "video_guided": "video_together"}  # what a course goes on from


def draw(name: str, step: int) -> tuple[np.random.Generator, torch.Generator]:
    """Everything random in one step of one network."""
    words = np.random.SeedSequence([SEED, list(COURSES).index(name), step]).generate_state(2)
    return np.random.default_rng(words[0]), torch.Generator().manual_seed(int(words[1]))


class Items:
    """Rendered clips on disk: video uint8, log-mel float16, words float32."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.video, self.mel, self.words = (work / f"{k}.npy" for k in ("video", "mel", "words"))

    def make(self, workers: int) -> None:
        """Render all items, in pieces that survive a stop."""
        if self.words.exists():
            return
        shapes = {self.video: ((16, 64, 64, 3), np.uint8), self.mel: ((1, 128, 64), np.float16)}
        for path, (shape, dtype) in shapes.items():
            if not path.exists():
                np.lib.format.open_memmap(path, "w+", dtype, (NUM_ITEMS, *shape)).flush()
        with ProcessPoolExecutor(workers) as pool:
            jobs = [pool.submit(self.render, first) for first in range(0, NUM_ITEMS, CHUNK)]
            words = np.concatenate([job.result() for job in jobs])
        np.save(self.words, words)

    def render(self, first: int) -> np.ndarray:
        """Make one piece; returns its words."""
        done = self.work / f"items-{first}.npy"
        if done.exists():
            return np.load(done)
        video, mel = np.load(self.video, mmap_mode="r+"), np.load(self.mel, mmap_mode="r+")
        reference, words = bounce().reference(NUM_ITEMS, SEED), []
        for i in range(first, first + CHUNK):
            item = reference[i]
            video[i], mel[i] = item.clip.video, log_mel(item.clip.audio)
            words.append(words_of(item.prompt.text).numpy())
        video.flush(), mel.flush()
        np.save(done, np.stack(words))
        return np.stack(words)


class Training:
    """One network on its course, with a checkpoint every 250 steps."""

    def __init__(self, name: str, work: Path) -> None:
        self.name, self.course, self.path = name, COURSES[name], work / f"{name}.pt"
        torch.manual_seed(SEED + list(COURSES).index(name))
        make = [NETWORKS[part] for part in (PARTS.values() if name in BOTH else [DECODERS.get(name, name)])]
        self.model: Any = RefinedDenoiser(*(network() for network in make)) if name in BOTH else make[0]()
        if name in DECODERS:
            self.model.load_state_dict(torch.load(work / f"{DECODERS[name]}.pt", weights_only=True)["average"])
            self.model.requires_grad_(False)
            self.model.autoencoder.decoder.requires_grad_(True)
            self.model.autoencoder.post_quant_conv.requires_grad_(True)
        groups: dict[float, list[nn.Parameter]] = {1.0: [], DENOISER_RATE: []}
        for key, p in self.model.named_parameters():
            if p.requires_grad:
                groups[DENOISER_RATE if key.startswith("denoiser.") else 1.0].append(p)
        parts = [{"params": learns, "share": share} for share, learns in groups.items()]
        self.optimizer = torch.optim.AdamW(parts, self.course.learning_rate, (0.9, 0.99), weight_decay=1e-4)
        self.average = {k: v.clone() for k, v in self.model.state_dict().items()}
        self.step, self.seconds, self.curve = 0, 0.0, list[dict[str, Any]]()
        if self.path.exists():
            state = torch.load(self.path, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.average, self.step = state["average"], state["step"]
            self.seconds, self.curve = state["seconds"], state["curve"]

    def save(self) -> None:
        parts = {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "average": self.average}
        state = {**parts, "step": self.step, "seconds": self.seconds, "curve": self.curve}
        write_whole(self.path, lambda beside: torch.save(state, beside))

    def run(self, loss_of: Callable[[nn.Module, int], dict[str, Tensor]]) -> None:
        """Step to the end of the course; `loss_of` gives named losses of one step, of which the first is minimised."""
        c, seen, started = self.course, list[list[float]](), time.perf_counter()
        while self.step < c.steps:
            ramp = min(1.0, (self.step + 1) / c.warmup)
            rate = c.learning_rate * ramp * 0.5 * (1 + math.cos(math.pi * self.step / c.steps))
            for group in self.optimizer.param_groups:
                group["lr"] = rate * group["share"]
            losses = loss_of(self.model, self.step)
            self.optimizer.zero_grad()
            next(iter(losses.values())).backward()
            nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            self.optimizer.step()
            self.step += 1
            decay = min(c.average, self.step / (10 + self.step))
            for name, value in self.model.state_dict().items():
                self.average[name].lerp_(value, 1 - decay)
            seen.append([float(v.detach()) for v in losses.values()])
            if self.step % 250 == 0 or self.step == c.steps:
                self.seconds += time.perf_counter() - started
                started = time.perf_counter()
                mean = dict(zip(losses, np.round(np.mean(seen, 0), 5).tolist(), strict=True))
                self.curve.append({"step": self.step, "seconds": round(self.seconds), **mean})
                print(self.name, json.dumps(self.curve[-1]), flush=True)
                seen.clear()
                self.save()


def moving(frames: Tensor) -> Tensor:
    """Weights of pixels (n, 16, h, w, 3): more where something happens."""
    return 1 + MOVING_WEIGHT * ((frames - frames.median(1, keepdim=True).values).abs().amax(-1) > MOVING).float()


def codec_batches(name: str, items: Items) -> Callable[[int], tuple[Tensor, Tensor]]:
    """By step: pictures (n, c, h, w) in [-1, 1] and weights (n, 1, h, w)."""
    n = COURSES[name].batch_size
    if name == "audio_codec":
        mel = np.load(items.mel)

        def sounds(step: int) -> tuple[Tensor, Tensor]:
            pick = draw(name, step)[0].integers(len(mel), size=n)
            return torch.from_numpy(mel[pick]).float(), torch.ones(())

        return sounds
    video = np.load(items.video, mmap_mode="r")[: NUM_ITEMS // 2].copy()

    def frames(step: int) -> tuple[Tensor, Tensor]:
        rng = draw(name, step)[0]
        x = torch.from_numpy(video[rng.integers(len(video), size=n // 6)]).float() / 127.5 - 1
        weights = moving(x)
        pick = torch.from_numpy(rng.permuted(np.tile(np.arange(16), (len(x), 1)), axis=1)[:, :6])
        row = torch.arange(len(x))[:, None]
        x, weights = x[row, pick].flatten(0, 1).permute(0, 3, 1, 2), weights[row, pick].flatten(0, 1)[:, None]
        return (x.flip(3), weights.flip(3)) if rng.random() < 0.5 else (x, weights)

    return frames


def train_codec(name: str, items: Items, work: Path) -> None:
    """Reconstruction by absolute and squared error, and a breath of KL; then the scale of the latents."""
    training = Training(name, work)
    training.model.to(memory_format=torch.channels_last)
    batches = codec_batches(name, items)

    def loss_of(model: Any, step: int) -> dict[str, Tensor]:
        x, weights = batches(step)
        posterior = model.posterior(x.contiguous(memory_format=torch.channels_last))
        noise = torch.randn(posterior.mean.shape, generator=draw(name, step)[1])
        error = model.reconstruct(posterior.mean + posterior.std * noise) - x
        kl = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        loss = (weights * (error.abs() + 4 * error.square())).mean() + KL_WEIGHT * kl
        return {"loss": loss, "squared error": error.square().mean(), "kl": kl}

    training.run(loss_of)
    codec: Any = NETWORKS[name]()
    codec.load_state_dict(training.average)
    with torch.inference_mode():
        raw = torch.cat([codec.posterior(batches(COURSES[name].steps + k)[0]).mode() for k in range(20)])
    training.average["mean"] = raw.mean((0, 2, 3), keepdim=True)[0]
    training.average["std"] = raw.std((0, 2, 3), keepdim=True)[0]
    training.save()


@torch.inference_mode()
def encode_items(items: Items, work: Path) -> None:
    """Latents of all items: (n, 4, 16, 8, 8) and (n, 4, 32, 16) float16."""
    for name, source in (("video", items.video), ("audio", items.mel)):
        out = work / f"{name}_latents.npy"
        if out.exists():
            continue
        codec: Any = NETWORKS[f"{name}_codec"]().to(memory_format=torch.channels_last)
        codec.load_state_dict(torch.load(work / f"{name}_codec.pt", weights_only=True)["average"])
        data, parts = np.load(source, mmap_mode="r"), []
        for first in range(0, len(data), 16):
            x = torch.from_numpy(data[first : first + 16].copy()).float()
            if name == "video":
                frames = (x / 127.5 - 1).permute(0, 1, 4, 2, 3).flatten(0, 1)
                parts.append(codec.encode(frames).unflatten(0, (-1, 16)).transpose(1, 2).half().numpy())
            else:
                parts.append(codec.encode(x).half().numpy())
        np.save(out, np.concatenate(parts))


def average_of(name: str, work: Path) -> dict[str, Tensor]:
    """The averaged weights of a course."""
    return dict(torch.load(work / f"{name}.pt", weights_only=True)["average"])


def start_of(name: str, work: Path) -> dict[str, Tensor]:
    """The weights with which a denoiser's course starts; none for one that starts from nothing."""
    if name == "video_together":
        return {f"{part}.{k}": v for part, before in PARTS.items() for k, v in average_of(before, work).items()}
    return average_of(BEFORE[name], work) if name in BEFORE else {}


def train_denoiser(name: str, items: Items, work: Path) -> None:
    """v-prediction at uniform timesteps, refined at middle ones more often; texts dropped now and then."""
    training = Training(name, work)
    network: Any = training.model
    if training.step == 0:
        network.load_state_dict(start_of(name, work), strict=name in BOTH)
        training.average = {k: v.clone() for k, v in network.state_dict().items()}
    predict, refined = network, name in ("video_refiner", *BOTH)
    if name == "video_refiner":
        denoiser: Any = NETWORKS["video_model"]().requires_grad_(False)
        denoiser.load_state_dict(average_of("video_model", work))
        predict = RefinedDenoiser(denoiser, network)
    if name in BOTH:
        network.words.requires_grad_(False)  # discriminators read texts by them
    words_to_text, abar = predict.words, predict.schedule.alphas_cumprod
    kind = "video" if refined or name == "video_model" else "audio"
    latents, words = np.load(work / f"{kind}_latents.npy"), np.load(items.words)
    context = np.load(work / "video_latents.npy") if name == "video_to_audio_model" else None
    two, n = words[:, WORDS.index("two")] > 0, training.course.batch_size

    def draw_clips(rng: np.random.Generator) -> np.ndarray:
        if kind == "audio" or not two.any() or two.all():
            return rng.integers(len(latents), size=n)
        number = round(TWO_BALLS * n)
        return np.concatenate([rng.choice(np.flatnonzero(two), number), rng.choice(np.flatnonzero(~two), n - number)])

    def loss_of(model: Any, step: int) -> dict[str, Tensor]:
        rng, g = draw(name, step)
        pick = draw_clips(rng)
        x = torch.from_numpy(latents[pick]).float()
        noise, t = torch.randn(x.shape, generator=g), torch.randint(len(abar), (len(x),), generator=g)
        if refined:
            middle = torch.randint(*MIDDLE, (len(x),), generator=g)
            t = torch.where(torch.rand(len(x), generator=g) < MIDDLE_SHARE, middle, t)
        kept = (torch.rand((len(x), 1), generator=g) >= TEXT_DROP).float()
        text, seen = words_to_text(torch.from_numpy(words[pick]) * kept), ()
        if context is not None:
            clean = torch.from_numpy(context[pick]).float()
            seen = (clean + CONTEXT_NOISE * torch.randn(clean.shape, generator=g),)
        target = add_noise(noise, -x, abar[t])  # v = sqrt(abar) eps - sqrt(1 - abar) x_0
        x_t = add_noise(x, noise, abar[t])
        if name not in BOTH:
            return {"loss": (predict(x_t, t, text, *seen) - target).square().mean()}
        guess, v = predict.guess_and_v(x_t, t, text)
        goal = target
        if name == "video_guided":
            with torch.no_grad():
                said = guess - predict.denoiser(x_t, t, words_to_text(torch.zeros(len(x), len(WORDS))))
            middle = (t >= MIDDLE[0]) & (t < MIDDLE[1])
            goal = target + (TEXT_WEIGHT - 1) * per_sample(kept[:, 0] * middle, said) * said
        return {"loss": (v - goal).square().mean() + GUESS_WEIGHT * (guess - target).square().mean()}

    training.run(loss_of)


def train_decoder(name: str, items: Items, work: Path) -> None:
    """Reconstruction from latents that stay what they are, so that denoisers of these latents remain right."""
    training, video = Training(name, work), name == "video_decoder"
    training.model.to(memory_format=torch.channels_last)
    latents = np.load(work / f"{'video' if video else 'audio'}_latents.npy", mmap_mode="r")
    data, n = np.load(items.video if video else items.mel, mmap_mode="r"), training.course.batch_size

    def batch(step: int) -> tuple[Tensor, Tensor, Tensor]:
        rng = draw(name, step)[0]
        if not video:
            pick = rng.integers(len(data), size=n)
            return torch.from_numpy(latents[pick]).float(), torch.from_numpy(data[pick]).float(), torch.ones(())
        pick = rng.integers(len(data), size=n // 6)
        x, z = torch.from_numpy(data[pick]).float() / 127.5 - 1, torch.from_numpy(latents[pick]).float().transpose(1, 2)
        frames = torch.from_numpy(rng.permuted(np.tile(np.arange(16), (len(x), 1)), axis=1)[:, :6])
        row = torch.arange(len(x))[:, None]
        weights = moving(x)[row, frames].flatten(0, 1)[:, None]
        return z[row, frames].flatten(0, 1), x[row, frames].flatten(0, 1).permute(0, 3, 1, 2), weights

    def loss_of(model: Any, step: int) -> dict[str, Tensor]:
        z, x, weights = batch(step)
        g = draw(name, step)[1]
        z = z + DECODER_NOISE * torch.rand((len(z), 1, 1, 1), generator=g) * torch.randn(z.shape, generator=g)
        error = model.decode(z.contiguous(memory_format=torch.channels_last)) - x
        return {"loss": (weights * (error.abs() + 4 * error.square())).mean(), "squared error": error.square().mean()}

    training.run(loss_of)


def stages(work: Path, workers: int) -> Iterator[tuple[str, Callable[[], None]]]:
    """Names and what they do, in order."""
    items = Items(work)
    yield "items", lambda: items.make(workers)
    for name in ("video_codec", "audio_codec"):
        yield name, lambda name=name: train_codec(name, items, work)  # type: ignore[misc]
    yield "latents", lambda: encode_items(items, work)
    for name in ("video_model", "video_refiner", *BOTH, "audio_model", "video_to_audio_model"):
        yield name, lambda name=name: train_denoiser(name, items, work)  # type: ignore[misc]
    for name in DECODERS:
        yield name, lambda name=name: train_decoder(name, items, work)  # type: ignore[misc]
    yield "pack", lambda: pack_all(work)


def pack_all(work: Path) -> None:
    """Write the weights that are shipped, and the record of how they came about."""
    states = {name: torch.load(work / f"{name}.pt", weights_only=True) for name in COURSES}
    final = {name: state["average"] for name, state in states.items()}
    final |= {codec: final[decoder] for decoder, codec in DECODERS.items()}
    plain, guided = (final[name] for name in BOTH)
    for part, name in PARTS.items():
        final[name] = {k: plain[f"{part}.{k}"].lerp(guided[f"{part}.{k}"], GUIDED_SHARE) for k in final[name]}
    for file, names in FILES.items():
        pack({name: final[name] for name in names}, OUT / file)
    record = {
        name: {"course": vars(COURSES[name]), "seconds": round(s["seconds"]), "curve": s["curve"]}
        for name, s in states.items()
    }
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps({"seed": SEED, "items": NUM_ITEMS, "machine": machine(), **record}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for items, latents and checkpoints (6 GB)")
    parser.add_argument("--stage", action="append", help="only these; all by default")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2, help="processes that render items")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    for name, work in stages(arguments.work, arguments.workers):
        if not arguments.stage or name in arguments.stage:
            work()


if __name__ == "__main__":
    main()

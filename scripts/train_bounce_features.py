"""Train the feature networks of the bounce dataset from nothing: metrics/data/bounce_features.safetensors.

The loss has four parts: what a clip is made of is read off the features (material, number, size and speed of balls,
when and how hard they hit); video and sound of a clip attract each other, with other clips of the same prompt and the
clip's own sound at other times as negatives; a sound that is farther off in time is less like the video; videos and
sounds find their prompt among all prompts.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from mmbench.datasets.bounce import PHRASES, Bounce, bounce
from mmbench.metrics.extractors.bounce import WEIGHTS
from mmbench.metrics.networks.bounce import FEATURE_DIM, FPS, SILENCE, STEPS, load, log_mel, towers, words_of
from mmbench.types import Item, Request

RECORD = Path(__file__).resolve().parent.parent / "results" / "bounce_features" / "training.json"
SEED = 2405  # of the items and the initial weights; runs that use this seed would be scored on training items
GROUP = 8  # clips of one prompt in a row: hard negatives for each other
HOPS_PER_SECOND = 64
NUM_CALIBRATION = 1024  # items that give features their scale
SHIFTS = (4, 64)  # of sounds that are negatives, in hops: 62 ms to 1 s
FARTHER = (8, 24)  # what is added for a second, worse negative: 125 to 375 ms
MARGIN, RANK_WEIGHT = 0.1, 5.0  # in cosine, by which the nearer one is to be more like the video; weight of that part


@dataclass(frozen=True)
class Options:
    """What a run of the script depends on."""

    num_items: int = 4096
    num_held_out: int = 512
    epochs: int = 10
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    threads: int = 1


class Data:
    """Items as the towers read them, with what they are made of."""

    def __init__(self, dataset: Bounce, items: Sequence[Item]) -> None:
        self.video = torch.from_numpy(np.stack([item.clip.video for item in items]))
        self.mel = torch.stack([log_mel(item.clip.audio, item.clip.sample_rate) for item in items])
        self.facts = torch.tensor(np.stack([facts_of(item) for item in items]), dtype=torch.float32)
        self.material = torch.tensor([sorted(dataset.world.materials).index(i.prompt.data["material"]) for i in items])
        texts = texts_of(dataset)
        self.text = torch.tensor([texts.index(item.prompt.text) for item in items])

    def pictures(self, index: Tensor) -> Tensor:
        """(n, 16, 3, 64, 64) float32 in [0, 1]."""
        return self.video[index].permute(0, 1, 4, 2, 3).float().mul_(1 / 255)


def texts_of(dataset: Bounce) -> list[str]:
    """Every prompt there is, once."""
    return [p.format(m.adjective) for m in dataset.world.materials.values() for p in PHRASES.values()]


def facts_of(item: Item) -> np.ndarray:
    """What features are to know besides the material: (22,) numbers.

    Number of balls, their mean radius, number of impacts, mean place of impacts, mean speed of the balls at the start
    to the side and upwards, and the speed of impacts around each of the 16 steps.
    """
    truth = item.truth
    distance = np.abs(np.arange(STEPS)[:, None] - FPS * truth["impact_times"])
    histogram = np.maximum(0.0, 1.0 - distance) @ truth["impact_speeds"]
    radius, aside, upwards = np.mean([(ball.radius, abs(ball.vx), ball.vy) for ball in truth["balls"]], axis=0)
    place = truth["impact_points"][:, 0].mean()
    return np.array([len(truth["balls"]), radius, len(truth["impact_times"]), place, aside, upwards, *histogram])


class Heads(nn.Module):
    """What training needs and the metrics do not: linear readings of features, temperatures."""

    def __init__(self, num_materials: int, num_facts: int) -> None:
        super().__init__()
        self.material = nn.ModuleDict({m: nn.Linear(FEATURE_DIM, num_materials) for m in ("video", "audio")})
        self.facts = nn.ModuleDict({m: nn.Linear(FEATURE_DIM, num_facts) for m in ("video", "audio")})
        self.log_scale = nn.ParameterDict({k: torch.tensor(np.log(10.0)) for k in ("pairs", "text")})

    def scale(self, name: str) -> Tensor:
        """Inverse temperature, at most 50."""
        return self.log_scale[name].exp().clamp(max=50.0)


def shifted(mel: Tensor, hops: Tensor) -> Tensor:
    """Sounds (n, 128, 48) later by `hops` (n,), earlier where negative; silence where nothing is left."""
    source = torch.arange(mel.shape[1]) - hops[:, None]
    inside = (source >= 0) & (source < mel.shape[1])
    moved = mel.gather(1, source.clamp(0, mel.shape[1] - 1)[..., None].expand_as(mel))
    return torch.where(inside[..., None], moved, float(np.log(SILENCE)))


def draw_shifts(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Two (n,) shifts in hops, of random sign: one of a size uniform in logarithm, one farther the same way."""
    low, high = np.log(SHIFTS)
    near = torch.exp(low + (high - low) * torch.rand(n, generator=generator)).round().long()
    far = near + torch.randint(FARTHER[0], FARTHER[1] + 1, (n,), generator=generator)
    sign = 2 * torch.randint(0, 2, (n,), generator=generator) - 1
    return near * sign, far * sign


def batches(text: Tensor, batch_size: int, generator: torch.Generator) -> list[Tensor]:
    """Indices of one epoch, batch by batch; each batch consists of groups of clips with the same prompt."""
    shuffled = torch.randperm(len(text), generator=generator)
    groups = []
    for t in text.unique():
        groups += [g for g in shuffled[text[shuffled] == t].split(GROUP) if len(g) == GROUP]
    order = torch.randperm(len(groups), generator=generator).tolist()
    rows = torch.stack([groups[k] for k in order]).flatten().split(batch_size)
    return [row for row in rows if len(row) == batch_size]


def losses(
    networks: nn.ModuleDict,
    heads: Heads,
    data: Data,
    facts: Tensor,
    words: Tensor,
    index: Tensor,
    generator: torch.Generator,
) -> dict[str, Tensor]:
    """The parts of the loss on one batch."""
    mel = data.mel[index]
    video_features, video = networks["video"](data.pictures(index))
    moved = [shifted(mel, hops) for hops in draw_shifts(len(index), generator)]
    audio_features, sounds = networks["audio"](torch.cat([mel, *moved]))
    features = {"video": video_features, "audio": audio_features[: len(index)]}
    audio, near, far = sounds.chunk(3)
    texts = networks["text"](words)
    logits = heads.scale("pairs") * video @ sounds.T
    own = torch.arange(len(index))
    parts = {
        "pairs": (F.cross_entropy(logits, own) + F.cross_entropy(logits[:, : len(index)].T, own)) / 2,
        "rank": RANK_WEIGHT * F.relu(MARGIN + (video * (far - near)).sum(1)).mean(),
        "text": sum(F.cross_entropy(heads.scale("text") * x @ texts.T, data.text[index]) for x in (video, audio)) / 2,
    }
    for m, x in features.items():
        parts[f"{m} material"] = F.cross_entropy(heads.material[m](x), data.material[index])
        parts[f"{m} facts"] = F.mse_loss(heads.facts[m](x), facts[index])
    return parts


@torch.inference_mode()
def held_out(
    networks: nn.ModuleDict, heads: Heads, data: Data, others: Data, facts: Tensor, words: Tensor
) -> dict[str, float]:
    """How well unseen clips are understood; `others` are other clips of the same prompts."""
    networks.eval()
    index = torch.arange(len(data.text))
    outputs = {
        "video": [networks["video"](data.pictures(i)) for i in index.split(64)],
        "audio": [networks["audio"](data.mel[i]) for i in index.split(64)],
    }
    features, embedding = ({m: torch.cat([o[k] for o in out]) for m, out in outputs.items()} for k in (0, 1))
    texts = networks["text"](words)
    own = (embedding["video"] * embedding["audio"]).sum(1)

    def against(mel: Tensor) -> float:
        """Share of videos nearer to their own sound than to this one."""
        return float((own > (embedding["video"] * networks["audio"](mel)[1]).sum(1)).float().mean())

    found = {"own sound before another of the same prompt": against(others.mel)}
    for milliseconds in (125, 250, 500):
        hops = torch.full((len(index),), milliseconds * HOPS_PER_SECOND // 1000)
        found[f"own sound before the same {milliseconds} ms later"] = against(shifted(data.mel, hops))
    for m in ("video", "audio"):
        guess = heads.material[m](features[m]).argmax(1)
        error = (heads.facts[m](features[m]) - facts).square().mean(0)
        found[f"{m}: material"] = float((guess == data.material).float().mean())
        found[f"{m}: prompt among {len(texts)}"] = float(
            ((embedding[m] @ texts.T).argmax(1) == data.text).float().mean()
        )
        for name, part in {
            "balls": error[0],
            "radius": error[1],
            "impacts": error[2],
            "motion": error[3:6],
            "times": error[6:],
        }.items():
            found[f"{m}: variance explained, {name}"] = float(1 - part.mean())
    networks.train()
    return found


def save(networks: nn.ModuleDict, path: Path) -> None:
    """Write the towers; matrices in half precision."""
    state = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in networks.state_dict().items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in state.items()}, path)


@torch.inference_mode()
def calibrate(path: Path, data: Data) -> None:
    """Give features mean 0 and variance 1 on real clips; until here their scale knows shifted sounds too."""
    networks = nn.ModuleDict({name: load(name, path) for name in towers()})
    index = torch.arange(min(len(data.text), NUM_CALIBRATION))
    for name, read in {"video": data.pictures, "audio": lambda i: data.mel[i]}.items():
        features = torch.cat([networks[name](read(i))[0] for i in index.split(64)])
        norm = networks[name].features[1]
        std = (norm.running_var + norm.eps).sqrt()
        norm.running_mean += features.mean(0) * std
        norm.running_var.copy_(features.var(0) * std**2 - norm.eps)
    save(networks, path)


def train(
    options: Options, dataset: Bounce, data: Data, unseen: Data, others: Data, checkpoint: Path
) -> list[dict[str, Any]]:
    """Train, writing the towers to `checkpoint` after every epoch; returns the curve."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    networks = towers().to(memory_format=torch.channels_last)
    heads = Heads(len(dataset.world.materials), data.facts.shape[1])
    mean, std = data.facts.mean(0), data.facts.std(0).clamp_min(1e-3)  # nothing is ever hit in the first steps
    facts, unseen_facts = (data.facts - mean) / std, (unseen.facts - mean) / std
    words = words_of(texts_of(dataset))
    parameters = [*networks.parameters(), *heads.parameters()]
    optimizer = torch.optim.AdamW(parameters, options.learning_rate, weight_decay=options.weight_decay)
    steps = options.epochs * len(batches(data.text, options.batch_size, torch.Generator().manual_seed(SEED)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.learning_rate, total_steps=steps + options.epochs, pct_start=0.1
    )
    curve, started = [], time.perf_counter()
    for epoch in range(options.epochs):
        seen: dict[str, list[float]] = {}
        for index in batches(data.text, options.batch_size, generator):
            parts = losses(networks, heads, data, facts, words, index, generator)
            optimizer.zero_grad()
            torch.stack(list(parts.values())).sum().backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            optimizer.step()
            schedule.step()
            for name, part in parts.items():
                seen.setdefault(name, []).append(float(part.detach()))
        save(networks, checkpoint)
        row: dict[str, Any] = {"epoch": epoch + 1, "seconds": round(time.perf_counter() - started, 1)}
        row["loss"] = {name: round(float(np.mean(values)), 4) for name, values in seen.items()}
        last = epoch + 1 == options.epochs
        if last or epoch % 4 == 3:
            found = held_out(networks, heads, unseen, others, unseen_facts, words)
            row["held_out"] = {name: round(value, 4) for name, value in found.items()}
        print(json.dumps(row), flush=True)
        curve.append(row)
    return curve


def machine() -> str:
    """Processor, cores and library versions."""
    model = subprocess.run(["lscpu"], capture_output=True, text=True).stdout.split("Model name:")[-1].split("\n")[0]
    threads = torch.get_num_threads()
    return f"{model.strip()}, {threads} threads, Python {platform.python_version()}, torch {torch.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, value in asdict(Options()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where the weights go")
    parser.add_argument("--record", type=Path, default=RECORD, help="where curve and held-out results go")
    arguments = vars(parser.parse_args())
    out, record = arguments.pop("out"), arguments.pop("record")
    options = Options(**arguments)
    torch.set_num_threads(options.threads)
    started = time.perf_counter()
    dataset = bounce()
    requests = [Request(p, 0, SEED) for p in dataset.prompts(options.num_held_out, SEED)]
    data = Data(dataset, dataset.reference(options.num_items, SEED)[:])
    unseen = Data(dataset, [dataset.real(r, "real") for r in requests])
    others = Data(dataset, [dataset.real(r, "independent 0") for r in requests])
    made = time.perf_counter() - started
    curve = train(options, dataset, data, unseen, others, out)
    calibrate(out, data)
    seconds = {"items": round(made, 1), "training": round(time.perf_counter() - started - made, 1)}
    record.parent.mkdir(parents=True, exist_ok=True)
    report = {"options": asdict(options), "seed": SEED, "machine": machine(), "seconds": seconds, "curve": curve}
    record.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()

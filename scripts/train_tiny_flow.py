"""Continue the embedded pair `tiny` as rectified flows: baselines/data/tiny_flow.safetensors.

Starts from the shipped weights of `tiny`, which are flow models already under the preconditioning of
`mmbench.baselines.models.tiny.flow`, and goes on with the flow-matching loss || v - (eps - x_0) ||^2 at s drawn as the
sampler's grid lies: uniform, then shifted by 3 (video) or 1 (audio). Neither model sees the other modality. All of it:

    python scripts/train_tiny_flow.py --work WORK

or stages side by side, one process each: `--stage video_model` beside `--stage audio_model`, then `--stage pack`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from train_tiny import COURSES as BASE_COURSES
from train_tiny import OUT, ROOT, SEED, TEXT_DROP, Course, Training, draw

from mmbench.baselines.models.tiny.flow import SCHEDULES, SHIFTS, FlowDenoiser
from mmbench.baselines.models.tiny.networks import AUDIO_LATENT, VIDEO_LATENT, log_mel, pack, unpack, words_of
from mmbench.datasets.bounce import bounce
from mmbench.mmdisco.flow_sampler import shift_noise
from mmbench.runs.circumstances import machine

RECORD = ROOT / "results" / "tiny_flow" / "training.json"
NUM_ITEMS = {"video_model": 2000, "audio_model": 8000}  # the first of those that `tiny` was trained on
CHUNK = 16
SHIFT_OF = dict(zip(("video_model", "audio_model"), SHIFTS, strict=True))
SCHEDULE_OF = dict(zip(SHIFT_OF, SCHEDULES, strict=True))
COURSES = {
    "video_model": Course(350, 32, 4e-4, 50, 0.99),
    "audio_model": Course(1000, 32, 4e-4, 50, 0.995),
}


@torch.inference_mode()
def latents_of(name: str, work: Path) -> tuple[np.ndarray, np.ndarray]:
    """One modality's latents of all items, (n, 4, 16, 8, 8) or (n, 4, 32, 16) float16, and words (n, 12); made once."""
    path = work / f"{name}_items.npz"
    if not path.exists():
        video, num = name == "video_model", NUM_ITEMS[name]
        codec: Any = unpack("video_codec" if video else "audio_codec", OUT / "tiny.safetensors")
        reference, words = bounce().reference(num, SEED), list[Tensor]()
        latents = np.empty((num, *(VIDEO_LATENT if video else AUDIO_LATENT)), np.float16)
        for first in range(0, num, CHUNK):
            items = [reference[i] for i in range(first, min(first + CHUNK, num))]
            words += [words_of(item.prompt.text) for item in items]
            if video:
                x = torch.from_numpy(np.stack([item.clip.video for item in items])).float() / 127.5 - 1
                z = codec.encode(x.permute(0, 1, 4, 2, 3).flatten(0, 1)).unflatten(0, (-1, x.shape[1])).transpose(1, 2)
            else:
                z = codec.encode(torch.stack([log_mel(item.clip.audio) for item in items]))
            latents[first : first + CHUNK] = z.numpy()
        np.savez(path, latents=latents, words=torch.stack(words).numpy())
    stored = np.load(path)
    return stored["latents"], stored["words"]


def train_flow(name: str, work: Path) -> None:
    """Flow matching from the shipped v-model on; texts dropped now and then."""
    latents, words = latents_of(name, work)
    training = Training(name, work)
    training.course, shift = COURSES[name], SHIFT_OF[name]
    if training.step == 0:
        training.model.load_state_dict(unpack(name, OUT / "tiny.safetensors").state_dict())
        training.average = {k: v.clone() for k, v in training.model.state_dict().items()}
    flow = FlowDenoiser(training.model, SCHEDULE_OF[name])  # type: ignore[arg-type]
    first = BASE_COURSES[name].steps  # other draws than those of the course that is continued

    def loss_of(model: Any, step: int) -> dict[str, Tensor]:
        rng, g = draw(name, first + step)
        pick = rng.integers(len(latents), size=training.course.batch_size)
        x = torch.from_numpy(latents[pick]).float()
        noise = torch.randn(x.shape, generator=g)
        s = shift_noise(torch.rand(len(x), generator=g, dtype=torch.float64), shift)
        kept = (torch.rand((len(x), 1), generator=g) >= TEXT_DROP).float()
        level = s.float().reshape(-1, *[1] * (x.ndim - 1))
        velocity = flow.velocity((1 - level) * x + level * noise, s, model.words(torch.from_numpy(words[pick]) * kept))
        return {"loss": (velocity - (noise - x)).square().mean()}

    training.run(loss_of)


def pack_all(work: Path, out: Path) -> None:
    """Write the weights that are shipped to `out`, and the record of how they came about."""
    states = {name: torch.load(work / f"{name}.pt", weights_only=True) for name in COURSES}
    pack({name: state["average"] for name, state in states.items()}, out)
    record = {
        name: {
            "course": vars(COURSES[name]),
            "items": NUM_ITEMS[name],
            "shift": SHIFT_OF[name],
            "seconds": round(s["seconds"]),
            "curve": s["curve"],
        }
        for name, s in states.items()
    }
    RECORD.parent.mkdir(parents=True, exist_ok=True)
    RECORD.write_text(json.dumps({"seed": SEED, "machine": machine(), **record}, indent=1) + "\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="folder for latents and checkpoints (200 MB)")
    parser.add_argument("--stage", action="append", help="only these of video_model, audio_model, pack; all by default")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    arguments.work.mkdir(parents=True, exist_ok=True)
    for stage in arguments.stage or (*COURSES, "pack"):
        pack_all(arguments.work, OUT / "tiny_flow.safetensors") if stage == "pack" else train_flow(
            stage, arguments.work
        )


if __name__ == "__main__":
    main()

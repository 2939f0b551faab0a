"""The experiments that train discriminators (arXiv 2405.17842): Tables 7 to 10, Figure 5, the grid of joint scales.

The one list that `mmbench sweep` works from. A grid names the published setting; any other pair and dataset can be put
in its place, which is how the same experiment is done in miniature. Where on the axis of Figure 5 its points lie, and
that the grid of joint scales leaves the sound's at 1, are choices made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """A row of a table or a point of a curve: a discriminator, how it is trained, and how it guides.

    Attributes:
        label: Name of the row; unique in its grid.
        published: First cells of its row in mmbench/tables/data/paper.json; () if it has none.
        control: For a row without a discriminator: a system of ours, or "" for the pair alone.
        design: Of the discriminator; "" without one.
        loss: "all", "disc" or "denoise".
        sizes: Its channels and num_blocks, where they are not the pair's own.
        options: Of the guided system, "NAME=VALUE".
        part: Share of the whole training that it had.
        x: Where it stands on the axis of a curve; None for the epochs it was trained.
    """

    label: str
    published: tuple[Any, ...] = ()
    control: str = ""
    design: str = ""
    loss: str = "all"
    sizes: Mapping[str, int] = field(default_factory=dict)
    options: tuple[str, ...] = ()
    part: float = 1.0
    x: float | None = None


@dataclass(frozen=True)
class Grid:
    """One experiment as it was published.

    Attributes:
        title: What it shows.
        system: The pair.
        dataset: Real pairs, and what is generated for.
        metrics: Columns.
        num_fake: Pairs that the bases make beforehand.
        training: Fields of `mmbench.mmdisco.training_config.TrainConfig`.
        rows: In the order of the paper.
        published: Number of the table in mmbench/tables/data/paper.json; "" for a curve.
        axis: What a curve is drawn against; "" for a table.
        train_seeds: Trainings of every discriminator.
    """

    title: str
    system: str
    dataset: str
    metrics: tuple[str, ...]
    num_fake: int
    training: Mapping[str, Any]
    rows: tuple[Row, ...]
    published: str = ""
    axis: str = ""
    train_seeds: int = 1


IN_DOMAIN: dict[str, Any] = {
    "system": "mm_diffusion",
    "dataset": "landscape_ind",
    "metrics": ("fvd", "fad", "ib_av"),
    "num_fake": 1000,
}
IN_DOMAIN_TRAINING = {"learning_rate": 1e-3, "batch_size": 16, "epochs": 100.0}
OUT_OF_DOMAIN: dict[str, Any] = {"metrics": ("fvd", "ib_tv", "fad", "ib_ta", "ib_av"), "num_fake": 10_000}
VGGSOUND = {**OUT_OF_DOMAIN, "system": "auffusion_vc2", "dataset": "vggsound"}
VGGSOUND_TRAINING = {"learning_rate": 1e-3, "batch_size": 32, "epochs": 10.0}
LANDSCAPE_TRAINING = VGGSOUND_TRAINING | {"epochs": 100.0}

PAIR = "no guidance"


def _sized(channels: int, num_blocks: int, *, printed_blocks: int | None = None) -> Row:
    """A row of a discriminator's size, beside the printed row of that L or of `printed_blocks`."""
    sizes = {"channels": channels, "num_blocks": num_blocks}
    key = (channels, num_blocks if printed_blocks is None else printed_blocks)
    return Row(f"C={channels}, L={num_blocks}", key, design="res_mlp", sizes=sizes)


def _joint_scale(video: int) -> Row:
    return Row(f"video scale {video}", design="res_mlp", options=(f"joint_scale={video},1",), x=float(video))


GRIDS: dict[str, Grid] = {
    "table7": Grid(
        "Losses, Landscape, AudioLDM / AnimateDiff",
        **OUT_OF_DOMAIN,
        system="audioldm_animatediff",
        dataset="landscape",
        training=LANDSCAPE_TRAINING,
        rows=(
            Row("ground truth", ("ground_truth",), control="ground_truth"),
            Row(PAIR, ("no_joint",)),
            *(Row(f"loss {loss}", (loss,), design="res_mlp", loss=loss) for loss in ("disc", "denoise", "all")),
        ),
        published="7",
    ),
    "table8": Grid(
        "Channels of the discriminator, Landscape in-domain",
        **IN_DOMAIN,
        training=IN_DOMAIN_TRAINING,
        rows=(Row(PAIR, (None, None)), *(_sized(channels, 2) for channels in (32, 64, 128, 256))),
        published="8",
    ),
    "table9": Grid(
        "Depth of the discriminator, Landscape in-domain",
        **IN_DOMAIN,
        training=IN_DOMAIN_TRAINING,
        rows=(
            Row(PAIR, (None, None)),
            *(_sized(32, blocks) for blocks in (1, 2, 4)),
            *(_sized(128, blocks) for blocks in (1, 2)),
            _sized(128, 3, printed_blocks=1),  # printed as L = 1 with 19.0M parameters, which L = 3 has
            _sized(128, 4),
        ),
        published="9",
    ),
    "table10": Grid(
        "Designs of the discriminator, VGGSound, Auffusion / VideoCrafter2",
        **VGGSOUND,
        training=VGGSOUND_TRAINING,
        rows=(
            Row(PAIR, (None,)),
            *(
                Row(f"{extractor}_{fusion}", (f"{extractor}_{fusion}",), design=f"{extractor}_{fusion}")
                for extractor in ("res", "vit")
                for fusion in ("mlp", "naive", "frieren")
            ),
        ),
        published="10",
    ),
    "figure5": Grid(
        "Scores in the course of 300 epochs of training, Landscape in-domain",
        **IN_DOMAIN,
        training=IN_DOMAIN_TRAINING | {"epochs": 300.0},
        rows=(
            Row(PAIR, x=0.0),
            *(Row(f"{sixth}/6 of the training", design="res_mlp", part=sixth / 6) for sixth in range(1, 7)),
        ),
        axis="epochs",
        train_seeds=5,
    ),
    "joint_scale": Grid(
        "Weight of the discriminator's gradient on the video, VGGSound, Auffusion / VideoCrafter2",
        **VGGSOUND,
        training=VGGSOUND_TRAINING,
        rows=(Row(PAIR, x=0.0), *(_joint_scale(scale) for scale in (1, 2, 4, 6, 8, 10))),
        axis="joint scale of the video",
    ),
}

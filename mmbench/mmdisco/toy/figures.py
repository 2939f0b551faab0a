"""Scatter plots of the 1-D experiment (arXiv 2405.17842, Figures 2 and 4): one panel per method."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from mmbench.mmdisco.toy.data import target
from mmbench.mmdisco.toy.table import SOURCE

TITLES = {
    "gt": "ground truth",
    "no_joint": "no joint guidance",
    "disc": "discrimination loss",
    "denoise": "denoising loss",
    "all": "both losses",
}
FIGURES = {"ind": 2, "ood": 4}  # the paper's numbers


def save_figure(
    points: Mapping[str, Tensor], setting: str, sigma: float, folder: Path, source: Mapping[str, str] = SOURCE
) -> Path:
    """Write figure2_ind_sigma0.25.png, or ind_sigma0.25_flow-flow_index_ode.png of other bases, into `folder`.

    Args:
        points: (n, 2) points per method; methods without a title are left out.
        setting: "ind" or "ood".
        sigma: Standard deviation of the Gaussians, for the crosses at their means and the NLL in each title.
        folder: An existing folder.
        source: Bases, pairing and sampler of the points.

    Returns:
        The file written.
    """
    from matplotlib.figure import Figure

    mixture, shown = target(setting, sigma), [method for method in TITLES if method in points]
    figure = Figure(figsize=(2.4 * len(shown), 2.8), layout="constrained", dpi=80)
    for axes, method in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        x, y = points[method].unbind(-1)
        axes.plot(x, y, ",", color="tab:blue", alpha=0.6)
        axes.plot(*zip(*mixture.means, strict=True), "+", color="tab:red", markersize=6, markeredgewidth=0.8)
        axes.set(xlim=(-4.5, 4.5), ylim=(-4.5, 4.5), aspect="equal", xticks=(-3, 0, 3), yticks=(-3, 0, 3))
        nll = -mixture.log_prob(points[method].double()).mean().item()
        axes.set_title(f"{TITLES[method]}\nNLL {nll:.2f}", fontsize=9)
    number = f"figure{FIGURES[setting]}_" if source == SOURCE else ""
    words = "" if source == SOURCE else "_" + "_".join(source.values()).replace("/", "-")
    path = folder / f"{number}{setting}_sigma{sigma:g}{words}.png"
    figure.savefig(path)
    return path

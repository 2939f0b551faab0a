"""Options of guided systems: which evaluations compute the gradient, in which precision, and their identity."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from mmbench.baselines.kinds.discriminators import FOLDER_VARIABLE, SHIPPED, file_digest
from mmbench.baselines.kinds.guiding import FAST_EVERY
from mmbench.errors import MMBenchError, UsageError
from mmbench.experiments.profiling.profile import make_batch, profiled_dataset
from mmbench.mmdisco.guidance import Guidance
from mmbench.mmdisco.losses import Pair, Times, by_modality
from mmbench.registry import discover, make_dataset
from mmbench.runs.spec import make_requests
from mmbench.system_names import make_system
from mmbench.types import DESIGNS

DATASET = make_dataset("bounce")
REQUESTS = make_requests(DATASET, 3, 7)
ENTRIES = discover("system")[0].values()  # other distributions register pairs, too
GUIDABLE = sorted(e.name for e in ENTRIES if e.guidable and e.origin.startswith("mmbench."))
SIZED = [name for name in GUIDABLE if name not in ("pipelines", "tiny", "tiny_flow")]  # that take size=tiny by name


def tiny(name: str = "tiny+mmdisco", **options: Any) -> Any:
    return make_system(name, dataset=DATASET, device="cpu", **{"num_inference_steps": 6, **options})


def untrained(name: str, **options: Any) -> tuple[Any, Any]:
    """A small system with random weights, and the dataset it was published on."""
    dataset = profiled_dataset(name, None)
    return make_system(name, dataset=dataset, device="cpu", size="tiny", weights="random", **options), dataset


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Timesteps of the video at which gradients are computed."""
    computed: list[int] = []
    gradient = Guidance.gradient

    def counted(self: Guidance, x_t: Tensor, y_t: Tensor, t: Times, text: tuple[Tensor, ...]) -> Pair:
        computed.append(int(by_modality(t)[0][0]))
        return gradient(self, x_t, y_t, t, text)

    monkeypatch.setattr(Guidance, "gradient", counted)
    return computed


@pytest.mark.parametrize(
    "sampler",
    [
        *("dpmsolver++2m", "sde-dpmsolver++2m"),
        *(pytest.param(name, marks=pytest.mark.thorough) for name in ("ddim", "ddpm")),
    ],
)
def test_gradients_are_computed_where_they_are_asked_for_by_every_sampler(gradients: list[int], sampler: str) -> None:
    counts = []
    for every, steps in ((1, None), (4, None), (2, (1, 4))):
        gradients.clear()
        system = tiny(sampler=sampler, guided_every=every, guided_steps=steps)
        system.pair().sample(REQUESTS[:1], system.guide)
        counts.append(len(gradients))
    assert counts == [6, 2, 2]


@pytest.mark.thorough
def test_a_singlestep_solver_can_compute_one_gradient_for_each_outer_step(gradients: list[int]) -> None:
    system, dataset = untrained("mm_diffusion+mmdisco", num_inference_steps=5, guided_every=3)
    system.pair().sample(make_batch(dataset, 1), system.guide)
    solver = system.pair().sampler()
    starts = [nodes[0] for nodes in solver.times()]
    assert len(gradients) == len(starts) == 2
    assert gradients == [int(1000 * s - 1) for s in starts]


@pytest.mark.thorough
def test_kept_gradients_do_not_leak_from_one_batch_to_the_next() -> None:
    system = tiny("tiny+mmdisco-fast", guided_steps=(0, 5))
    together = [clip.digest() for clip in system.generate(REQUESTS)]
    alone = [next(system.generate([request])).digest() for request in reversed(REQUESTS)]
    assert together == alone[::-1]
    every = [clip.digest() for clip in tiny(guided_every=1).generate(REQUESTS)]
    assert every == [clip.digest() for clip in tiny().generate(REQUESTS)]
    assert not set(every) & set(together)


def test_only_what_is_not_at_its_default_is_part_of_the_identity() -> None:
    plain = tiny().spec()
    assert tiny(guided_every=1, guided_steps=None, guidance_precision="ieee").spec() == plain
    options = {"guided_every": 3, "guided_steps": (0, 4), "guidance_precision": "bfloat16"}
    assert tiny(**options).spec() == {**plain, "mmdisco": {**plain["mmdisco"], **options}}
    fast = {**plain, "mmdisco": {**plain["mmdisco"], "guided_every": FAST_EVERY}}
    assert tiny("tiny+mmdisco-fast").spec() == fast
    assert tiny("tiny+mmdisco-fast", guided_every=1).spec() == plain


def test_a_path_needs_a_discriminator_of_its_levels() -> None:
    with pytest.raises(MMBenchError, match="trained on bounce at independent noise levels, and there is none") as none:
        tiny("tiny+mmdisco", path="video_first")
    assert none.value.next.startswith("mmbench train --system tiny --dataset bounce --discriminator res_mlp --pairing")
    shipped = str(SHIPPED / "tiny+mmdisco-bounce.safetensors")
    with pytest.raises(UsageError, match="trained on pairing 'index' of noise levels, and path 'video_first'"):
        tiny(path="video_first", discriminator=shipped)


def test_a_path_is_part_of_the_identity_and_asks_for_gradients_at_its_levels(gradients: list[int]) -> None:
    first, last = (tiny("tiny+mmdisco-res_frieren", path=path) for path in ("video_first", "audio_first"))
    told = first.spec()["mmdisco"]
    assert (told["path"], told["pairing"]) == ("video_first", "independent")
    assert last.spec() == {**first.spec(), "mmdisco": {**told, "path": "audio_first"}}
    for system, expected in ((first, [999, 832, 666, 500, 333, 166] + 6 * [0]), (last, 6 * [999] + [999, 832])):
        gradients.clear()
        system.pair().sample(REQUESTS[:1], system.guide)
        assert gradients[: len(expected)] == expected, "levels of the video"
        assert len(gradients) == 12


def test_the_path_is_that_of_the_discriminator_unless_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """video_first where it knows every pair of levels, and never another discriminator for the sake of a path."""
    name = "tiny+mmdisco-res_frieren"
    first = tiny(name, path="video_first").spec()
    assert tiny(name).spec() == first
    without = {key: value for key, value in first["mmdisco"].items() if key != "path"}
    assert tiny(name, path="fraction").spec() == {**first, "mmdisco": without}
    shipped = SHIPPED / "tiny+mmdisco-bounce.safetensors"  # of equal levels
    assert "path" not in tiny("tiny+mmdisco").spec()["mmdisco"]
    own = tmp_path / "tiny+mmdisco-res_frieren-bounce-s0" / "discriminator.safetensors"
    own.parent.mkdir()
    own.write_bytes(shipped.read_bytes())
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    told = tiny(name).spec()["mmdisco"]
    assert "path" not in told
    assert told["weights"] == file_digest(shipped)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("base", SIZED)
def test_every_design_of_every_pair_has_a_fast_form(base: str, design: str) -> None:
    system, _ = untrained(f"{base}+mmdisco-{design}-fast")
    assert system.name == f"{base}+mmdisco{'' if design == 'res_mlp' else '-' + design}-fast"
    assert system.spec()["mmdisco"]["guided_every"] == FAST_EVERY


@pytest.mark.parametrize(
    "option",
    [
        *({"guided_every": value} for value in (0, "x", 2.5)),
        *({"guided_steps": value} for value in (3, (4, 2), (-1, 2), "0-3")),
        {"guidance_precision": "float16"},
        {"path": "sideways"},
    ],
)
def test_values_that_mean_nothing_are_refused(option: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(option))):
        tiny(**option)


@pytest.mark.parametrize("design", DESIGNS)
def test_weights_that_guide_lie_as_rows_do_and_give_the_same_gradient(design: str) -> None:
    system, _ = untrained(f"auffusion_vc2+mmdisco-{design}")
    pair, g = system.pair(), torch.Generator().manual_seed(0)
    text = tuple(torch.randn(2, *u.shape, generator=g) for u in pair.unconditional)
    x, y = (torch.randn(2, *shape, generator=g) for shape in pair.shapes)
    guidance = system.guide(text, text)
    kernels = [p for p in guidance.discriminator.parameters() if p.ndim == 4]
    assert all(p.is_contiguous(memory_format=torch.channels_last) for p in kernels)
    plain = copy.deepcopy(guidance.discriminator)
    for parameter in plain.parameters():
        parameter.data = parameter.data.contiguous()
    t = torch.tensor([10, 900])
    for ours, theirs in zip(guidance.gradient(x, y, t, text), Guidance(plain).gradient(x, y, t, text), strict=True):
        assert torch.equal(ours, theirs)

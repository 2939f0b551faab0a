"""Rankings: numbers of one protocol alone, intervals that hold the truth, and who has no rank."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mmbench.leaderboard.protocol import protocol_of
from mmbench.leaderboard.ranking import Ranking, rank_all
from mmbench.leaderboard.submission import Author, Entry, Sample, digest_clips, digest_prompts
from tests.leaderboard.material import a_record, a_run, an_author, scatter, some_samples


def an_entry(
    system: str, values: list[float], author: Author | None = None, with_samples: bool = False, **changes: Any
) -> Entry:
    """An entry as it is read from a board."""
    of_run = {name: changes.pop(name) for name in ("weights", "dataset", "seed") if name in changes}
    run, samples = a_run(system, **of_run), tuple(some_samples(values, system, of_run.get("seed", 0)))
    one = a_record(run, values, **changes)
    digests = digest_prompts(samples), digest_clips(samples)
    return Entry(author or an_author(), run, one, "d", *digests, samples if with_samples else None, f"f line {system}")


def places(ranking: Ranking) -> dict[str, tuple[int | None, int | None]]:
    return {row.entry.record.system: (row.first, row.last) for row in ranking.rows}


def test_sure_differences_are_ranks_and_unsure_ones_overlap() -> None:
    entries = [an_entry(name, scatter(mean)) for name, mean in (("c", 0.1), ("a", 0.9), ("b", 0.5), ("b2", 0.51))]
    (ranking,) = rank_all(entries)
    assert places(ranking) == {"a": (1, 1), "b2": (2, 3), "b": (2, 3), "c": (4, 4)}
    assert [row.entry.record.system for row in ranking.rows] == ["a", "b2", "b", "c"]
    down = [an_entry(n, scatter(m), metric="desync.avbench_8s") for n, m in (("worse", 0.9), ("better", 0.1))]
    (ranking,) = rank_all(down)
    assert places(ranking) == {"better": (1, 1), "worse": (2, 2)}


ACROSS: list[tuple[str, dict[str, Any]]] = [
    ("signature", {"signature": "av_align|mmdisco_96ms|extractors:mine-123456|size:s|version:2"}),
    ("dataset", {"dataset": "landscape"}),
    ("seed", {"seed": 1}),
    ("reference", {"reference": {"dataset": "bounce", "n": 9}}),
    ("untrained system", {"weights": "random"}),
    ("networks", {"extractor_weights": "random"}),
    ("direction", {"higher_is_better": False}),
]


@pytest.mark.parametrize("changes", [changes for _, changes in ACROSS], ids=[name for name, _ in ACROSS])
def test_no_rank_goes_across_protocols(changes: dict[str, Any]) -> None:
    rankings = rank_all([an_entry("a", scatter(0.9)), an_entry("b", scatter(0.1), **changes)])
    assert [places(ranking) for ranking in rankings] in ([{"a": (1, 1)}, {"b": (1, 1)}], [{"b": (1, 1)}, {"a": (1, 1)}])
    assert len({ranking.protocol.id for ranking in rankings}) == len({r.protocol.file_name for r in rankings}) == 2


def test_nor_across_n_prompts_and_content_of_the_dataset() -> None:
    a = an_entry("a", scatter(0.9))
    for b in (an_entry("b", scatter(0.1, n=17)), replace(a, prompts="x"), replace(a, dataset_digest="x")):
        assert protocol_of(b) != protocol_of(a)


def test_where_somebody_keeps_a_dataset_is_no_matter_but_its_shape_is() -> None:
    reference = {"dataset": "vggsound:/data/a", "n": 16, "formats": ["x"]}
    a = an_entry("a", scatter(0.9), dataset="vggsound:/data/a", reference=reference)
    b = an_entry("b", scatter(0.9), dataset="vggsound:/b", reference=reference | {"dataset": "vggsound:/b"})
    c = an_entry("c", scatter(0.9), dataset="vggsound:/b?seconds=8", reference=reference)
    assert protocol_of(a) == protocol_of(b) != protocol_of(c)
    assert protocol_of(a).setting.dataset == "vggsound"


def test_who_has_no_rank_is_shown_with_the_reason_and_takes_no_place() -> None:
    old, new = an_author(date="2026-01-01"), an_author(version="2", date="2026-02-01")
    entries = [
        an_entry("ground_truth", scatter(0.95)),
        an_entry("independent", scatter(0.01)),
        an_entry("chosen", scatter(0.9), optimised_for="av_align.mmdisco_96ms"),
        an_entry("flaky", scatter(0.9), n_scored=15, n_present=15, n_failed=1),
        an_entry("single", scatter(0.9), stderr=None, low=None, high=None),
        an_entry("twice", scatter(0.8), old),
        an_entry("twice", scatter(0.4), new),
        an_entry("other", scatter(0.6)),
    ]
    (ranking,) = rank_all(entries)
    told = {(row.entry.record.system, row.entry.author.version): row.why for row in ranking.rows}
    assert told == {
        ("ground_truth", "1"): "control",
        ("independent", "1"): "control",
        ("chosen", "1"): "optimised for it",
        ("flaky", "1"): "incomplete",
        ("single", "1"): "no standard error",
        ("twice", "1"): "older version",
        ("twice", "2"): "",
        ("other", "1"): "",
    }
    ranked = {row.entry.author.version: (row.first, row.last) for row in ranking.rows if not row.why}
    assert ranked == {"1": (1, 1), "2": (2, 2)}
    assert ranking.num_ranked == 2


def test_shared_samples_are_compared_one_by_one_which_tells_more() -> None:
    hard = np.random.default_rng(0).normal(0, 1, 24)  # prompts differ much, systems little
    noise = np.random.default_rng(1).normal(0, 0.05, (2, 24))
    values = [(hard + noise[0]).tolist(), (hard + 0.1 + noise[1]).tolist()]
    (alone,) = rank_all([an_entry(n, v) for n, v in zip("ab", values, strict=True)])
    assert (places(alone), alone.num_paired) == ({"a": (1, 2), "b": (1, 2)}, 0)
    entries = [an_entry(n, v, with_samples=True) for n, v in zip("ab", values, strict=True)]
    (paired,) = rank_all(entries)
    assert (places(paired), paired.num_paired) == ({"b": (1, 1), "a": (2, 2)}, 1)
    shuffled = replace(entries[1], samples=tuple(reversed(entries[1].samples or ())))
    (again,) = rank_all([entries[0], shuffled])  # names pair, not places
    assert places(again) == places(paired)
    (renamed,) = rank_all([entries[0], replace(shuffled, samples=_renamed(shuffled))])
    assert (places(renamed), renamed.num_paired) == (places(alone), 0)


def _renamed(entry: Entry) -> tuple[Sample, ...]:
    return tuple(replace(sample, id=f"x{sample.id}") for sample in entry.samples or ())


def test_two_systems_that_are_one_share_their_ranks() -> None:
    values = scatter(0.5)
    entries = [an_entry(n, values, with_samples=True) for n in "ab"]
    (ranking,) = rank_all(entries)
    assert places(ranking) == {"a": (1, 2), "b": (1, 2)}


@pytest.mark.parametrize("with_samples", [False, True])
def test_all_intervals_of_a_board_hold_in_95_percent_of_simulated_boards(with_samples: bool) -> None:
    """Five systems on shared prompts, two of them truly equal."""
    rng, means, held, repetitions = np.random.default_rng(3), np.array([0.0, 0.3, 0.3, 0.6, 1.2]), 0, 100
    ranks = {f"s{k}": 1 + int((means > mean).sum()) for k, mean in enumerate(means)}
    for _ in range(repetitions):
        drawn = means[:, None] + 0.7 * rng.standard_normal(20) + 0.7 * rng.standard_normal((5, 20))
        (ranking,) = rank_all([an_entry(f"s{k}", v.tolist(), with_samples=with_samples) for k, v in enumerate(drawn)])
        assert ranking.num_paired == (10 if with_samples else 0)
        found = places(ranking)
        held += all((found[name][0] or 0) <= rank <= (found[name][1] or 0) for name, rank in ranks.items())
    assert held >= 0.95 * repetitions - 2 * np.sqrt(0.05 * 0.95 * repetitions)

"""The site: a page, rows for programs, the same bytes from the same board; no text of others does anything."""

from __future__ import annotations

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from mmbench.errors import MMBenchError
from mmbench.leaderboard.board import add, read_board
from mmbench.leaderboard.build import build
from mmbench.leaderboard.ranking import rank_all
from tests.leaderboard.material import a_run, an_author, scatter, send
from tests.report.test_report import HOSTILE

PRINTED = list(
    dict.fromkeys(t for t in [*HOSTILE, "=1+1", "@x", "../../etc", "a / b"] if t.isprintable() and t.strip())
)


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """Three teams, a control, a system that was optimised, one with random weights, one of lossy clips."""
    files = [
        send(tmp_path / "a", "fast", scatter(0.8), baseline=0.3, baseline_stderr=0.02),
        send(
            tmp_path / "b",
            "slow",
            scatter(0.4),
            an_author(team="Lab B", link=""),
            lossy=True,
            baseline=0.3,
            baseline_stderr=0.02,
            excess=0.4 - 0.3,
            excess_stderr=0.04,
            excess_low=0.015,
            excess_high=0.185,
        ),
        send(tmp_path / "c", "ground_truth", scatter(0.95), an_author(team="Lab C")),
        send(tmp_path / "d", "junk", scatter(0.1), run=a_run("junk", "random")),
        send(
            tmp_path / "e",
            "best",
            scatter(0.9),
            run=a_run("best", optimised_for="av_align.mmdisco_96ms"),
            optimised_for="av_align.mmdisco_96ms",
        ),
        send(
            tmp_path / "f",
            "chance",
            scatter(0.5),
            metric="ib_av.official",
            extractor_weights="random",
            signature="ib_av|official|extractors:imagebind_video-5e1077+imagebind_audio-5b0bef|size:s|version:1",
        ),
    ]
    add(files, tmp_path / "board")
    return tmp_path / "board"


def build_site(board: Path, site: Path) -> Path:
    build(rank_all(read_board(board)), site, "Title <b>")
    return site


def test_rows_hold_protocol_numbers_rank_and_whose_they_are(board: Path, tmp_path: Path) -> None:
    site = build_site(board, tmp_path / "site")
    rows = {row["system"]: row for row in json.loads((site / "rows.json").read_text())["rows"]}
    fast = rows["fast"]
    for name, value in {
        "dataset": "bounce", "n": 16, "seed": 0, "metric": "av_align.mmdisco_96ms", "team": "Lab A", "rank_first": 1,
        "rank_last": 1, "num_ranked": 2, "not_ranked": None, "licence": "CC-BY-4.0", "shuffled": 0.3,
    }.items():  # fmt: skip
        assert fast[name] == value
    assert fast["signature"].startswith("av_align|mmdisco_96ms|extractors:flow_farneback-")
    assert fast["excess"] == pytest.approx(0.5)
    assert fast["excess_stderr"] is None, "its record is older than the interval"
    assert [rows["slow"][f"excess{end}"] for end in ("_stderr", "_low", "_high")] == [0.04, 0.015, 0.185]
    assert list(fast).index("excess") < list(fast).index("value")
    assert rows["ground_truth"]["not_ranked"] == "control"
    assert (rows["best"]["not_ranked"], rows["best"]["optimised_for"]) == ("optimised for it", "av_align.mmdisco_96ms")
    assert len({row["protocol"] for row in rows.values()}) == 3
    of_protocols = [json.loads(file.read_text())["rows"] for file in (site / "protocols").iterdir()]
    assert sorted(row["system"] for part in of_protocols for row in part) == sorted(rows)
    assert all(len({row["protocol"] for row in part}) == 1 for part in of_protocols)
    with (site / "rows.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert [float(row["value"]) for row in table] == [row["value"] for row in rows.values()]


def test_the_page_marks_what_is_no_evidence(board: Path, tmp_path: Path) -> None:
    page = (build_site(board, tmp_path / "site") / "index.html").read_text()
    for words in ("lossy clips", "random weights", "random networks", "no quality"):
        assert re.search(rf'<strong class="warning">[^<]*{words}', page), words
    assert "‡" in page
    assert "excess 0.100 ± 0.040" in page
    assert page.index(">paired excess<") < page.index(">value<")
    assert page.count('aria-label="Rank 1 of 2"') == 1
    assert page.index("junk") > page.index("slow")  # untrained systems in a part of their own, at the end


def test_the_same_board_gives_the_same_bytes_and_what_left_it_is_gone(board: Path, tmp_path: Path) -> None:
    first, second = build_site(board, tmp_path / "one"), build_site(board, tmp_path / "two")
    files = sorted(file.relative_to(first) for file in first.rglob("*") if file.is_file())
    assert len(files) == 6
    assert all((first / file).read_bytes() == (second / file).read_bytes() for file in files)
    kept = first / "protocols" / "notes.json"
    kept.write_text("{}")
    next(file for file in board.iterdir() if b'"junk"' in file.read_bytes()).unlink()
    build_site(board, first)
    assert len(list((first / "protocols").iterdir())) == 3
    assert kept.exists()


def test_a_distance_no_larger_than_that_of_real_clips_is_marked(tmp_path: Path) -> None:
    of_set = {"metric": "fvd.stylegan_v_16f", "extractor_weights": "real", "reference": {"dataset": "bounce", "n": 16}}
    near, far = ({"floor": floor, "num_reference": 16} for floor in (10.0, 0.1))
    files = [
        send(tmp_path / "a", "near", scatter(4.0), details=near, **of_set),
        send(tmp_path / "b", "far", scatter(8.0), an_author(team="Lab B"), details=far, **of_set),
    ]
    add(files, tmp_path / "board")
    page = (build_site(tmp_path / "board", tmp_path / "site") / "index.html").read_text()
    assert re.search(r"4\.0+ ± [\d.]+~", page)
    assert not re.search(r"8\.0+ ± [\d.]+~", page)
    assert "~ not above what as many real clips would score" in page


EXTREMES = [0.0, -0.0, 5e-324, 1e-320, 1e-300, -1e-9, 1e15, -1e15, 1e15 - 0.125]


def test_no_number_that_is_taken_keeps_the_page_from_being_made(tmp_path: Path) -> None:
    values = [[x, x + spread] for x in EXTREMES for spread in (0.0, abs(x) * 1e-3, 1e-12)]
    files = [
        send(tmp_path / f"{k}", f"s{k}", pair, an_author(team=f"T{k}"), baseline=pair[0], baseline_stderr=0.0)
        for k, pair in enumerate(values)
        if max(map(abs, pair)) <= 1e14 or pair[0] == pair[1]
    ]
    assert len(files) > 20
    add(files, tmp_path / "board")
    site = build_site(tmp_path / "board", tmp_path / "site")
    assert len(json.loads((site / "rows.json").read_text())["rows"]) == len(files)
    for k, file in enumerate(files):  # each alone on an axis of its own
        add([file], tmp_path / f"board{k}")
        build_site(tmp_path / f"board{k}", tmp_path / "site")


def test_a_site_that_cannot_be_written_is_said(board: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MMBenchError, match="Cannot write to"):
        build_site(board, tmp_path / "file")


class _Elements(HTMLParser):
    """Names of the elements of a page, addresses in it, and its text outside of scripts and styles."""

    def __init__(self) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.addresses: set[str] = set()
        self.handlers: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.addresses |= {value or "" for name, value in attrs if name in ("href", "src")}
        self.handlers |= {name for name, _ in attrs if name.startswith("on")}

    def handle_data(self, data: str) -> None:
        self.text += data


def test_names_and_links_of_others_are_text_and_addresses(tmp_path: Path) -> None:
    files = []
    for k, text in enumerate(PRINTED):
        link = f'https://example.org/{k}?a="><script>alert(1)</script>'.replace(" ", "") if k % 2 else ""
        author = an_author(team=text, version=text, licence=text, link=link)
        files.append(send(tmp_path / f"{k}.jsonl", text, scatter(0.5, seed=k), author))
    add(files, tmp_path / "board")
    site = build_site(tmp_path / "board", tmp_path / "site")
    plain, hostile = _Elements(), _Elements()
    add([send(tmp_path / "plain", "fast", scatter(0.5))], tmp_path / "other")
    plain.feed((build_site(tmp_path / "other", tmp_path / "plain_site") / "index.html").read_text())
    hostile.feed((site / "index.html").read_text())
    assert hostile.names == plain.names
    assert hostile.handlers == set()
    for address in hostile.addresses:
        assert re.match(r"https://example\.org/|rows\.(json|csv)$|protocols/[\w-]+\.json$|#method$", address), address
    for text in PRINTED:
        assert text in hostile.text
    with (site / "rows.csv").open(newline="") as file:
        cells = [
            cell for row in csv.DictReader(file) for name, cell in row.items() if name in ("team", "system", "version")
        ]
    assert not [cell for cell in cells if cell[0] in "=+-@\t\r"]
    assert "'=1+1" in cells
    rows = json.loads((site / "rows.json").read_text())["rows"]
    assert {row["team"] for row in rows} == set(PRINTED)

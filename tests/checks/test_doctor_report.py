"""What doctor prints: what is wrong first, in lines that fit, and nothing is cut."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mmbench.checks.doctor_report import report_lines

URL = "https://example.org/" + "folder/" * 12


def row(check: str, status: str, found: str, next: str = "") -> dict[str, Any]:
    return {"check": check, "status": status, "found": found, "next": next}


ROWS = [
    row("system mine", "broken", "ImportError: needs a package that is not here (from mine)", "fix or remove it"),
    row("weights i3d", "missing", "for FVD: I3D, Kinetics-400 logits (TorchScript)", "mmbench weights fetch i3d"),
    row("weights mmdisco_audioldm_animatediff", "missing", "for " + "words " * 30, "mmbench weights fetch mmdisco_a"),
    row("dataset vggsound", "missing", "vggsound: data/vggsound is not a folder.", f"get them as {URL} says"),
    row("python", "ok", "3.12.1"),
    row("torch", "ok", "2.9; CPU only"),
]


@pytest.mark.parametrize("width", [60, 80, 240])
def test_what_is_wrong_comes_first_and_no_line_is_wider_than_a_hundred(width: int) -> None:
    lines = report_lines(ROWS, width)
    assert lines[0] == "Broken (1)"
    order = [next(i for i, line in enumerate(lines) if line.startswith(start)) for start in ("Broken", "Not", "Fine")]
    assert order == sorted(order)
    assert [line for line in lines if len(line) > min(width, 100) and URL not in line] == []


def test_everything_is_said_whole_and_once() -> None:
    text = "\n".join(report_lines(ROWS, 80))
    assert "try: fix or remove it" in text
    assert URL in text, "an address is never broken"
    assert text.count("vggsound:") == 1
    assert "each by: mmbench weights fetch NAME" in text
    assert text.count("words") == 30
    assert "python, torch" in text
    assert "2.9; CPU only" not in text
    whole = "\n".join(report_lines(ROWS, 80, everything=True))
    assert "torch: 2.9; CPU only" in whole


def test_a_path_in_the_home_is_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    lines = report_lines([row("weights folder", "broken", f"{tmp_path}/.cache/mmbench is not writable")], 80)
    assert lines[1] == "  weights folder: ~/.cache/mmbench is not writable"


def test_without_faults_there_is_only_what_is_fine() -> None:
    assert report_lines(ROWS[-2:], 80)[:2] == ["Fine (2)", "  python, torch"]

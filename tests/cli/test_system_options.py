"""Options of systems by their names."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmbench.cli.system_options import spelled_out
from tests.commands import mmbench_here


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("--size tiny -n 2", "--set size=tiny -n 2"),
        ("--joint-scale=8,1", "--set joint_scale=8,1"),
        ("--joint_scale 8,1", "--set joint_scale=8,1"),
        ("table8 --super-resolution --seed 3", "table8 --set super_resolution=true --seed 3"),
        ("--super-resolution table8", "--set super_resolution=true table8"),
        ("--super-resolution false table8", "--set super_resolution=false table8"),
        ("--discriminator --size", "--set discriminator=--size"),
        ("--seed 3 --set size=tiny", "--seed 3 --set size=tiny"),
        ("--sise tiny", "--sise tiny"),
        ("-- --size tiny", "-- --size tiny"),
    ],
)
def test_spelling(typed: str, read: str) -> None:
    assert spelled_out(typed.split(), {"--seed", "--set", "-n"}) == read.split()


def test_a_command_s_own_option_comes_first() -> None:
    assert spelled_out(["--size", "3"], {"--size"}) == ["--size", "3"]


def test_both_spellings_are_one_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rest = (
        "-s",
        "mm_diffusion",
        "-d",
        "bounce",
        "-n",
        "2",
        "--weights",
        "random",
        "--dry-run",
        "-f",
        "json",
        "-o",
        tmp_path,
    )
    one = mmbench_here(capsys, "run", *rest, "--size", "tiny", "--num-inference-steps", "3")
    other = mmbench_here(capsys, "run", *rest, "--set", "size=tiny", "--set", "num_inference_steps=3")
    assert one.returncode == other.returncode == 0, one.stderr
    assert one.stdout == other.stdout


@pytest.mark.parametrize("command", ["run", "table"])
def test_what_no_system_or_command_takes_is_refused(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    option = {"run": "--sise", "table": "--size"}[command]
    result = mmbench_here(capsys, command, option, "tiny")
    assert result.returncode == 2
    assert f"No such option: {option}" in result.stderr

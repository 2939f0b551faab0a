"""`mmbench report`: a folder whose index.html works from a file and from any static host.

FOLDER/index.html            table, verdicts, plots, browser of samples
FOLDER/samples.js            what the browser shows: prompts, values per sample, events
FOLDER/clips/SET/000003.mp4  row 3 of a set, and the picture of its sound beside it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmbench.errors import MMBenchError
from mmbench.files import write_whole
from mmbench.pages.render import colors, render
from mmbench.progress import Stage
from mmbench.report.data import describe, samples_as_script
from mmbench.report.material import Material
from mmbench.report.media import write_media

TEMPLATES = Path(__file__).parent / "data"
PAGE, SAMPLES, CLIPS = "index.html", "samples.js", "clips"


def write_report(
    material: Material, folder: Path, command: Sequence[str], workers: int = 1, progress: Stage | None = None
) -> list[dict[str, Any]]:
    """Write a report; files of an earlier one in the folder are replaced.

    Args:
        material: What it shows.
        folder: Where it goes.
        command: What was typed, for the page.
        workers: Clips that are written at once.
        progress: Told of each row of samples.

    Returns:
        What was written, rows of file and what.

    Raises:
        MMBenchError: The folder cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sources = [
            [None if i is None else c.sources[i] for c, i in zip(material.columns, row, strict=True)]
            for row in material.rows
        ]
        events = write_media(sources, folder / CLIPS, workers, progress)
        write_whole(folder / SAMPLES, samples_as_script(material, events).encode(errors="backslashreplace"))
        write_whole(folder / PAGE, render_report(describe(material), command).encode(errors="backslashreplace"))
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    unreadable = sum(bool(e and "unreadable" in e) for row in events for e in row)
    shown = f"{len(material.rows)} samples of {len(material.names)} sets"
    return [
        {"file": str(folder / PAGE), "what": f"{shown}, {len(material.cells)} metrics"},
        {"file": str(folder / CLIPS), "what": "clips and pictures of their sounds"},
        *([{"file": "", "what": f"{unreadable} clips cannot be read: the page says why"}] if unreadable else []),
    ]


def render_report(report: dict[str, Any], command: Sequence[str]) -> str:
    """The page as HTML."""
    return render(TEMPLATES, "report.html", **report, command=" ".join(command), colors=colors(len(report["systems"])))

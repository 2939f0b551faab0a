"""`mmbench report`: a folder whose index.html works from a file and from any static host.

FOLDER/index.html          table, verdicts, plots, browser of samples
FOLDER/samples.js          what the browser shows: prompts, values per sample, events
FOLDER/clips/3f2a....mp4   a clip, and the picture of its sound and its events beside it
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from mmbench import __version__
from mmbench.errors import MMBenchError
from mmbench.files import write_whole
from mmbench.pages.render import colors, render
from mmbench.progress import Stage
from mmbench.report.clips import drop_others, make_clips
from mmbench.report.data import describe, samples_as_script
from mmbench.report.material import Material
from mmbench.report.media import Events

TEMPLATES = Path(__file__).parent / "data"
PAGE, SAMPLES, CLIPS = "index.html", "samples.js", "clips"
Written = list[dict[str, Any]]  # rows of file and what


def write_report(
    material: Material, folder: Path, command: Sequence[str], workers: int = 1, progress: Stage | None = None
) -> Written:
    """Write a report; files of an earlier one in the folder are replaced, and its clips used again.

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
        events = []
        for row in make_clips(material.sources, folder / CLIPS, workers, material.truth):
            events.append(row)
            if progress:
                progress.advance()
        write_whole(folder / SAMPLES, samples_as_script(material, events).encode())
        write_whole(folder / PAGE, render_report(describe(material), command).encode())
        drop_others(folder / CLIPS, events)
    except OSError as error:
        raise MMBenchError(f"Cannot write to {folder}: {error.strerror}.", "a folder you may write", "--to") from error
    return [
        {"file": str(folder / PAGE), "what": tell_content(material)},
        {"file": str(folder / CLIPS), "what": "clips and pictures of their sounds"},
        *count_unreadable(events),
    ]


def tell_content(material: Material) -> str:
    """What a page shows: "64 samples of 6 sets, 5 metrics"."""
    return f"{len(material.rows)} samples of {len(material.names)} sets, {len(material.cells)} metrics"


def count_unreadable(events: Sequence[Sequence[Events | None]]) -> Written:
    """A row that says how many clips cannot be read; none if all can."""
    unreadable = sum(bool(e and "unreadable" in e) for row in events for e in row)
    return [{"file": "", "what": f"{unreadable} clips cannot be read: the page says why"}] if unreadable else []


def render_report(report: dict[str, Any], command: Sequence[str], inline: str = "") -> str:
    """The page as HTML.

    Args:
        report: As `mmbench.report.data.describe` gives it.
        command: What was typed.
        inline: Script with the samples, to stand in the page; "" for the file beside it.
    """
    script = Markup(inline.replace("<", "\\u003c"))  # stands in strings alone, where it could end the script
    told = {"command": " ".join(command), "version": __version__, "colors": colors(len(report["systems"]))}
    return render(TEMPLATES, "report.html", **report, **told, inline=script)

"""The page of a gallery: one HTML file without anything from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import quote

STYLE = """
body { margin: 1.5rem; font: 15px/1.4 system-ui, sans-serif; color: #262a34; }
h1 { font-size: 1.3rem; margin: 0; } p { color: #6e7480; margin: .2rem 0 1rem; }
table { border-spacing: 1rem .6rem; margin-left: -1rem; } th, td { text-align: left; vertical-align: top; }
thead th { position: sticky; top: 0; background: #fff; padding: .4rem 0; z-index: 1; }
tbody th { font-weight: normal; width: 11rem; } button { font: inherit; margin-top: .5rem; cursor: pointer; }
video { display: block; height: 192px; border-radius: 4px; image-rendering: pixelated; outline: 3px solid transparent; }
video.heard { outline-color: #e24a33; }
dl { display: grid; grid-template-columns: auto 1fr; gap: 0 .6rem; margin: .3rem 0 0; }
dl { font-size: 12px; font-weight: normal; }
dt { color: #6e7480; } dd { margin: 0; font-variant-numeric: tabular-nums; }
.none { color: #6e7480; }
"""

# Browsers allow sound only after a click, and five sounds at once tell nothing: a row plays together, one is heard.
SCRIPT = """
for (const row of document.querySelectorAll("tbody tr")) {
  const videos = [...row.querySelectorAll("video")];
  const hear = (one) => videos.forEach((v) => { v.muted = v !== one; v.classList.toggle("heard", v === one); });
  let together = false;
  for (const v of videos) v.addEventListener("pointerenter", () => { if (together) hear(v); });
  const button = row.querySelector("button");
  if (button) button.addEventListener("click", () => {
    together = !together;
    button.textContent = together ? "stop" : "play row";
    hear(together ? videos[0] : null);
    videos.forEach((v) => { v.currentTime = 0; together ? v.play() : v.pause(); if (!together) v.muted = false; });
  });
}
"""


@dataclass(frozen=True)
class Cell:
    """One sample of one run or submission.

    Attributes:
        file: Its video's path relative to the page; "" if there is none.
        scores: As text, by metric.
        reason: Why it has no video.
    """

    file: str
    scores: Mapping[str, str]
    reason: str = ""


def page(
    title: str,
    runs: Sequence[tuple[str, Mapping[str, str]]],
    rows: Sequence[tuple[str, str, Sequence[Cell]]],
) -> str:
    """The page as HTML: a row per sample, a column per run.

    Args:
        title: Of the page.
        runs: Name and values by metric of each run.
        rows: Of each sample its name, prompt, and a cell per run.
    """
    heads = "".join(f"<th>{escape(name)}{_list(values)}</th>" for name, values in runs)
    body = "\n".join(_row(name, prompt, cells) for name, prompt, cells in rows)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>A row has clips of one prompt. <em>play row</em> plays it in step; the video under the pointer is heard.</p>
<table>
<thead><tr><th></th>{heads}</tr></thead>
<tbody>
{body}
</tbody>
</table>
<script>{SCRIPT}</script>
</body>
</html>
"""


def _row(name: str, prompt: str, cells: Sequence[Cell]) -> str:
    return (
        f"<tr><th>{escape(name)}<br>{escape(prompt)}<br><button>play row</button></th>"
        + "".join(f"<td>{_cell(cell)}</td>" for cell in cells)
        + "</tr>"
    )


def _cell(cell: Cell) -> str:
    if not cell.file:
        return f'<span class="none">{escape(cell.reason or "no sample")}</span>'
    return (
        f'<video src="{escape(quote(cell.file))}" controls loop playsinline preload="auto"></video>{_list(cell.scores)}'
    )


def _list(values: Mapping[str, str]) -> str:
    if not values:
        return ""
    items = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in values.items())
    return f"<dl>{items}</dl>"

"""A template of a room to one HTML page without anything from outside; every text in it is escaped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

SHARED = Path(__file__).parent / "data"  # page.css: the style; table.js: tables that sort, hide columns, open records
COLORS = ("#3a6ea5", "#d1603d", "#3f8f5b", "#8d5aa8", "#b58a1b", "#4a9aa5", "#b0486f", "#6f7480")


def render(templates: Path, name: str, **values: Any) -> str:
    """Render a template with its values.

    In it, `asset("page.css")` is the text of a file beside it or of `pages/data`, as it is: for styles and scripts.

    Args:
        templates: Folder of the template.
        name: Its file.
        values: What it shows; one that it uses and that is not given is an error.
    """
    folders = [templates, SHARED]
    environment = Environment(
        loader=FileSystemLoader(folders),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    def asset(file: str) -> Markup:
        path = next(path for folder in folders if (path := folder / file).is_file())
        return Markup(path.read_text(encoding="utf-8"))

    text = environment.get_template(name).render(asset=asset, **values)
    return text.encode(errors="backslashreplace").decode()  # names may hold half a surrogate pair, pages may not


def colors(count: int) -> list[str]:
    """A color for each of so many sets; they come again after eight."""
    return [COLORS[k % len(COLORS)] for k in range(count)]

"""Pictures of a report for docs/report: its numbers and its browser of samples, desk and phone, light and dark.

    python scripts/make_report_screens.py REPORT

REPORT is the folder of `mmbench report`; needs Chromium and playwright (`make browser`).
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs" / "report"
DESK, PHONE = (1280, 860), (390, 844)
SHOTS = {  # file: window, scheme, what is at its top
    "numbers_light": (DESK, "light", "body"),
    "samples_light": (DESK, "light", "#samples-title"),
    "samples_dark": (DESK, "dark", "#samples-title"),
    "phone_light": (PHONE, "light", "#samples-title"),
    "phone_dark": (PHONE, "dark", ".row"),
}
MOMENT = 0.7  # of the clips [s]


def main(report: Path) -> None:
    """Take every picture of a report."""
    from playwright.sync_api import sync_playwright

    DOCS.mkdir(exist_ok=True)
    with sync_playwright() as driver:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox", "--mute-audio"])
        for name, ((width, height), scheme, top) in SHOTS.items():
            context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
            page = context.new_page()
            page.goto(f"file://{report.resolve()}/index.html")
            take(page, top, DOCS / f"{name}.png")
            context.close()
        browser.close()


def take(page: Any, top: str, file: Path) -> None:
    """One picture, the clips in it at one moment."""
    page.select_option("[name=order]", "wins")
    page.evaluate("(top) => document.querySelector(top).scrollIntoView()", top)
    page.wait_for_timeout(2000)
    page.evaluate(
        """(t) => Promise.all([...document.querySelectorAll('.row')]
          .filter((row) => row.getBoundingClientRect().top < innerHeight).map((row) => row.player.seek(t)))""",
        MOMENT,
    )
    page.wait_for_timeout(2000)
    file.write_bytes(smaller(page.screenshot()))
    print(f"{file}: {file.stat().st_size // 1000} kB")


def smaller(png: bytes) -> bytes:
    """The same picture in fewer bytes."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.open(io.BytesIO(png)).convert("RGB").save(buffer, "png", optimize=True)
    return buffer.getvalue()


if __name__ == "__main__":
    main(Path(sys.argv[1]))

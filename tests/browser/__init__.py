"""Pages in the browser that people use: Chromium, driven by playwright."""

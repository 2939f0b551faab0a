"""Features of clips: extracted once, cached on disk, and those of real clips as one file."""

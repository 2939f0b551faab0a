"""Leaderboards: submissions, what is refused, ranks, and the page."""

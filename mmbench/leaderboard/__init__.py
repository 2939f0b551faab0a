"""A leaderboard: records of many people in one page, ranked only where they compare."""

"""The report: what it gathers, says and draws, as text whatever the words."""

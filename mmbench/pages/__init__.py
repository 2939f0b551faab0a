"""Pages of HTML: what every page of ours shares: templates that escape, a style, sortable tables."""

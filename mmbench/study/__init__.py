"""Blind studies with people, as the paper's Table 14: pages for raters, and what their answers say."""

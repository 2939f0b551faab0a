"""Every table and figure of the paper, with what is on record of ours beside."""

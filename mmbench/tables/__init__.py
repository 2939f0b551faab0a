"""Records to tables: comparisons, the paper's tables, samples needed."""

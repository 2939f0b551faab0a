"""Plain implementations of published formulas that the package does not use: what it is compared with."""

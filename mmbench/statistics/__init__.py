"""Standard errors, paired differences, shuffled baselines, planning, extrapolation to infinite n."""

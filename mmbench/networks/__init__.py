"""What systems and metrics share of torch: devices and precision, state dicts, CLIP tokens, random weights."""

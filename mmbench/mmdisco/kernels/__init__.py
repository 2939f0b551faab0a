"""Fast exact attention, convolution and normalization for the discriminators."""

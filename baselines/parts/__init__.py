"""Parts that models share: loading, mel spectrograms, Stable Diffusion's parts, names of tensors."""

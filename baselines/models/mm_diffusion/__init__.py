"""MM-Diffusion: joint pixel-space audio-video diffusion."""

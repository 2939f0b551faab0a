"""SpecVQGAN: sound for videos."""

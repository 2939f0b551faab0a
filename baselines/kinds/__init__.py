"""Kinds of systems: pairs of diffusion models, guided pairs, cascades, external programs."""

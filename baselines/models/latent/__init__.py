"""The latent pairs: AudioLDM, Auffusion, AnimateDiff, VideoCrafter2."""

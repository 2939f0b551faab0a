"""What `mmbench verify` checks: graded distortions, and what extractors, metrics and the machine must hold."""

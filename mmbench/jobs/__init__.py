"""What a user asked for, opened once: generate, evaluate, run, list, show."""

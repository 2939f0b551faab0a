"""Experiments on top of runs: training discriminators, sweeps of trainings, profiles of time and memory."""

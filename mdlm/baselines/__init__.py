"""Baselines: what simpler models, counted from the same tokens, reach."""

"""Sampling: continue held-out prompts, all chains at once."""

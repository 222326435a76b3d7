"""Frames back from tokens: a sampled sequence of states as a movie of real frames."""

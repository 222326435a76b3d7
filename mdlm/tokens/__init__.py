"""Tokens: how a state sequence becomes the sequence a model learns, and back, one form per file."""

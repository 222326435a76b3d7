"""Partitions: what turns a described frame into a state, one method per file."""

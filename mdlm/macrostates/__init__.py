"""Macrostates: the common ground on which runs of different tokens are judged, one method per file."""

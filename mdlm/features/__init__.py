"""Features: what describes a frame, one method per file."""

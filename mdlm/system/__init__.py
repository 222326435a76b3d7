"""Systems: what yields trajectories, one per file, each with what is known of its kinetics."""

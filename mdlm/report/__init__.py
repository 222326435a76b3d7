"""What people look at: figures, one table for the terminal, and the files of a run's folder."""

"""Training: how tokens reach a model, the optimisation loop, and its checkpoints. Knows no model by name."""

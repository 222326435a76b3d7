"""Next-state models: each learns a token sequence and continues one, frame by frame."""

"""Many runs of one design: which choice decides whether the slow timescales survive."""

"""Many runs as one study: cells of a factorial design, launched, watched, resumed and analysed."""

"""Did the slow timescales survive? Estimates, their errors, and the verdict; arrays in, arrays out."""

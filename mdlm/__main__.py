"""`python -m mdlm` is `mdlm`."""

from mdlm.cli import main

main()

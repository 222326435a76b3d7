"""`python -m mdlm` is `mdlm`."""

from mdlm.cli import main

if __name__ == "__main__":
    main()

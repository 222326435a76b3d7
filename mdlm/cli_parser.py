"""The parser of the commands that take options instead of a configuration."""

from __future__ import annotations

import argparse
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Ends with one line, and where to read more, when the words make no sense."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        from mdlm.cli import fail

        fail(f"{message}; see `{self.prog} --help`")

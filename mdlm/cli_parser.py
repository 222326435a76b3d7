"""The parser of the commands that take options instead of a configuration."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import NoReturn


class Parser(argparse.ArgumentParser):
    """Ends with one line, and where to read more, when the words make no sense."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser.error`."""
        from mdlm.cli import fail

        fail(f"{message}; see `{self.prog} --help`")


def own_modules(config_dir: Path | None) -> set[str]:
    """Modules of a user's own options, made importable."""
    if config_dir is None:
        return set()
    if not config_dir.is_dir():
        raise ValueError(f"--config-dir ({config_dir}) must be an existing directory")
    sys.path.append(str(config_dir.resolve()))
    return {file.stem for file in config_dir.glob("*.py")}

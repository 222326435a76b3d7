"""What went wrong, in one line where the user can mend it."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path

from mdlm import cli_help

PACKAGE = Path(__file__).parent


def in_one_line(error: Exception, overrides: Sequence[str] = ()) -> str:
    """What a user can mend in one line; of everything else the traceback comes first."""
    message = _users_fault(error, overrides)
    if message is not None:
        return " ".join(message.split())
    traceback.print_exception(error)
    raised_in = _raised_in(error)
    culprit = "mdlm" if _is_ours(raised_in) or _installed(raised_in) else raised_in
    return f"{type(error).__name__} is a defect in {culprit} (see above)" + "; please report it" * (culprit == "mdlm")


def _users_fault(error: Exception, overrides: Sequence[str]) -> str | None:
    """The message of an error a user can mend, or None."""
    from hydra.errors import HydraException
    from omegaconf.errors import OmegaConfBaseException

    raised_in = _raised_in(error)
    from_hydra = f"{os.sep}hydra{os.sep}" in raised_in and isinstance(error, ValueError)
    if from_hydra or isinstance(error, HydraException | OmegaConfBaseException):
        from mdlm.cli import conf_directory

        return cli_help.hydra_message(error, conf_directory(), overrides)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    if isinstance(error, MemoryError) or "allocate memory" in str(error) or "out of memory" in str(error):
        return f"not enough memory: {str(error).partition(chr(10))[0]}"
    ours = _is_ours(raised_in) or not _installed(raised_in)
    return str(error) if ours and isinstance(error, ValueError | FloatingPointError) else None


def _raised_in(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return frames[-1].filename if frames else ""


def _is_ours(filename: str) -> bool:
    return Path(filename).is_relative_to(PACKAGE)


def _installed(filename: str) -> bool:
    return "site-packages" in filename or filename.startswith((sys.prefix, sys.base_prefix, "<"))

"""What a study is called and how it treats failures."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class StudySettings:
    """The configuration under ``study``; a single run does not read it.

    Attributes:
        name: Its folder is ``outputs/study/NAME``, and every run in MLflow carries it as a tag.
        retry: ``failed``: run the cells again that failed; ``none``: leave them.
        keep_going: Whether the others go on when a cell fails.
        fraction: 1 runs every cell of the design, n every n-th: the regular fraction of those whose levels, counted
            from zero over all factors but the seed, sum to a multiple of n. It must divide some factor's number of
            levels.
    """

    name: str
    retry: Literal["none", "failed"]
    keep_going: bool
    fraction: int

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][\w.-]*", self.name):
            raise ValueError(f"name ({self.name!r}) must begin with a letter or digit and hold only those, _, - and .")
        if self.fraction < 1:
            raise ValueError(f"fraction ({self.fraction}) must be at least 1")

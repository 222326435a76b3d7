"""What systems made of ready numbers share: files that hold no clock, so that their user states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from mdlm.system.base import System
from mdlm.system.paths import Paths, content_of, files_of
from mdlm.system.walkers import check_positive

HINTS = {
    "path": "path=FILE (or a pattern, or a list)",
    "frame_time": "frame_time=TIME between frames",
    "time_unit": "time_unit=UNIT of every time, such as ps",
}


def check_given(values: Mapping[str, object], hints: Mapping[str, str]) -> None:
    """Raise `ValueError` where a value that only the user can know is missing, with all that is to be given.

    Example:
        >>> check_given({"path": "a.npy", "time_unit": None}, {"path": "path=FILE", "time_unit": "time_unit=UNIT"})
        Traceback (most recent call last):
        ValueError: time_unit is missing: give time_unit=UNIT
    """
    missing = [name for name in hints if values[name] is None or values[name] == ""]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ValueError(f"{', '.join(missing)} {verb} missing: give {', '.join(hints[name] for name in missing)}")


@dataclass(frozen=True, kw_only=True)
class OwnData(System):
    """Trajectories of ready numbers.

    Attributes:
        path: File, pattern, or several; must be given.
        frame_time: Time between neighbouring frames, in ``time_unit``; must be given.
        time_unit: Of every time of this system; must be given, for it is never guessed.
    """

    path: Paths | None = None
    frame_time: float | None = None
    time_unit: str | None = None

    def __post_init__(self) -> None:
        if self.frame_time is not None:
            check_positive(frame_time=self.frame_time)

    def identity(self) -> dict[str, Any]:
        """The contents of the files instead of their names."""
        return super().identity() | {"path": [content_of(file) for file in self.files]}

    @cached_property
    def clock(self) -> tuple[float, str]:
        """Frame time and unit, once everything that must be given is."""
        check_given(vars(self), HINTS)
        assert self.frame_time is not None
        assert self.time_unit is not None
        return self.frame_time, self.time_unit

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """Every file that is meant."""
        check_given(vars(self), HINTS)
        assert self.path is not None
        return files_of(self.path)

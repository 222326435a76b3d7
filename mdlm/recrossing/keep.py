"""No treatment: recrossings stay in the sequence."""

from __future__ import annotations

from dataclasses import dataclass

from mdlm.recrossing.base import Recrossing
from mdlm.trajectory import Dtraj


@dataclass(frozen=True)
class Keep(Recrossing):
    """Keep every recrossing."""

    def treat(self, states: Dtraj) -> Dtraj:
        """Return the states as they are."""
        return states

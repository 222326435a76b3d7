"""What every recrossing treatment gives: a cleaned state sequence."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

from mdlm.trajectory import Dtraj


@dataclass(frozen=True)
class Recrossing(ABC):
    """A way to remove short excursions over a boundary that are no transitions."""

    @abstractmethod
    def treat(self, states: Dtraj) -> Dtraj:
        """Clean each piece on its own; clock and alphabet stay as they are."""

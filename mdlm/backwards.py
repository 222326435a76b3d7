"""Whether models read the training data backwards in time as well."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mdlm.kinetics.detailed_balance import detailed_balance

if TYPE_CHECKING:
    from mdlm.training.training import Directions
    from mdlm.trajectory import Dtraj

TOO_UNLIKELY = 0.01
"""Below this p value detailed balance is taken to be violated."""


@dataclass(frozen=True)
class Backwards:
    """Of equilibrium dynamics, a sequence of configurations is as likely as the same sequence backwards.

    So are the states made of them, and data that are read both ways are twice as many: a jump that was seen
    once tells of the way back, too. It is not so of dynamics that are driven, nor of data that all begin far from
    equilibrium; `mdlm.kinetics.detailed_balance` tells without assuming that states are Markovian.

    Attributes:
        read: Whether they are.
        p_value: How likely a net flux as large as in the data is by chance; NaN where they are too few to say.
    """

    read: bool
    p_value: float

    @classmethod
    def decided(cls, directions: Directions, train: Dtraj, stride: int) -> Backwards:
        """Decide it at the clock of the tokens.

        Args:
            directions: See `mdlm.training.training.Training`.
            train: States of the training data before the stride.
            stride: In frames, counted from the first one only: overlapping data would seem more certain than they are.
        """
        pieces = train.strided(stride).pieces
        p_value = detailed_balance(pieces, train.n_states, 1, seed=0).p_value
        return cls(directions == "both" or (directions == "auto" and not p_value < TOO_UNLIKELY), p_value)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know, where the data are not what equilibrium leaves."""
        if math.isnan(self.p_value) or self.p_value >= TOO_UNLIKELY:
            return ()
        so = "models read them backwards all the same" if self.read else "models do not read them backwards"
        return (f"the training data violate detailed balance (p = {self.p_value:.2g}); {so}",)

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names."""
        return {"read_backwards": float(self.read), "detailed_balance_p_value_tokens": self.p_value}

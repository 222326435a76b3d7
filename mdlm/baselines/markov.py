"""Markov chain of the order that predicts validation data best, up to a highest one."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np

from mdlm.baselines.base import Baseline, Drawn, Wanted
from mdlm.baselines.chains import walked
from mdlm.baselines.contexts import ContextGraph
from mdlm.errors import check_at_least
from mdlm.model.config import Smoothing
from mdlm.model.markov import MarkovConfig
from mdlm.tokens.base import Tokens
from mdlm.training.support import unseen_jumps
from mdlm.trajectory import Dtraj, IntArray, Split

if TYPE_CHECKING:
    from mdlm.model.base import CountedModel
    from mdlm.model.markov_model import Markov

Counted = TypeVar("Counted", bound="CountedModel")

MAX_ENTRIES = 4_000_000
"""Contexts times states of the longest tables, about 100 MB in all; a higher order is not tried."""


@dataclass(frozen=True)
class MarkovChain(Baseline):
    """Counted Markov chain; each order is mixed with the lower ones (Witten-Bell).

    For the likelihood it is mixed down to the populations, and jumps are ruled out by the rule that holds for trained
    models (`mdlm.training.support`); it samples no jump that training never saw.

    Attributes:
        max_order: The highest order to try; the validation likelihood decides.
    """

    max_order: int
    title: ClassVar[str] = "Markov chain"

    def __post_init__(self) -> None:
        check_at_least(1, max_order=self.max_order)

    def draw(self, states: Split[Dtraj], wanted: Wanted) -> Drawn:
        """See `Baseline.draw`."""
        from mdlm.training.evaluate import nll_nats_per_token

        order, judged, why = self._chosen(states)
        model = counted(order, "contexts", states.train.pieces, states.train.n_states)
        graph = ContextGraph.of(model)
        start_B = graph.after(wanted.prompts_BT)
        probability = graph.probability_NV
        chains_BT = walked(wanted.seed, start_B, probability, graph.following_NV, wanted.chain_length)
        train = states.train
        chains = Dtraj(tuple(chains_BT), train.frame_time, train.time_unit, train.n_states)
        return Drawn(chains, nll_nats_per_token(judged, states.test.pieces), f"order {order}{why}")

    def _chosen(self, states: Split[Dtraj]) -> tuple[int, Markov, str]:
        """The order, the model that gives its likelihood, and why the order was not chosen freely."""
        from mdlm.training.evaluate import nll_nats_per_token

        best: tuple[float, int, Markov] | None = None
        why = ""
        for order in range(1, self.max_order + 1):
            n_contexts = n_distinct(states.train.pieces, order, states.train.n_states)
            if order > 1 and n_contexts * states.train.n_states > MAX_ENTRIES:
                why = f"; {n_contexts} contexts of order {order} are too many for the memory allowed"
                break
            model = ruled_out(counted(order, "all", states.train.pieces, states.train.n_states), states)
            nll = nll_nats_per_token(model, states.validation.pieces) if self.max_order > 1 else math.nan
            if best is None or nll < best[0]:
                best = (nll, order, model)
        assert best is not None
        return best[1], best[2], why


def counted(order: int, smoothing: Smoothing, pieces: tuple[IntArray, ...], n_states: int) -> Markov:
    """A Markov chain counted from ``pieces``."""
    model = MarkovConfig(order, smoothing).build(n_states)
    model.count(pieces)
    return model


def ruled_out(model: Counted, states: Split[Dtraj] | Split[Tokens]) -> Counted:
    """Rule out the jumps that a trained model would be told to rule out."""
    import torch

    known = (*states.train.pieces, *states.validation.pieces)
    model.forbid(torch.from_numpy(unseen_jumps(known, model.n_states)))
    return model


def n_distinct(pieces: tuple[IntArray, ...], length: int, n_states: int) -> int:
    """How many different runs of ``length`` states occur; above 64 bits, all possible ones.

    Example:
        >>> n_distinct((np.array([0, 1, 0, 1, 1]),), 2, n_states=2)
        3
    """
    if n_states**length > 2**62:
        return int(n_states**length)
    powers = n_states ** np.arange(length - 1, -1, -1, dtype=np.int64)
    whole = [piece for piece in pieces if len(piece) >= length]
    windows = [np.lib.stride_tricks.sliding_window_view(piece.astype(np.int64), length) @ powers for piece in whole]
    return len(np.unique(np.concatenate(windows))) if windows else 0

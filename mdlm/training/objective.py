"""What training makes small: a loss of every batch, and possibly a penalty on the weights."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

from torch import Tensor

from mdlm.model.base import LanguageModel, State
from mdlm.training.batches import Batch

Penalty = Callable[[LanguageModel], Tensor]
"""A scalar of the weights, added to the mean loss of every update but not to the training curve."""


class Objective(ABC):
    """How the loss of a batch is computed; it may call the model more than once."""

    @abstractmethod
    def loss(self, model: LanguageModel, batch: Batch, state: State, done: float) -> tuple[Tensor, State]:
        """The sum over the batch's targets, and the state to carry on.

        Args:
            model: In training mode; the caller has set up autocast and the random numbers.
            batch: Rows whose targets are `mdlm.model.likelihood.IGNORED` where there is nothing to learn.
            state: What the same rows carried away from the batch before, already reset where they start afresh.
            done: Share of all updates that are done, in [0, 1).

        Returns:
            Nats, summed and not averaged (float32), so that a batch may be computed in parts; and the state.
        """


class Likelihood(Objective):
    """The negative log-likelihood of each target, given all tokens before it."""

    def loss(self, model: LanguageModel, batch: Batch, state: State, done: float) -> tuple[Tensor, State]:
        """See `Objective.loss`."""
        return model.nll(batch.inputs_BT, batch.targets_BT, state)

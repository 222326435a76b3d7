"""One update of the weights, from a batch that is computed whole or in parts."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import torch
from torch import Tensor

from mdlm.model.base import LanguageModel, State, detached
from mdlm.training.batches import Batch
from mdlm.training.objective import Objective, Penalty


@dataclass
class Update:
    """The gradient of a batch, clipped, and what the optimiser makes of it.

    Attributes:
        model: In training mode.
        objective: The loss of a batch.
        penalty: Of the weights; None is none.
        optimiser: Of the model's weights.
        autocast: The format of the matrix products.
        gradient_clip: Largest norm of the gradient.
        micro_batch_size: Rows computed at once; their gradients add up to that of the batch. Halved, once, where a
            GPU's memory does not hold them.
        halved: Whether that has happened.
    """

    model: LanguageModel
    objective: Objective
    penalty: Penalty | None
    optimiser: torch.optim.Optimizer
    autocast: AbstractContextManager[object]
    gradient_clip: float
    micro_batch_size: int
    halved: bool = False

    def __call__(self, batch: Batch, state: State, done: float) -> tuple[Tensor, State]:
        """Update the weights.

        Args:
            batch: What to learn from.
            state: What its rows carried away from the batch before, reset where they start afresh.
            done: Share of all updates that are done.

        Returns:
            The loss in nats per token, on the device, and the state to carry on.

        Raises:
            MemoryError: A GPU's memory does not even hold half a micro-batch.
        """
        result = self._attempt(batch, state, done)
        while result is None:
            self._halve()
            result = self._attempt(batch, state, done)
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.gradient_clip)
        self.optimiser.step()
        return result

    def warm_up(self, batch: Batch, state: State) -> State:
        """Only bring the carried state up to date."""
        with torch.no_grad(), self.autocast:
            return _joined([self.model(part.inputs_BT, own)[1] for part, own in self._parts(batch, state)])

    def _attempt(self, batch: Batch, state: State, done: float) -> tuple[Tensor, State] | None:
        """Leave the gradient of the mean loss at the weights; None where a GPU's memory does not hold the batch."""
        self.optimiser.zero_grad(set_to_none=True)
        loss, states = torch.zeros((), device=batch.inputs_BT.device), []
        try:
            for part, own in self._parts(batch, state):
                with self.autocast:
                    summed, after = self.objective.loss(self.model, part, own, done)
                share = summed / batch.n_targets
                share.backward()  # type: ignore[no-untyped-call]
                loss += share.detach()
                states.append(detached(after))
            if self.penalty is not None:
                self.penalty(self.model).backward()  # type: ignore[no-untyped-call]
        except torch.OutOfMemoryError:
            return None
        return loss, _joined(states)

    def _parts(self, batch: Batch, state: State) -> list[tuple[Batch, State]]:
        size = self.micro_batch_size
        if size >= len(batch.keep_B):
            return [(batch, state)]
        own = zip(*(torch.split(part, size, dim=1) for part in state), strict=True)
        return list(zip(batch.parts(size), own, strict=True))

    def _halve(self) -> None:
        if self.halved or self.micro_batch_size == 1:
            raise MemoryError(
                f"the GPU does not hold {self.micro_batch_size} rows of training.context_length tokens; set "
                f"training.micro_batch_size below {self.micro_batch_size}, or a smaller context_length or model"
            )
        self.micro_batch_size //= 2
        self.halved = True
        torch.cuda.empty_cache()


def _joined(states: list[State]) -> State:
    """The states of the parts of a batch side by side."""
    return states[0] if len(states) == 1 else tuple(torch.cat(parts, dim=1) for parts in zip(*states, strict=True))

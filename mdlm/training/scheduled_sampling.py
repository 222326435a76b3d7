"""Scheduled sampling: a model learns to go on from its own samples, as it must when it makes a chain."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from mdlm.model.base import LanguageModel, State
from mdlm.training.batches import Batch
from mdlm.training.objective import Likelihood, Objective


@dataclass(frozen=True)
class ScheduledSampling(Objective):
    """Two passes: the first predicts every token; some inputs of the second are samples of these predictions.

    The loss is that of the true targets given those inputs, so it is no likelihood: compare models by their
    validation loss. The first token of a chunk is always true, and the state carried to the next chunk is that of
    the first pass, which has read true tokens only.

    Attributes:
        probability: That an input is replaced, once the ramp is over.
        ramp: Share of all updates over which the probability rises from zero, evenly.

    Source: Bengio et al., arXiv 1506.03099 (2015); in two passes, for models that read all frames at once: Mihaylova
    & Martins, arXiv 1906.07651 (2019).
    """

    probability: float
    ramp: float

    def __post_init__(self) -> None:
        for name in ("probability", "ramp"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} ({getattr(self, name):g}) must lie in [0, 1]")

    def probability_at(self, done: float) -> float:
        """Probability that an input is replaced when this share of all updates is done.

        Example:
            >>> [ScheduledSampling(probability=0.5, ramp=0.4).probability_at(done) for done in (0.0, 0.2, 0.4, 0.9)]
            [0.0, 0.25, 0.5, 0.5]
        """
        return self.probability * (min(1.0, done / self.ramp) if self.ramp else 1.0)

    def loss(self, model: LanguageModel, batch: Batch, state: State, done: float) -> tuple[Tensor, State]:
        """See `Objective.loss`."""
        probability = self.probability_at(done)
        if not probability:
            return Likelihood().loss(model, batch, state, done)
        with torch.no_grad():
            predicted_BTV, true_state = model(batch.inputs_BT, state)
            inputs_BT = self._mixed(model, predicted_BTV, batch, probability)
        loss, _ = model.nll(inputs_BT, batch.targets_BT, state)
        return loss, true_state

    def _mixed(self, model: LanguageModel, predicted_BTV: Tensor, batch: Batch, probability: float) -> Tensor:
        """The inputs, each but the first replaced with the given probability by a sample of its prediction.

        A sample from which the true target is ruled out (`LanguageModel.forbid`) is not put in: the loss would be
        infinite.
        """
        true_BS = batch.inputs_BT[:, 1:]
        drawn = torch.multinomial(predicted_BTV[:, :-1].softmax(dim=-1).flatten(0, 1), 1)
        sampled_BS = drawn.view_as(true_BS)
        replaced_BS = torch.rand(true_BS.shape, device=true_BS.device) < probability
        impossible_BS = model.added_VV[sampled_BS, batch.targets_BT[:, 1:].clamp(min=0)] == -torch.inf
        mixed_BS = torch.where(replaced_BS & ~impossible_BS, sampled_BS, true_BS)
        return torch.cat([batch.inputs_BT[:, :1], mixed_BS], dim=1)

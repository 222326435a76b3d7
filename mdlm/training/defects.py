"""What the published defects of `mdlm.training.published` do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from mdlm.model.base import LanguageModel, State, detached, masked
from mdlm.training.batches import Batch, Batches
from mdlm.training.objective import Objective


def kernel_penalty(model: LanguageModel, kernel_l2: float, recurrent_kernel_l2: float) -> Tensor:
    """See `mdlm.training.published.Defects.penalty`."""
    factors = {"weight_ih": kernel_l2, "weight_hh": recurrent_kernel_l2}
    total = torch.zeros((), device=model.device)
    for layer in model.modules():
        if isinstance(layer, nn.RNNBase):
            for name, weight in layer.named_parameters():
                total = total + factors.get(name[:9], 0.0) * weight.square().sum()
    return total


class StatefulWindows(Batches):
    """Windows in random order whose state is carried as if each continued the one before it in the same row."""

    def __init__(self, windows: Batches) -> None:
        self.windows = windows
        self.n_rows, self.n_batches = windows.n_rows, windows.n_batches

    def epoch(self, rng: np.random.Generator) -> Iterator[Batch]:
        """See `Batches.epoch`."""
        for batch in self.windows.epoch(rng):
            yield replace(batch, keep_B=torch.ones_like(batch.keep_B))


class LeakingValidation(Objective):
    """Adds the validation data's gradients to the first update of every epoch but the first.

    The weights are then still those of the validation pass. Only the gradient is added, so that the training curve
    stays that of the training data.
    """

    def __init__(self, objective: Objective, validation: Batches, n_epochs: int) -> None:
        self.objective, self.validation, self.n_epochs = objective, validation, n_epochs

    def loss(self, model: LanguageModel, batch: Batch, state: State, done: float) -> tuple[Tensor, State]:
        """See `Objective.loss`."""
        summed, state = self.objective.loss(model, batch, state, done)
        epoch = round(done * self.n_epochs)
        if epoch and done == epoch / self.n_epochs:
            summed = summed + batch.n_targets * self._leak(model)  # to be divided by the batch's targets
        return summed, state

    def _leak(self, model: LanguageModel) -> Tensor:
        """A zero whose gradient is that of the validation batches' mean losses, summed as accumulation does."""
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        gradients = [torch.zeros_like(weight) for weight in weights]
        state = model.initial_state(self.validation.n_rows)
        for batch in self.validation.epoch(np.random.default_rng(0)):
            loss, state = model.nll(batch.inputs_BT, batch.targets_BT, detached(masked(state, batch.keep_B)))
            if not batch.warm_up:
                parts = torch.autograd.grad(loss / batch.n_targets, weights, allow_unused=True, materialize_grads=True)
                for total, part in zip(gradients, parts, strict=True):
                    total += part
        products = [(g * (w - w.detach())).sum() for g, w in zip(gradients, weights, strict=True)]
        return torch.stack(products).sum()

"""What published training codes do and a correct one must not, as switches, to measure how much of a result is theirs.

Found in the code behind Zeng, Cao, Huang & Yao, arXiv 2107.06573 (2021). Three more of its defects are not of training:
``offsets=interleaved`` (`mdlm.trajectory.Clocked.strided`), ``recrossing=window_filter`` and
``model.encoder_sees_target=true`` (`mdlm.model.encoder_decoder`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from mdlm.model.base import LanguageModel, State, detached, masked
from mdlm.training.batches import Batch, Batches
from mdlm.training.objective import Objective, summed_nll


@dataclass(frozen=True)
class Defects:
    """Published defects of training; all off unless asked for.

    Attributes:
        kernel_l2: Times the sum of squares of what Keras calls the kernels of recurrent layers, the weights of their
            inputs; added to the mean loss. In a given number of epochs it leaves the learned probabilities flatter
            than those of the data, more so where they depend on the past. Published: 0.01.
        recurrent_kernel_l2: The same of the recurrent kernels, the weights of their own last output.
        stateful_windows: The state at the end of a window is carried into the next one in the same row, which is
            another, unrelated piece of trajectory. Needs ``batching=windows``.
        validation_gradients: The gradients of the validation pass are not cleared before the first update of the
            next epoch, so that the model learns from what is to decide when to stop.
    """

    kernel_l2: float = 0.0
    recurrent_kernel_l2: float = 0.0
    stateful_windows: bool = False
    validation_gradients: bool = False

    def __post_init__(self) -> None:
        for name in ("kernel_l2", "recurrent_kernel_l2"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} ({getattr(self, name):g}) must be at least 0 and finite")

    def penalty(self, model: LanguageModel) -> Tensor:
        """The L2 terms of all recurrent layers; zero where there are none."""
        factors = {"weight_ih": self.kernel_l2, "weight_hh": self.recurrent_kernel_l2}
        total = torch.zeros((), device=model.forbidden_VV.device)
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
            logits_BTV, state = model(batch.inputs_BT, detached(masked(state, batch.keep_B)))
            if not batch.warm_up:
                mean = summed_nll(logits_BTV, batch.targets_BT) / batch.n_targets
                parts = torch.autograd.grad(mean, weights, allow_unused=True, materialize_grads=True)
                for total, part in zip(gradients, parts, strict=True):
                    total += part
        products = [(g * (w - w.detach())).sum() for g, w in zip(gradients, weights, strict=True)]
        return torch.stack(products).sum()

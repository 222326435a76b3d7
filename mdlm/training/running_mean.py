"""A running mean of the weights: what is judged and kept, instead of where the last update happened to leave them."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from mdlm.model.base import LanguageModel
from mdlm.training.checkpoint import MEAN

SHARE_AT_FIRST = 0.25
"""At first the mean is over this share of all updates, the latest, since a short training starts far from its end."""


class RunningMean:
    """The mean of a model's weights over its latest updates.

    At a learning rate that is not small yet, every update leaves the weights at some distance from where they are
    about to settle, in a direction of chance. Their mean has less of that, without waiting for the rate to fall, by
    when small data are learned by heart.

    Attributes:
        model: Has the mean as its weights, and shares everything else with the model that is trained.
        horizon: Of how many updates, about, it is the mean, at most, with shares that fall off; see `SHARE_AT_FIRST`.

    Source: Polyak & Juditsky, SIAM J. Control Optim. 30, 838 (1992); over fewer than all updates as in Tarvainen &
    Valpola, arXiv 1703.01780 (2017).
    """

    def __init__(self, model: LanguageModel, horizon: float) -> None:
        self.horizon = horizon
        self.model = copy.deepcopy(model, {id(buffer): buffer for buffer in model.buffers()}).requires_grad_(False)
        self._pairs = list(zip(self.model.parameters(), model.parameters(), strict=True))

    @torch.no_grad()
    def include(self, n_updates: int) -> None:
        """Take in the weights as they are after so many updates, at least one."""
        share = 1 / max(1.0, min(SHARE_AT_FIRST * n_updates, self.horizon))
        for mean, weight in self._pairs:
            mean.lerp_(weight, share)

    def tensors(self) -> dict[str, Tensor]:
        """The means under flat names, for a checkpoint."""
        return {f"{MEAN}{name}": mean for name, mean in self.model.named_parameters()}

    @torch.no_grad()
    def restore(self, tensors: Mapping[str, Tensor]) -> None:
        """Put back what `tensors` took out."""
        for name, mean in self.model.named_parameters():
            mean.copy_(tensors[f"{MEAN}{name}"])

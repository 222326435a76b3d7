"""The optimiser and the schedule of its learning rate."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch.optim import Optimizer

from mdlm.model.base import LanguageModel


def adamw(model: LanguageModel, learning_rate: float, weight_decay: float) -> torch.optim.AdamW:
    """AdamW that decays matrices but neither biases nor norms."""
    parameters = list(model.parameters())
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=learning_rate, weight_decay=weight_decay, fused=True)


@dataclass(frozen=True)
class Schedule:
    """Linear warm-up, then half a cosine down to zero or no change.

    Attributes:
        peak: The largest learning rate.
        warmup_fraction: Share of all updates over which it rises.
        n_updates: Updates of the whole training.
        after_warmup: ``cosine`` or ``constant``.
    """

    peak: float
    warmup_fraction: float
    n_updates: int
    after_warmup: Literal["cosine", "constant"]

    def rate(self, update: int) -> float:
        """The learning rate of an update, counted from zero."""
        warmup = self.warmup_fraction * self.n_updates
        if update < warmup:
            return self.peak * (update + 1) / (warmup + 1)
        if self.after_warmup == "constant":
            return self.peak
        done = (update - warmup) / max(1.0, self.n_updates - warmup)
        return self.peak * 0.5 * (1 + math.cos(math.pi * done))

    def apply(self, optimiser: Optimizer, update: int) -> None:
        """Set the learning rate of an update."""
        for group in optimiser.param_groups:
            group["lr"] = self.rate(update)

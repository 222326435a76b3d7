"""Where in an epoch a run is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from mdlm.model.base import State
from mdlm.training.checkpoint import POSITION


@dataclass
class Position:
    """All that the rest of an epoch depends on besides weights, optimiser and the epoch's own order of the data.

    Attributes:
        state: What the model carries to the next batch.
        total: Sum of the losses so far, nats per token; float64, on the device.
        n_batches: Batches taken, warm-ups among them.
        n_updates: Updates done.
        earlier_seconds: Spent on this epoch by earlier attempts.
        since: When this attempt at it began, on `time.perf_counter`.
    """

    state: State
    total: Tensor
    n_batches: int = 0
    n_updates: int = 0
    earlier_seconds: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    @property
    def seconds(self) -> float:
        """Spent on this epoch up to now."""
        return self.earlier_seconds + time.perf_counter() - self.since

    @classmethod
    def start(cls, state: State, device: torch.device) -> Position:
        """The beginning of an epoch."""
        return cls(state, torch.zeros((), dtype=torch.float64, device=device))

    def tensors(self) -> dict[str, Tensor]:
        """The tensors of the position under flat names, with the random numbers of this moment."""
        device = self.total.device
        random = {"random.cpu": torch.get_rng_state()}
        if device.type == "cuda":
            random["random.cuda"] = torch.cuda.get_rng_state(device)
        state = {f"state.{number}": part for number, part in enumerate(self.state)}
        return {POSITION + name: tensor for name, tensor in {**state, **random, "total": self.total}.items()}

    def numbers(self) -> dict[str, float]:
        """The rest of it."""
        return {"n_batches": self.n_batches, "n_updates": self.n_updates, "earlier_seconds": self.seconds}

    @classmethod
    def restored(cls, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any], device: torch.device) -> Position:
        """Put back what `tensors` and `numbers` took out, the random numbers too."""
        own = {name.removeprefix(POSITION): tensor for name, tensor in tensors.items() if name.startswith(POSITION)}
        torch.set_rng_state(own["random.cpu"])
        if device.type == "cuda" and "random.cuda" in own:
            torch.cuda.set_rng_state(own["random.cuda"], device)
        n_parts = sum(name.startswith("state.") for name in own)
        state = tuple(own[f"state.{number}"].to(device) for number in range(n_parts))
        return cls(state, own["total"].to(device), **numbers)

"""One training run: the loop over epochs and updates, early stopping, and taking up an earlier attempt."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdlm.model.base import LanguageModel, State, detached, masked
from mdlm.progress import Progress
from mdlm.tokens.base import Tokens
from mdlm.training import checkpoint
from mdlm.training.batches import Batch
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.fitted import Epoch, Fitted
from mdlm.training.optimiser import Schedule, adamw
from mdlm.training.precision import autocast
from mdlm.trajectory import Split

if TYPE_CHECKING:
    from mdlm.training.training import Training


class Run:
    """Everything that changes while a model is trained."""

    def __init__(
        self,
        training: Training,
        model: LanguageModel,
        tokens: Split[Tokens],
        seed: int,
        directory: Path,
        identity: Mapping[str, Any],
    ) -> None:
        self.training, self.model, self.tokens, self.seed, self.identity = training, model, tokens, seed, identity
        self.best_path, self.last_path = directory / "best.safetensors", directory / "last.safetensors"
        self.batches = training.batches(tokens.train.pieces)
        self.objective, self.penalty = training.objective(tokens.validation.pieces), training.penalty()
        self.n_updates = training.max_epochs * self.batches.n_batches
        self.schedule = Schedule(training.learning_rate, training.warmup_fraction, self.n_updates, training.schedule)
        self.optimiser = adamw(model, training.learning_rate, training.weight_decay)
        self.autocast = autocast(training.torch_device(), training.uses_bfloat16())
        self.history: list[Epoch] = []
        self.resumed_at: int | None = None

    @property
    def best(self) -> Epoch:
        """The epoch of the lowest validation loss."""
        return min(self.history, key=lambda epoch: epoch.validation_nll)

    def finish(self, progress: Progress) -> Fitted:
        """Train to the end, then return the best model."""
        if self.last_path.exists():
            self._restore()
        while len(self.history) < self.training.max_epochs and not self._out_of_patience():
            self._epoch(progress)
        progress(self.training.max_epochs, self.training.max_epochs, self._note())
        tensors, _ = checkpoint.read(self.best_path)
        self.model.load_state_dict(tensors)
        seconds = sum(epoch.seconds for epoch in self.history)
        batching = self.training.batching
        return Fitted(self.model.eval(), self.history, self.best.epoch, seconds, self.resumed_at, batching)

    def _out_of_patience(self) -> bool:
        return bool(self.history) and len(self.history) - self.best.epoch >= self.training.patience

    def _epoch(self, progress: Progress) -> None:
        """Train one epoch, judge it, and save."""
        number = len(self.history)
        start = time.perf_counter()
        rng = np.random.default_rng([self.seed, number])
        self.model.train()
        total = torch.zeros((), dtype=torch.float64)
        state = self.model.initial_state(self.batches.n_rows)
        updates = 0
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**62)))  # dropout
            for batch in self.batches.epoch(rng):
                state = detached(masked(state, batch.keep_B))
                if batch.warm_up:
                    with torch.no_grad(), self.autocast:
                        _, state = self.model(batch.inputs_BT, state)
                    continue
                loss, state = self._update(batch, state, number, updates)
                total += loss
                updates += 1
                progress(number + updates / self.batches.n_batches, self.training.max_epochs, self._note())
        seconds = time.perf_counter() - start
        validation = nll_nats_per_token(self.model, self.tokens.validation.pieces)
        self._check_finite(validation, number)
        self.history.append(
            Epoch(
                epoch=number + 1,
                train_nll=float(total) / updates,
                validation_nll=validation,
                learning_rate=self.schedule.rate(number * self.batches.n_batches + updates),
                seconds=time.perf_counter() - start,
                tokens_per_second=sum(self.tokens.train.lengths) / seconds,
            )
        )
        self._save()

    def _update(self, batch: Batch, state: State, epoch: int, number: int) -> tuple[torch.Tensor, State]:
        """One update of the weights; returns the loss in nats per token and the state to carry on."""
        update = epoch * self.batches.n_batches + number
        self.schedule.apply(self.optimiser, update)
        with self.autocast:
            summed, state = self.objective.loss(self.model, batch, state, update / self.n_updates)
        loss = summed / batch.n_targets
        self._check_finite(loss.item(), epoch)
        self.optimiser.zero_grad(set_to_none=True)
        (loss if self.penalty is None else loss + self.penalty(self.model)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        self.optimiser.step()
        return loss.detach().cpu(), state

    def _check_finite(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} in epoch {epoch + 1}; lower training.learning_rate "
                f"({self.training.learning_rate:g}) or set training.precision=float32"
            )

    def _note(self) -> str:
        if not self.history:
            return ""
        last = self.history[-1]
        rate = last.tokens_per_second / 1e3
        return f"validation {last.validation_nll:.4f} nats/token, {rate:.0f} k tokens/s"

    def _save(self) -> None:
        """First the model if it is the best so far, then the point to resume from."""
        description = {
            "n_states": self.model.n_states,
            "identity": self.identity,
            "history": [vars(epoch) for epoch in self.history],
        }
        weights = self.model.state_dict()
        if self.best.epoch == len(self.history):
            checkpoint.write(self.best_path, weights, description)
        checkpoint.write(self.last_path, {**weights, **checkpoint.optimiser_tensors(self.optimiser)}, description)

    def _restore(self) -> None:
        """Take up an earlier attempt; refuse one of another configuration."""
        tensors, description = checkpoint.read(self.last_path)
        checkpoint.read(self.best_path)  # better refused now than after the last epoch
        checkpoint.check_identity(self.last_path, description["identity"], self.identity)
        weights = {n: t for n, t in tensors.items() if not n.startswith(checkpoint.OPTIMISER)}
        self.model.load_state_dict(weights)
        checkpoint.restore_optimiser(self.optimiser, tensors)
        self.history = [Epoch(**epoch) for epoch in description["history"]]
        self.resumed_at = len(self.history)

"""One training run: the loop over epochs and updates, early stopping, and taking up an earlier attempt."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from mdlm.model.base import LanguageModel, detached, masked
from mdlm.model.network import Network
from mdlm.progress import Progress
from mdlm.tokens.base import Tokens
from mdlm.training import checkpoint
from mdlm.training.batches import Batch
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.fitted import Epoch, Fitted
from mdlm.training.interruptions import Interruptions
from mdlm.training.optimiser import Schedule, adamw
from mdlm.training.position import Position
from mdlm.training.precision import autocast, forked_random_numbers
from mdlm.training.running_mean import RunningMean
from mdlm.training.slow_fluxes import fit_slow_memory
from mdlm.training.update import Update
from mdlm.trajectory import Split

if TYPE_CHECKING:
    from mdlm.training.training import Training

LOOK_EVERY = {"cpu": 1, "cuda": 50}
"""Updates between two looks at the loss, which a GPU has to be waited for."""


class Run:
    """Everything that changes while a model is trained.

    Whatever changes does so under `Interruptions.held`, so that a run that is stopped can be saved as it is.
    """

    def __init__(
        self,
        training: Training,
        learning_rate: float,
        model: LanguageModel,
        tokens: Split[Tokens],
        seed: int,
        directory: Path,
        identity: Mapping[str, Any],
    ) -> None:
        self.training, self.model, self.tokens, self.seed, self.identity = training, model, tokens, seed, identity
        self.best_path, self.last_path = directory / "best.safetensors", directory / "last.safetensors"
        self.device = training.torch_device()
        self.batches = training.batches(tokens.train.pieces)
        self.n_updates = training.max_epochs * self.batches.n_batches
        self.schedule = Schedule(learning_rate, training.warmup_fraction, self.n_updates, training.schedule)
        self.optimiser = adamw(model, learning_rate, training.weight_decay)
        self.mean = RunningMean(model, training.averaged_epochs * self.batches.n_batches)
        self.update = Update(
            model,
            training.objective(tokens.validation.pieces),
            training.penalty(),
            self.optimiser,
            autocast(self.device, training.uses_bfloat16()),
            training.gradient_clip,
            min(training.micro_batch_size or self.batches.n_rows, self.batches.n_rows),
        )
        self.interruptions = Interruptions()
        self.history: list[Epoch] = []
        self.position: Position | None = None  # None: between two epochs
        self.resumed_at: int | None = None
        self.saved_at = time.monotonic()
        self.fit_seconds = 0.0  # of the memory of slow modes, in this attempt

    @property
    def best(self) -> Epoch:
        """The epoch of the lowest validation loss."""
        return min(self.history, key=lambda epoch: epoch.validation_nll)

    def finish(self, progress: Progress) -> Fitted:
        """Train to the end, then return the best model; a run stopped by a signal is saved where it is."""
        with forked_random_numbers(self.device), self.interruptions:
            if self.last_path.exists():
                self._restore()
            try:
                while len(self.history) < self.training.max_epochs and not self._out_of_patience():
                    self._epoch(progress)
            except (KeyboardInterrupt, SystemExit):
                self._save()
                raise
            self._take_the_best(progress)
        progress(self.training.max_epochs, self.training.max_epochs, self._note())
        seconds = sum(epoch.seconds for epoch in self.history) + self.fit_seconds
        batching = self.training.batching
        return Fitted(self.model.eval(), self.history, self.best.epoch, seconds, self.resumed_at, batching)

    def _take_the_best(self, progress: Progress) -> None:
        """Load the weights of the best epoch; fit the memory of slow modes, once, also where a run is resumed."""
        tensors, description = checkpoint.read(self.best_path)
        checkpoint.load_weights(self.model, tensors, self.best_path)
        if not isinstance(self.model, Network) or not self.model.slow_memory.n_modes:
            return
        if not description.get("slow_modes_fitted"):
            begin = time.monotonic()
            progress(self.training.max_epochs, self.training.max_epochs, "fitting the memory of slow modes")
            fit_slow_memory(self.model, self.tokens.train.pieces, self.tokens.validation.pieces)
            self.fit_seconds = time.monotonic() - begin
            with self.interruptions.held():
                described = self._description() | {"slow_modes_fitted": True}
                checkpoint.write(self.best_path, self.model.state_dict(), described)

    def _out_of_patience(self) -> bool:
        return bool(self.history) and len(self.history) - self.best.epoch >= self.training.patience

    def _epoch(self, progress: Progress) -> None:
        """Train one epoch, or the rest of one, judge it, and save."""
        number, n_batches = len(self.history), self.batches.n_batches
        rng = np.random.default_rng([self.seed, number])
        dropout_seed = int(rng.integers(2**62))
        if self.position is None:
            torch.manual_seed(dropout_seed)
            self.position = Position.start(self.model.initial_state(self.batches.n_rows), self.device)
        position = self.position
        self.model.train()
        for batch in islice(self.batches.epoch(rng), position.n_batches, None):
            with self.interruptions.held():
                self._take(batch, position)
            if batch.warm_up:
                continue
            if position.n_updates % LOOK_EVERY[self.device.type] == 0:
                self._check_finite(position.total)
            progress(number + position.n_updates / n_batches, self.training.max_epochs, self._note())
            if self._is_due():
                self._save()
        self._check_finite(position.total)
        self._judge(position)
        self._save()

    def _take(self, batch: Batch, position: Position) -> None:
        """Let the model see the next batch of the epoch."""
        state = detached(masked(position.state, batch.keep_B))
        if batch.warm_up:
            position.state = self.update.warm_up(batch, state)
        else:
            done = len(self.history) * self.batches.n_batches + position.n_updates
            self.schedule.apply(self.optimiser, done)
            loss, position.state = self.update(batch, state, done / self.n_updates)
            self.mean.include(done + 1)
            position.total += loss
            position.n_updates += 1
        position.n_batches += 1

    def _judge(self, position: Position) -> None:
        """End an epoch: its line of the training curve, and the mean of the weights if it is the best so far."""
        training_seconds = position.seconds
        validation_nll = nll_nats_per_token(self.mean.model, self.tokens.validation.pieces)
        self._check_finite(validation_nll)
        number = len(self.history) + 1
        epoch = Epoch(
            epoch=number,
            train_nll=float(position.total) / position.n_updates,
            validation_nll=validation_nll,
            learning_rate=self.schedule.rate(number * self.batches.n_batches),
            seconds=position.seconds,
            tokens_per_second=sum(self.tokens.train.lengths) / training_seconds,
        )
        with self.interruptions.held():
            self.history.append(epoch)
            self.position = None
            if self.best is epoch:
                checkpoint.write(self.best_path, self.mean.model.state_dict(), self._description())

    def _check_finite(self, loss: float | torch.Tensor) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {float(loss)} in epoch {len(self.history) + 1}; lower training.learning_rate "
                f"({self.schedule.peak:g}) or set training.precision=float32"
            )

    def _note(self) -> str:
        """What to say beside the progress."""
        notes = []
        if self.history:
            last = self.history[-1]
            rate = last.tokens_per_second / 1e3
            notes = [f"validation {last.validation_nll:.4f} nats/token, {rate:.0f} k tokens/s"]
        if self.update.halved:
            notes.append(f"out of GPU memory, so in parts of {self.update.micro_batch_size} rows")
        return "; ".join(notes)

    def _is_due(self) -> bool:
        """Whether the last checkpoint has become too old."""
        minutes = self.training.checkpoint_minutes
        return minutes is not None and time.monotonic() - self.saved_at >= 60 * minutes

    def _description(self) -> dict[str, Any]:
        return {
            "n_states": self.model.n_states,
            "token_names": list(self.tokens.train.token_names),
            "identity": self.identity,
            "history": [vars(epoch) for epoch in self.history],
            "position": self.position and self.position.numbers(),
        }

    def _save(self) -> None:
        """Write the point to resume from."""
        tensors = {**self.model.state_dict(), **self.mean.tensors()}
        tensors |= checkpoint.optimiser_tensors(self.optimiser)
        if self.position is not None:
            self._check_finite(self.position.total)
            tensors |= self.position.tensors()
        elif not self.history:
            return  # stopped before anything was done
        checkpoint.write(self.last_path, tensors, self._description())
        self.saved_at = time.monotonic()

    def _restore(self) -> None:
        """Take up an earlier attempt; refuse one of another configuration or vocabulary."""
        tensors, description = checkpoint.read(self.last_path)
        checkpoint.check_identity(self.last_path, description["identity"], self.identity)
        names = self.tokens.train.token_names
        checkpoint.check_vocabulary(self.last_path, description.get("token_names", names), names)
        self.history = [Epoch(**epoch) for epoch in description["history"]]
        if self.history:
            checkpoint.read(self.best_path)  # better refused now than after the last epoch
        checkpoint.load_weights(self.model, tensors, self.last_path)
        checkpoint.restore_optimiser(self.optimiser, tensors)
        self.mean.restore(tensors)
        if description.get("position") is not None:
            self.position = Position.restored(tensors, description["position"], self.device)
        self.resumed_at = len(self.history)

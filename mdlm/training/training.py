"""The optimisation loop: AdamW, warm-up and cosine decay, clipping, early stopping, checkpoint every epoch."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from mdlm.model.base import (
    CountedModel,
    LanguageModel,
    ModelConfig,
    check_at_least,
    detached,
    fitting_threads,
    masked,
)
from mdlm.progress import Progress, silent
from mdlm.tokens.base import Tokens
from mdlm.training import checkpoint
from mdlm.training.batches import IGNORED, Streams, Windows
from mdlm.training.evaluate import nll_nats_per_token
from mdlm.training.support import unseen_jumps
from mdlm.trajectory import Split


@dataclass(frozen=True)
class Training:
    """How a model is trained.

    Attributes:
        batching: ``streams`` (contiguous runs, state carried) or ``windows`` (random starts, fresh state: the way
            published codes train, which loses the slow process).
        context_length: Tokens per window, or per chunk of truncated back-propagation through time.
        batch_size: Windows, or streams side by side.
        max_epochs: An epoch is as many tokens as the training data hold.
        patience: Epochs without a better validation loss before training stops.
        learning_rate: Peak of the schedule.
        warmup_fraction: Share of all steps over which the learning rate rises from zero.
        weight_decay: Of AdamW, on matrices only.
        gradient_clip: Largest norm of the gradient.
        precision: ``bfloat16`` (autocast), ``float32``, or ``auto``: bfloat16 where the hardware has it.
        support: ``seen`` rules out jumps that the training data rule out (`mdlm.training.support.unseen_jumps`);
            ``all`` leaves every jump possible.
        device: ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1`` ...
    """

    batching: Literal["streams", "windows"]
    context_length: int
    batch_size: int
    max_epochs: int
    patience: int
    learning_rate: float
    warmup_fraction: float
    weight_decay: float
    gradient_clip: float
    precision: Literal["auto", "float32", "bfloat16"]
    device: str
    support: Literal["seen", "all"] = "seen"

    def __post_init__(self) -> None:
        check_at_least(1, batch_size=self.batch_size, max_epochs=self.max_epochs, patience=self.patience)
        check_at_least(2, context_length=self.context_length)
        check_at_least(0, weight_decay=self.weight_decay)
        for name in ("learning_rate", "gradient_clip"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} ({getattr(self, name):g}) must be above 0 and finite")
        if not 0 <= self.warmup_fraction <= 1:
            raise ValueError(f"warmup_fraction ({self.warmup_fraction:g}) must lie in [0, 1]")
        for name in ("batching", "precision", "support"):
            allowed = get_args(get_type_hints(Training)[name])
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} ({getattr(self, name)}) must be one of {', '.join(allowed)}")
        if self.device != "auto" and self.torch_device().type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device ({self.device}) is not there: torch sees no GPU; use auto or cpu")

    def torch_device(self) -> torch.device:
        """The device to compute on."""
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            return torch.device(self.device)
        except RuntimeError:
            raise ValueError(f"device ({self.device}) must be auto, cpu, cuda or cuda:N") from None

    def uses_bfloat16(self) -> bool:
        """Whether matrix products run in bfloat16."""
        if self.precision != "auto":
            return self.precision == "bfloat16"
        if self.torch_device().type == "cuda":
            return bool(torch.cuda.is_bf16_supported())
        return _cpu_has_bfloat16()

    def check(self, lengths: tuple[int, ...]) -> None:
        """Raise `ValueError` where training pieces of these lengths hold no window of ``context_length``."""
        longest = max(lengths)
        if self.context_length + 1 > longest:
            raise ValueError(
                f"context_length ({self.context_length}) must be below the longest training trajectory, "
                f"{longest} frames after the stride"
            )

    def check_model(self, config: ModelConfig) -> None:
        """Raise `ValueError` where windows are too short for the distances a model will look back over."""
        if self.batching == "windows" and self.context_length < config.reach:
            raise ValueError(
                f"context_length ({self.context_length}) must be at least the model's window ({config.reach}) with "
                "batching=windows: the model would sample over distances it never met in training"
            )

    def fit(
        self,
        config: ModelConfig,
        tokens: Split[Tokens],
        seed: int,
        directory: Path,
        identity: Mapping[str, Any],
        progress: Progress = silent,
    ) -> Fitted:
        """Train a model, or take up an earlier attempt where its last checkpoint left it.

        Args:
            config: What to build; its initial weights come from ``seed``.
            tokens: Training data, and validation data that decide when to stop.
            seed: Of weights, order of the data, and dropout.
            directory: Gets ``best.safetensors`` (the model) and ``last.safetensors`` (to resume from).
            identity: What made the tokens and the model; a checkpoint of another identity is refused.
            progress: Told the epochs done, the losses and the speed.

        Returns:
            The model of the best validation loss, in evaluation mode.
        """
        self.check(tokens.train.lengths)
        self.check_model(config)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = config.build(tokens.train.n_tokens).to(self.torch_device())
        if isinstance(model, CountedModel):
            return _count(model, tokens, directory, identity)
        if self.support == "seen":
            known = (*tokens.train.pieces, *tokens.validation.pieces)  # else validation could be impossible
            model.forbid(torch.from_numpy(unseen_jumps(known, model.n_states)))
        with fitting_threads(model):
            return _Run(self, model, tokens, seed, directory, dict(identity)).finish(progress)


@dataclass(frozen=True)
class Epoch:
    """One line of the training curve; losses in nats per token."""

    epoch: int
    train_nll: float
    validation_nll: float
    learning_rate: float
    seconds: float
    tokens_per_second: float


@dataclass
class Fitted:
    """A trained model and how it came about.

    Attributes:
        model: In evaluation mode, with the weights of the best validation loss.
        history: The training curve, one entry per epoch; empty for a counted model.
        best_epoch: The epoch the weights are from.
        seconds: Spent training, earlier attempts included.
        resumed_at: The epoch at which this attempt took up an earlier one, or None.
        batching: How the tokens reached the model.
    """

    model: LanguageModel
    history: list[Epoch] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    resumed_at: int | None = None
    batching: str = "counted"


def load(path: Path, config: ModelConfig) -> LanguageModel:
    """The model in ``best.safetensors``, in evaluation mode on the CPU."""
    tensors, description = checkpoint.read(path)
    model = config.build(description["n_states"])
    model.load_state_dict(tensors)
    return model.eval()


def _count(model: CountedModel, tokens: Split[Tokens], directory: Path, identity: Mapping[str, Any]) -> Fitted:
    start = time.perf_counter()
    model.count(tokens.train.pieces)
    seconds = time.perf_counter() - start
    checkpoint.write(
        directory / "best.safetensors", model.state_dict(), {"n_states": model.n_states, "identity": identity}
    )
    return Fitted(model.eval(), seconds=seconds)


class _Run:
    """One training run: everything that changes while it goes on."""

    def __init__(
        self,
        training: Training,
        model: LanguageModel,
        tokens: Split[Tokens],
        seed: int,
        directory: Path,
        identity: dict[str, Any],
    ) -> None:
        self.training, self.model, self.tokens, self.seed = training, model, tokens, seed
        self.best_path, self.last_path = directory / "best.safetensors", directory / "last.safetensors"
        self.identity = json.loads(json.dumps(identity))  # as it will be read back: tuples are lists
        device = training.torch_device()
        self.batching = training.batching
        make = Streams if self.batching == "streams" else Windows
        self.batches = make(tokens.train.pieces, training.context_length, training.batch_size, device)
        self.n_steps = training.max_epochs * self.batches.n_batches
        self.optimiser = _adamw(model, training)
        bfloat16 = training.uses_bfloat16()
        self.autocast = torch.autocast(device.type, torch.bfloat16) if bfloat16 else nullcontext()
        self.history: list[Epoch] = []
        self.resumed_at: int | None = None

    @property
    def best(self) -> Epoch:
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
        return Fitted(self.model.eval(), self.history, self.best.epoch, seconds, self.resumed_at, self.batching)

    def _out_of_patience(self) -> bool:
        return bool(self.history) and len(self.history) - self.best.epoch >= self.training.patience

    def _epoch(self, progress: Progress) -> None:
        """Train one epoch, judge it, and save."""
        number = len(self.history)
        start = time.perf_counter()
        rng = np.random.default_rng([self.seed, number])
        self.model.train()
        total = torch.zeros((), dtype=torch.float64)
        state = self.model.initial_state(self.training.batch_size)
        steps = 0
        with torch.random.fork_rng():
            torch.manual_seed(int(rng.integers(2**62)))  # dropout
            for batch in self.batches.epoch(rng):
                if len(state[0][0]) != len(batch.keep_B):
                    state = self.model.initial_state(len(batch.keep_B))
                state = detached(masked(state, batch.keep_B))
                if batch.warm_up:
                    with torch.no_grad(), self.autocast:
                        _, state = self.model(batch.inputs_BT, state)
                    continue
                loss, state = self._step(batch.inputs_BT, batch.targets_BT, state, number, steps)
                total += loss
                steps += 1
                progress(number + steps / self.batches.n_batches, self.training.max_epochs, self._note())
        seconds = time.perf_counter() - start
        validation = nll_nats_per_token(self.model, self.tokens.validation.pieces)
        self._check_finite(validation, number)
        self.history.append(
            Epoch(
                epoch=number + 1,
                train_nll=float(total) / steps,
                validation_nll=validation,
                learning_rate=self._learning_rate(number * self.batches.n_batches + steps),
                seconds=time.perf_counter() - start,
                tokens_per_second=sum(self.tokens.train.lengths) / seconds,
            )
        )
        self._save()

    def _step(
        self, inputs: Tensor, targets: Tensor, state: tuple[Tensor, ...], epoch: int, step: int
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """One update; returns the loss in nats per token and the state to carry on."""
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate(epoch * self.batches.n_batches + step)
        with self.autocast:
            logits, state = self.model(inputs, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED)
        self._check_finite(loss.item(), epoch)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.training.gradient_clip)
        self.optimiser.step()
        return loss.detach().cpu(), state

    def _check_finite(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise FloatingPointError(
                f"the loss became {loss} in epoch {epoch + 1}; lower training.learning_rate "
                f"({self.training.learning_rate:g}) or set training.precision=float32"
            )

    def _learning_rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to zero."""
        warmup = self.training.warmup_fraction * self.n_steps
        if step < warmup:
            return self.training.learning_rate * (step + 1) / (warmup + 1)
        done = (step - warmup) / max(1.0, self.n_steps - warmup)
        return self.training.learning_rate * 0.5 * (1 + math.cos(math.pi * done))

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
        _check_identity(self.last_path, description["identity"], self.identity)
        weights = {n: t for n, t in tensors.items() if not n.startswith(checkpoint.OPTIMISER)}
        self.model.load_state_dict(weights)
        checkpoint.restore_optimiser(self.optimiser, tensors)
        self.history = [Epoch(**epoch) for epoch in description["history"]]
        self.resumed_at = len(self.history)


def refuse_other(directory: Path, identity: Mapping[str, Any]) -> None:
    """Raise `ValueError` where a folder's checkpoints, counted models' too, belong to another configuration."""
    for name in ("last.safetensors", "best.safetensors"):
        if (directory / name).exists():
            _, description = checkpoint.read(directory / name)
            _check_identity(directory / name, description["identity"], json.loads(json.dumps(identity)))


def _check_identity(path: Path, was: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = [
        f"{name} was {was.get(name)!r}, is {now.get(name)!r}"
        for name in sorted({*now, *was})
        if was.get(name) != now.get(name)
    ]
    if changed:
        raise ValueError(
            f"checkpoint {path} belongs to another configuration ({'; '.join(changed)}); "
            "give this run a directory of its own or delete that one"
        )


def _adamw(model: LanguageModel, training: Training) -> torch.optim.AdamW:
    """AdamW that decays matrices but neither biases nor norms."""
    parameters = list(model.parameters())
    matrices = [p for p in parameters if p.ndim >= 2]
    vectors = [p for p in parameters if p.ndim < 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=training.learning_rate, weight_decay=training.weight_decay, fused=True)


def _cpu_has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively, without which autocast only costs time."""
    try:
        return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    except (AttributeError, RuntimeError):
        return False

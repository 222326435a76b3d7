"""What training leaves: the model, and the curve of how it came about."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mdlm.model.base import LanguageModel
from mdlm.model.config import ModelConfig
from mdlm.training import checkpoint


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
    checkpoint.load_weights(model, tensors, path)
    return model.eval()

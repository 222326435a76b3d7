"""The way from settings and tokens to a fitted model, trained or counted."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from mdlm.model.base import CountedModel, fitting_threads
from mdlm.model.config import ModelConfig
from mdlm.progress import Progress
from mdlm.tokens.base import Tokens
from mdlm.training import checkpoint
from mdlm.training.anchor import markov_anchor
from mdlm.training.fitted import Fitted
from mdlm.training.precision import deterministic_algorithms, forked_random_numbers
from mdlm.training.run import Run
from mdlm.training.support import forbidden_jumps
from mdlm.training.training import Training
from mdlm.trajectory import Split


def fit(
    training: Training,
    config: ModelConfig,
    tokens: Split[Tokens],
    seed: int,
    directory: Path,
    identity: Mapping[str, Any],
    progress: Progress,
) -> Fitted:
    """See `Training.fit`."""
    training.check(tokens.train.lengths)
    training.check_model(config)
    device = training.torch_device()
    with forked_random_numbers(device):
        torch.manual_seed(seed)
        model = config.build(tokens.train.n_tokens).to(device)
    if isinstance(model, CountedModel):
        return _counted(model, tokens, directory, identity)
    train, validation = tokens.train.pieces, tokens.validation.pieces
    if config.anchored:
        model.anchor_to(torch.from_numpy(markov_anchor(train, validation, model.n_states, training.support)))
    else:
        known = (*train, *validation)  # else validation could be impossible
        model.forbid(torch.from_numpy(forbidden_jumps(known, model.n_states, training.support)))
    with fitting_threads(model), deterministic_algorithms(training.deterministic):
        rate = config.learning_rate if training.learning_rate is None else training.learning_rate
        return Run(training, rate, model, tokens, seed, directory, identity).finish(progress)


def _counted(model: CountedModel, tokens: Split[Tokens], directory: Path, identity: Mapping[str, Any]) -> Fitted:
    start = time.perf_counter()
    model.count(tokens.train.pieces)
    seconds = time.perf_counter() - start
    description = {
        "n_states": model.n_states,
        "token_names": list(tokens.train.token_names),
        "identity": dict(identity),
    }
    checkpoint.write(directory / "best.safetensors", model.state_dict(), description)
    return Fitted(model.eval(), seconds=seconds)

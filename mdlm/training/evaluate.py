"""What a model predicts of given data, and the negative log-likelihood of held-out ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import LanguageModel, State, masked
from mdlm.model.likelihood import LinearOutput
from mdlm.model.network import Network
from mdlm.training.batches import Batch, Streams
from mdlm.trajectory import IntArray


@torch.inference_mode()
def nll_nats_per_token(model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int = 512) -> float:
    """Mean negative log-likelihood of each state given all states before it in its piece.

    Args:
        model: See `predictions`.
        pieces: Discrete trajectories.
        chunk_length: See `predictions`.

    Returns:
        Nats per token; infinite where the model holds an observed jump to be impossible.
    """
    total, count = torch.zeros((), dtype=torch.float64, device=model.device), 0
    with _judged(model):
        streams, state = _streams(model, pieces, chunk_length)
        for batch in streams:
            loss, state = model.nll(batch.inputs_BT, batch.targets_BT, masked(state, batch.keep_B))
            if not batch.warm_up:
                total += loss
                count += batch.n_targets
    return float(total) / count


@torch.inference_mode()
def predictions(
    model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int = 512
) -> Iterator[tuple[Batch, Tensor, State]]:
    """The logits after each state of some data, chunk by chunk.

    The model reads the pieces as contiguous streams with carried state, so what is judged is what samples.

    Args:
        model: Put into evaluation mode here (no dropout), and back afterwards.
        pieces: Discrete trajectories.
        chunk_length: Frames per forward pass, and the warm-up of a run that begins inside a piece.

    Yields:
        Inputs and targets, ``logits_BTV``, and the state before the inputs.
    """
    with _judged(model):
        streams, state = _streams(model, pieces, chunk_length)
        for batch in streams:
            before = masked(state, batch.keep_B)
            logits_BTV, state = model(batch.inputs_BT, before)
            if not batch.warm_up:
                yield batch, logits_BTV, before


@torch.inference_mode()
def linear_outputs(
    model: Network, pieces: Sequence[IntArray], chunk_length: int = 512
) -> Iterator[tuple[LinearOutput, Tensor]]:
    """As `predictions`, but the logits not yet computed; and the means of the memory of slow modes, (N, M)."""
    with _judged(model):
        streams, state = _streams(model, pieces, chunk_length)
        for batch in streams:
            found, state = model.linear_output(batch.inputs_BT, batch.targets_BT, masked(state, batch.keep_B))
            if not batch.warm_up:
                yield found, found.x_NH[:, -model.slow_memory.n_means :]


@contextmanager
def _judged(model: LanguageModel) -> Iterator[None]:
    """Evaluation mode, and back."""
    was_training = model.training
    model.eval()
    yield
    model.train(was_training)


def _streams(model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int) -> tuple[Iterator[Batch], State]:
    """All of the pieces as streams, and the state they begin with."""
    streams = Streams(pieces, chunk_length, n_streams=64, device=model.device)
    return streams.epoch(np.random.default_rng(0)), model.initial_state(streams.n_rows)

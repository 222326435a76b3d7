"""What a model predicts of given data, and the negative log-likelihood of held-out ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from mdlm.model.base import LanguageModel, State, masked
from mdlm.training.batches import Batch, Streams
from mdlm.training.objective import summed_nll
from mdlm.trajectory import IntArray


def nll_nats_per_token(model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int = 512) -> float:
    """Mean negative log-likelihood of each state given all states before it in its piece.

    Args:
        model: See `predictions`.
        pieces: Discrete trajectories.
        chunk_length: See `predictions`.

    Returns:
        Nats per token; infinite where the model holds an observed jump to be impossible.
    """
    total, count = torch.zeros((), dtype=torch.float64, device=model.forbidden_VV.device), 0
    for batch, logits_BTV, _ in predictions(model, pieces, chunk_length):
        total += summed_nll(logits_BTV, batch.targets_BT)
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
    device = model.forbidden_VV.device
    streams = Streams(pieces, chunk_length, n_streams=64, device=device)
    was_training = model.training
    model.eval()
    state = model.initial_state(streams.n_rows)
    for batch in streams.epoch(np.random.default_rng(0)):
        before = masked(state, batch.keep_B)
        logits_BTV, state = model(batch.inputs_BT, before)
        if not batch.warm_up:
            yield batch, logits_BTV, before
    model.train(was_training)

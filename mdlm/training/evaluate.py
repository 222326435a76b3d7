"""Negative log-likelihood of held-out data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from mdlm.model.base import LanguageModel, masked
from mdlm.training.batches import Streams
from mdlm.training.objective import summed_nll
from mdlm.trajectory import IntArray


@torch.inference_mode()
def nll_nats_per_token(model: LanguageModel, pieces: Sequence[IntArray], chunk_length: int = 512) -> float:
    """Mean negative log-likelihood of each state given all states before it in its piece.

    The model reads the pieces as contiguous streams with carried state, so what is judged is what samples.

    Args:
        model: Put into evaluation mode here (no dropout), and back afterwards.
        pieces: Discrete trajectories.
        chunk_length: Frames per forward pass, and the warm-up of a run that begins inside a piece.

    Returns:
        Nats per token; infinite where the model holds an observed jump to be impossible.
    """
    device = next((tensor.device for tensor in model.state_dict().values()), torch.device("cpu"))
    streams = Streams(pieces, chunk_length, n_streams=64, device=device)
    was_training = model.training
    model.eval()
    total = torch.zeros((), dtype=torch.float64, device=device)
    count = 0
    state = model.initial_state(streams.n_rows)
    for batch in streams.epoch(np.random.default_rng(0)):
        logits, state = model(batch.inputs_BT, masked(state, batch.keep_B))
        if batch.warm_up:
            continue
        total += summed_nll(logits, batch.targets_BT)
        count += batch.n_targets
    model.train(was_training)
    return float(total) / count

"""Negative log-likelihood of held-out data."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F

from mdlm.model.base import LanguageModel, masked
from mdlm.training.batches import IGNORED, Streams
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
    total, count = 0.0, 0
    state = model.initial_state(streams.n_rows)
    for batch in streams.epoch(np.random.default_rng(0)):
        logits, state = model(batch.inputs_BT, masked(state, batch.keep_B))
        if batch.warm_up:
            continue
        loss = F.cross_entropy(logits.flatten(0, 1), batch.targets_BT.flatten(), ignore_index=IGNORED, reduction="sum")
        total += float(loss)
        count += int((batch.targets_BT != IGNORED).sum())
    model.train(was_training)
    return total / count

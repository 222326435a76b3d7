import numpy as np
import pytest

from mdlm.tokens.base import Tokens
from mdlm.training.training import Training
from mdlm.trajectory import Split

collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart


@pytest.fixture
def training():
    """Makes a small, plain `Training`, with changes."""

    def make(**changes):
        fields = {
            "batching": "streams",
            "context_length": 10,
            "batch_size": 8,
            "max_epochs": 4,
            "patience": 99,
            "learning_rate": 0.01,
            "warmup_fraction": 0.0,
            "averaged_epochs": 1.0,
            "weight_decay": 0.0,
            "gradient_clip": 1.0,
            "precision": "float32",
            "support": "all",
            "device": "cpu",
        }
        return Training(**fields | changes)

    return make


@pytest.fixture
def tokens():
    """Makes random states, split, with as many training frames as asked for."""

    def make(*train_lengths, n_states=3, validation_seed=1):
        def pieces(seed, *lengths):
            rng = np.random.default_rng(seed)
            pieces = tuple(rng.integers(n_states, size=n) for n in lengths)
            return Tokens(pieces, tuple(map(str, range(n_states))), n_unseen=0)

        train_lengths = train_lengths or (400, 301)
        return Split(pieces(0, *train_lengths), pieces(validation_seed, 150), pieces(2, 150))

    return make

from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from mdlm.build import build
from mdlm.kinetics.compare import Kinetics
from mdlm.training.training import Training

CONF = Path(__file__).parent.parent / "conf"


class Seen(Exception):
    """Ends a run once all of its data have been handed over."""


@pytest.fixture
def handed_over(monkeypatch, tmp_path):
    """What a run with these settings gives its model to learn and its kinetics to judge."""

    def run(offsets, *more):
        words = ["system=chain", "model=markov", "tracking=none", "stride=10", f"offsets={offsets}", *more]
        words += ["sampling.n_chains=2", "sampling.chain_length=2000", f"cache_dir={tmp_path / 'cache'}"]
        with initialize_config_dir(str(CONF), version_base="1.3"):
            config = OmegaConf.to_container(compose("config", words), resolve=True)
        given, fit = {}, Training.fit

        def spy_on_fit(self, model, tokens, *rest):
            given["learned"] = tokens
            return fit(self, model, tokens, *rest)

        def spy_on_judge(self, **judged):
            given.update(judged)
            raise Seen

        monkeypatch.setattr(Training, "fit", spy_on_fit)
        monkeypatch.setattr(Kinetics, "judge", spy_on_judge)
        with pytest.raises(Seen):
            build(config).run(tmp_path / "_".join([offsets, *more]), config)
        monkeypatch.undo()
        return given

    return run


def same(one, other):
    return len(one) == len(other) and all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))


def autocorrelation(pieces):
    """From one entry to the next, of which pair of states a chain is in."""
    before, after = (np.concatenate([piece[cut] < 2 for piece in pieces]) for cut in (slice(-1), slice(1, None)))
    return np.corrcoef(before, after)[0, 1]


def test_an_interleaved_stride_touches_nothing_but_what_the_model_learns(handed_over):
    """A published defect: the same states in an order without time; held-out and judged data stay as they were.

    The pairs of states are exchanged with the eigenvalue 0.996: of a frame and the tenth after it 0.996^10 = 0.961.
    """
    right, wrong = handed_over("all"), handed_over("interleaved")
    for name in ("reference", "data", "tokens"):
        assert same(right[name].pieces, wrong[name].pieces)
    for part in ("validation", "test"):
        assert same(getattr(right["learned"], part).pieces, getattr(wrong["learned"], part).pieces)
    timely, untimely = right["learned"].train.pieces, wrong["learned"].train.pieces
    assert np.array_equal(*(np.bincount(np.concatenate(pieces)) for pieces in (timely, untimely)))
    # 16 trajectories of 50,000 frames at a correlation time of 250: 1600 independent ones
    assert autocorrelation(timely) == pytest.approx(0.996**10, abs=0.01)
    assert autocorrelation(untimely) == pytest.approx(0.0, abs=4 / 1600**0.5)


def test_models_alone_read_backwards_and_only_training_data(handed_over):
    both, forward = handed_over("all"), handed_over("all", "training.directions=forward")
    for name in ("reference", "data", "tokens"):
        assert same(both[name].pieces, forward[name].pieces)
    for part in ("validation", "test"):
        assert same(getattr(both["learned"], part).pieces, getattr(forward["learned"], part).pieces)
    pieces = forward["learned"].train.pieces
    assert same(pieces, forward["tokens"].pieces)
    assert same(both["learned"].train.pieces, [*pieces, *(piece[::-1] for piece in pieces)])

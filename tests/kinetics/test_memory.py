import math

import numpy as np
import pytest

from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.memory import SlowMemory
from mdlm.trajectory import Dtraj

SLOW, MISTAKEN = 0.005, 0.1  # hops of the hidden state, and the share of its frames that show the other one


def memory_of(pieces, n_states):
    dtraj = Dtraj(tuple(pieces), 0.5, "ps", n_states)
    judge = Kinetics(lag_time=20.0, n_lags=2).judge(dtraj, dtraj, dtraj, None, seed=0)
    comparison = judge.compare(dtraj)
    return comparison.memory, comparison.metrics()


def test_a_markov_chain_shows_no_need_of_memory(sample_chain, four_states):
    found, metrics = memory_of(sample_chain(four_states, 40, 5000, 1), 4)
    assert found.ratio.low < 1 < found.ratio.high
    assert metrics["slow_process_needs_memory"] == 0
    assert found.sentence("ps").startswith("The slow process of the data shows no need of memory: a Markov chain of")


def test_a_hidden_state_is_a_need_of_memory_of_known_size(sample_chain):
    """Shown right with 0.9, the correlation over n frames is 0.8^2 (1 - 2 p)^n: at one frame most of it is lost."""
    hidden = sample_chain(np.array([[1 - SLOW, SLOW], [SLOW, 1 - SLOW]]), 40, 5000, 1)
    rng = np.random.default_rng(2)
    found, metrics = memory_of([np.where(rng.random(len(piece)) < MISTAKEN, 1 - piece, piece) for piece in hidden], 2)

    def t2(lag):
        return -lag / math.log((1 - 2 * MISTAKEN) ** 2 * (1 - 2 * SLOW) ** lag)

    assert t2(1) / t2(40) < 0.05
    assert found.ratio.low < t2(1) / t2(40) < found.ratio.high
    assert metrics["slow_process_needs_memory"] == 1
    assert found.sentence("ps").startswith("The slow process of the data needs memory: a Markov chain of the training")


@pytest.mark.parametrize(
    ("markov", "data", "needed", "said"),
    [
        (5.0, Interval(1.0, 0.5, 2.0), False, "is faster than that of its tokens"),
        (5.0, Interval(1.0, math.nan, math.nan), None, "is not known"),
        (math.nan, Interval(math.nan, math.nan, math.nan), None, "is not known"),
        (5.0, Interval(math.inf, 10.0, math.inf), True, "needs memory"),
        (5.0, Interval(1.0, 0.0, 2.0), False, "is faster than"),
    ],
)
def test_each_outcome_has_its_sentence(markov, data, needed, said):
    found = SlowMemory.of(markov, data, 1.0)
    assert found.needed is needed
    assert said in found.sentence("ps")

import numpy as np
import pytest

from mdlm.kinetics.diagnosis import diagnose
from mdlm.trajectory import Dtraj


def test_a_markov_chain_has_flat_timescales_and_its_own_numbers(sample_chain, four_states):
    states = Dtraj(tuple(sample_chain(four_states, 60, 4000, seed=3)), 0.5, "ps", n_states=5)
    found = diagnose(states, states, states.strided(4), lag_time=10.0, n_timescales=3)
    assert found.lag_times[0] == 0.5
    assert found.lag_times[-1] == 20.0
    expected = -0.5 / np.log(np.sort(np.abs(np.linalg.eigvals(four_states)))[-2])
    np.testing.assert_allclose(found.timescales[:, 0], expected, rtol=0.15)
    together = np.concatenate(states.pieces)
    np.testing.assert_allclose(found.populations, np.bincount(together, minlength=5) / len(together))
    leaving = [sum(int(((p[:-1] == i) & (p[1:] != i)).sum()) for p in states.pieces) for i in range(5)]
    assert found.departures.tolist() == leaving
    assert found.after.times[0] == 2.0
    metrics = found.metrics()
    assert metrics["n_states_visited"] == 4  # the fifth state never occurs
    assert metrics["autocorrelation_one_token"] == pytest.approx(
        found.before.values[found.before.times == 2.0][0], abs=0.02
    )
    assert metrics["fewest_departures"] == min(leaving[:4])
    assert metrics["partition_t2_one_frame_ps"] == found.timescales[0, 0]

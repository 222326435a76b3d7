import numpy as np

from mdlm.recrossing.keep import Keep
from mdlm.trajectory import Dtraj


def test_nothing_is_changed():
    states = Dtraj((np.array([0, 1, 0, 0]),), 1.0, "ps", n_states=2)
    assert Keep().treat(states) is states

import numpy as np

from mdlm.partition.labels import Labels
from mdlm.recrossing.keep import Keep
from mdlm.trajectory import Dtraj, Trajectory


def test_nothing_is_changed():
    frames = Trajectory((np.zeros((4, 1)),), 1.0, "ps", columns=("x",))
    fitted = Labels(n_states=2).fit(frames)
    states = Dtraj((np.array([0, 1, 0, 0]),), 1.0, "ps", n_states=2)
    assert Keep().fit(fitted, frames).treat(states, frames) is states

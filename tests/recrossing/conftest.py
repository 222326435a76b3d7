"""Sequences for the recrossing treatments: half a picosecond per frame."""

import numpy as np
import pytest

from mdlm.trajectory import Dtraj, Trajectory

collect_ignore = ["conftest.py"]  # no doctests here, and pytest cannot tell files of one name apart


def _dtraj(*pieces, n_states=4):
    return Dtraj(tuple(np.array(piece, np.int32) for piece in pieces), 0.5, "ps", n_states=n_states)


def _frames(*pieces, columns=("x",)):
    """Pieces of one number per frame, or of one row."""
    arrays = tuple(np.array(piece, np.float32).reshape(-1, len(columns)) for piece in pieces)
    return Trajectory(arrays, 0.5, "ps", columns=columns)


@pytest.fixture(scope="session")
def dtraj():
    return _dtraj


@pytest.fixture(scope="session")
def frames():
    return _frames

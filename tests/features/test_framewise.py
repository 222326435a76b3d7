from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.features import framewise
from mdlm.features.framewise import Framewise, described_chunks, lagged_chunks
from mdlm.trajectory import Trajectory


@dataclass(frozen=True)
class Doubled(Framewise):
    """Twice the first column; it refuses to see too much at once."""

    most: int

    def describe(self, chunk):
        assert len(chunk.pieces) == 1
        assert 0 < chunk.n_frames <= self.most
        return 2.0 * chunk.pieces[0][:, :1]


def numbered(*lengths):
    """Every frame of every piece has a number of its own."""
    numbers = np.split(np.arange(float(sum(lengths))), np.cumsum(lengths)[:-1])
    return Trajectory(tuple(piece[:, None] for piece in numbers), 0.5, "ps", columns=("x",))


@pytest.fixture
def small(monkeypatch):
    def of(n_frames):
        monkeypatch.setattr(framewise, "CHUNK_FRAMES", n_frames)

    return of


def test_frames_are_described_in_chunks_and_in_single_precision(small):
    small(3)
    trajectory = numbered(7, 1, 3)
    found = Doubled(("x",), ("2x",), most=3).transform(trajectory)
    assert (found.columns, found.frame_time, found.time_unit, found.lengths) == (("2x",), 0.5, "ps", (7, 1, 3))
    for piece, original in zip(found.pieces, trajectory.pieces, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_array_equal(piece, 2 * original)


def test_other_columns_than_in_training_are_refused():
    other = Trajectory((np.zeros((2, 2)),), 0.5, "ps", columns=("x", "y"))
    with pytest.raises(ValueError, match=r"^columns: the features were fitted on x; the trajectory has x, y$"):
        Doubled(("x",), ("2x",), most=9).transform(other)


def test_chunks_hold_every_frame_once(small):
    small(4)
    chunks = list(described_chunks(Doubled(("x",), ("2x",), most=4), numbered(9, 4, 1), width=1))
    assert [len(chunk) for chunk in chunks] == [4, 4, 1, 4, 1]
    assert all(chunk.dtype == np.float64 for chunk in chunks)
    np.testing.assert_array_equal(np.concatenate(chunks)[:, 0], 2 * np.arange(14))


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=4),
    st.integers(1, 35),
    st.integers(1, 12),
)
def test_every_lagged_pair_of_a_piece_comes_once_and_none_crosses_a_border(lengths, lag, n_rows):
    trajectory = numbered(*lengths)
    expected = {(a, a + lag) for piece in trajectory.pieces for a in piece[:, 0] if a + lag in piece}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(framewise, "CHUNK_FRAMES", n_rows)
        chunks = list(lagged_chunks(Doubled(("x",), ("2x",), most=2 * n_rows), trajectory, width=1, lag=lag))
    assert all(0 < len(now) <= n_rows and now.shape == later.shape for now, later in chunks)
    pairs = [pair for now, later in chunks for pair in zip(now[:, 0] / 2, later[:, 0] / 2, strict=True)]
    assert len(pairs) == len(expected)
    assert set(pairs) == expected

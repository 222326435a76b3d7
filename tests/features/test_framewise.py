from dataclasses import dataclass, fields, is_dataclass

import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.contacts import Contacts
from mdlm.features.coordinates import Coordinates
from mdlm.features.framewise import Framewise, described_chunks
from mdlm.features.pair_distances import PairDistances
from mdlm.features.standard import Standard
from mdlm.features.tica import Tica
from mdlm.features.torsions import Torsions
from mdlm.trajectory import Trajectory


@dataclass(frozen=True)
class Doubled(Framewise):
    """Twice the first column; refuses to see more frames at a time than allowed."""

    allowed: int = 2**16

    def describe(self, chunk):
        assert len(chunk.pieces) == 1
        assert chunk.n_frames <= self.allowed
        return 2 * chunk.pieces[0][:, :1]


def trajectory(*lengths):
    pieces = tuple(np.arange(2.0 * length).reshape(length, 2) + 1000 * number for number, length in enumerate(lengths))
    return Trajectory(pieces, 0.5, "ps", ("x", "y"))


@pytest.mark.parametrize("n_values", [1, 6, 1000])
def test_every_frame_is_described_in_chunks_of_bounded_size_in_single_precision(monkeypatch, n_values):
    monkeypatch.setattr(framewise, "CHUNK_VALUES", n_values)
    given = trajectory(7, 0, 10)
    described = Doubled(("x", "y"), ("double",), max(1, n_values // 2)).transform(given)
    assert (described.columns, described.frame_time, described.time_unit) == (("double",), 0.5, "ps")
    for piece, original in zip(described.pieces, given.pieces, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_array_equal(piece, 2 * original[:, :1])


def test_trajectories_with_other_columns_are_refused():
    with pytest.raises(ValueError, match=r"^columns: the features were fitted on x, z; the trajectory has x, y$"):
        Doubled(("x", "z"), ("double",)).transform(trajectory(3))


@pytest.mark.parametrize("n_values", [2, 6, 10, 1000])
@pytest.mark.parametrize("overlap", [1, 4, 6])
def test_each_pair_of_frames_of_a_piece_is_in_one_chunk_and_no_pair_crosses_pieces(monkeypatch, n_values, overlap):
    monkeypatch.setattr(framewise, "CHUNK_VALUES", n_values)
    given = trajectory(17, 3, 6, 7)
    chunks = described_chunks(Coordinates().fit(given), given, 2, overlap)
    found = [pair for chunk in chunks for pair in zip(chunk[:-overlap, 0], chunk[overlap:, 0], strict=True)]
    expected = [
        (piece[frame, 0], piece[frame + overlap, 0]) for piece in given.pieces for frame in range(len(piece) - overlap)
    ]
    assert found == expected


def is_plain(value):
    """Whether a cache can write it down without knowing its class."""
    if is_dataclass(value):
        return type(value).__dataclass_params__.frozen and all(is_plain(getattr(value, f.name)) for f in fields(value))
    return all(map(is_plain, value)) if isinstance(value, tuple) else type(value) in (np.ndarray, int, float, str, bool)


@pytest.mark.parametrize(
    "features",
    [
        Torsions(angles=("phi",)),
        PairDistances(),
        Contacts(softness=0.1),
        Standard(of=PairDistances()),
        Tica(of=Standard(of=Torsions(angles=("phi",))), lag_time=2.0, n_components=1),
    ],
)
def test_what_is_fitted_is_frozen_and_made_of_plain_values(features, of_atoms):
    names = ["GLY1-C", "ALA2-N", "ALA2-CA", "ALA2-C", "ALA5-N"]
    fitted = features.fit(of_atoms(names, np.random.default_rng(0).normal(size=(50, 5, 3))))
    assert is_plain(fitted)

import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.features.standard import Standard
from mdlm.features.torsions import Torsions
from mdlm.trajectory import Header, Trajectory


def frames(*pieces, columns=("x", "y")):
    return Trajectory(tuple(np.asarray(piece) for piece in pieces), 0.5, "ps", columns)


@pytest.fixture
def train():
    random = np.random.default_rng(0)
    return frames(*(random.normal([3, -200], [0.1, 40], (n, 2)) for n in (400, 1, 99)))


def test_training_has_zero_mean_and_unit_variance_over_all_its_pieces(train):
    features = Standard(of=Coordinates())
    found = features.fit(train).transform(train)
    assert features.header_of(train.header) == found.header
    assert found.columns == ("standard x", "standard y")
    assert all(piece.dtype == np.float32 for piece in found.pieces)
    together = np.concatenate(found.pieces).astype(float)
    np.testing.assert_allclose(together.mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(together.var(axis=0), 1, rtol=1e-6)


def test_mean_and_deviation_are_those_of_numpy_and_come_from_training_alone(train):
    fitted = Standard(of=Coordinates()).fit(train)
    together = np.concatenate(train.pieces)
    np.testing.assert_allclose(fitted.mean, together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.deviation, together.std(axis=0), rtol=1e-12)
    other = frames([[3.0, 5.0]])
    expected = ([3.0, 5.0] - together.mean(axis=0)) / together.std(axis=0)
    np.testing.assert_allclose(fitted.transform(other).pieces[0], [expected], rtol=1e-6)


def test_working_in_chunks_changes_nothing(monkeypatch, train):
    whole = Standard(of=Coordinates()).fit(train)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", 7)
    again = Standard(of=Coordinates()).fit(train)
    np.testing.assert_allclose(again.mean, whole.mean, rtol=1e-12)
    np.testing.assert_allclose(again.deviation, whole.deviation, rtol=1e-12)
    np.testing.assert_allclose(again.transform(train).pieces[0], whole.transform(train).pieces[0], atol=1e-6)


def test_it_is_chained_after_any_features():
    angles = frames(np.random.default_rng(0).uniform(-3, 3, (50, 2)), columns=("phi", "psi"))
    found = Standard(of=Torsions(angles=("psi",))).fit(angles).transform(angles)
    assert found.columns == ("standard sin psi", "standard cos psi")
    expected = np.sin(angles.pieces[0][:, 1])
    np.testing.assert_allclose(found.pieces[0][:, 0], (expected - expected.mean()) / expected.std(), atol=1e-5)


@pytest.mark.parametrize("value", [0.0, 0.1, -1e6])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_column_is_refused_by_its_name(value, dtype):
    pieces = [np.column_stack([np.arange(n), np.full(n, value)]).astype(dtype) for n in (1000, 7)]
    with pytest.raises(ValueError, match=r"^of: column 'y' is constant in training; leave it out$"):
        Standard(of=Coordinates()).fit(frames(*pieces))


def test_what_is_wrong_inside_is_named_with_its_place():
    with pytest.raises(ValueError, match=r"^of\.of\.columns: 'z' is not a column of this system; available are x, y$"):
        Standard(of=Standard(of=Columns(columns=("z",)))).header_of(Header(("x", "y"), (10,), 1.0, "ps"))

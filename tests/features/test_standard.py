import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.features.standard import Standard
from mdlm.trajectory import Trajectory


def frames(*pieces):
    return Trajectory(tuple(np.asarray(piece, np.float32) for piece in pieces), 0.5, "ps", ("x", "y"))


@pytest.fixture
def train():
    rng = np.random.default_rng(0)
    return frames(*(rng.normal([1000, -3], [0.1, 40], (length, 2)) for length in (700, 3, 41)))


@pytest.mark.parametrize("n_values", [2, 14, 2**20])
def test_training_data_have_mean_zero_and_variance_one_however_they_are_streamed(train, monkeypatch, n_values):
    monkeypatch.setattr(framewise, "CHUNK_VALUES", n_values)
    features = Standard(of=Coordinates())
    fitted = features.fit(train)
    together = np.concatenate(train.pieces).astype(float)
    np.testing.assert_allclose(fitted.mean, together.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(fitted.deviation, together.std(axis=0), rtol=1e-9)
    found = fitted.transform(train)
    assert found.header == features.header_of(train.header)
    assert found.columns == ("standard x", "standard y")
    described = np.concatenate(found.pieces)
    assert described.dtype == np.float32
    np.testing.assert_allclose(described.astype(float).mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(described.astype(float).std(axis=0), 1, rtol=1e-6)


def test_other_data_are_measured_by_training(train):
    fitted = Standard(of=Columns(columns=("y",))).fit(train)
    given = np.array([[0, 1], [0, -200]])
    found = fitted.transform(frames(given)).pieces[0][:, 0]
    together = np.concatenate(train.pieces)[:, 1].astype(float)
    np.testing.assert_allclose(found, (given[:, 1] - together.mean()) / together.std(), rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 12345.678])
def test_a_column_that_never_varies_is_refused_by_name(value):
    moving = np.linspace(0, 1, 30)
    with pytest.raises(ValueError, match=r"^of: column 'y' is constant in training; leave it out$"):
        Standard(of=Coordinates()).fit(frames(np.stack([moving, np.full(30, value)], axis=1)))


def test_what_the_inner_features_lack_is_said_with_its_place(train):
    with pytest.raises(ValueError, match=r"^of\.columns: 'z' is not a column of this system; available are x, y$"):
        Standard(of=Columns(columns=("z",))).header_of(train.header)

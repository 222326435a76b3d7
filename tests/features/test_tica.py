import dataclasses

import numpy as np
import pytest
from deeptime.decomposition import TICA
from scipy.linalg import eigh
from scipy.signal import lfilter
from scipy.stats import ortho_group

from mdlm.features import framewise
from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.features.standard import Standard
from mdlm.features.tica import Tica
from mdlm.features.torsions import Torsions
from mdlm.trajectory import Header, Trajectory

TIMES = np.array([60.0, 12.0, 4.0, 1.0])  # ps


def relaxing(n_frames, frame_time, rng):
    """Independent Ornstein-Uhlenbeck processes of unit variance with these relaxation times, sampled exactly."""
    kept = np.exp(-frame_time / TIMES)
    kicks = rng.normal(size=(n_frames, 4))
    kicks[1:] *= np.sqrt(1 - kept**2)
    return np.stack([lfilter([1], [1, -a], kick) for a, kick in zip(kept, kicks.T, strict=True)], axis=1)


def mixed(*pieces, frame_time=0.5, rotation=None):
    rotation = ortho_group.rvs(4, random_state=1) if rotation is None else rotation
    pieces = tuple((piece @ rotation + [100, 0, -5, 1]).astype(np.float32) for piece in pieces)
    return Trajectory(pieces, frame_time, "ps", ("a", "b", "c", "d"))


@pytest.fixture(scope="module")
def sources():
    rng = np.random.default_rng(0)
    return [relaxing(length, 0.5, rng) for length in (1200, 800, 3, 500)]


@pytest.fixture(scope="module")
def train(sources):
    return mixed(*sources)


def by_hand(trajectory, lag):
    """Eigenvalues, largest first, and vectors of unit variance, from all pairs at once."""
    before = np.concatenate([piece[:-lag] for piece in trajectory.pieces if len(piece) > lag]).astype(float)
    after = np.concatenate([piece[lag:] for piece in trajectory.pieces if len(piece) > lag]).astype(float)
    mean = (before.mean(axis=0) + after.mean(axis=0)) / 2
    before, after = before - mean, after - mean
    instantaneous = (before.T @ before + after.T @ after) / (2 * len(before))
    lagged = (before.T @ after + after.T @ before) / (2 * len(before))
    values, vectors = eigh(lagged, instantaneous)
    return values[::-1], vectors[:, ::-1], mean


def test_mixed_relaxations_are_told_apart_and_their_times_found():
    rng = np.random.default_rng(3)
    pieces = [relaxing(60_000, 0.5, rng) for _ in range(4)]
    fitted = Tica(of=Coordinates(), lag_time=2.0, n_components=4).fit(mixed(*pieces))
    errors = np.sqrt(2 * TIMES / 120_000)  # one standard error of the logarithm where the lag is short
    assert (np.abs(np.log(fitted.timescales / TIMES)) < 4 * errors + 0.01).all()
    components = fitted.transform(mixed(pieces[0])).pieces[0]
    correlation = np.corrcoef(components.T, pieces[0].T)[:4, 4:]
    np.testing.assert_allclose(np.abs(correlation), np.eye(4), atol=0.1)
    assert (fitted.lag_time, fitted.time_unit) == (2.0, "ps")


@pytest.mark.parametrize("n_values", [1, 28, 4000, 2**20])
def test_streaming_gives_what_all_pairs_at_once_give_and_no_pair_crosses_pieces(train, monkeypatch, n_values):
    monkeypatch.setattr(framewise, "CHUNK_VALUES", n_values)
    values, vectors, mean = by_hand(train, lag=4)
    fitted = Tica(of=Coordinates(), lag_time=2.0, n_components=3).fit(train)
    np.testing.assert_allclose(fitted.timescales, -2.0 / np.log(values[:3]), rtol=1e-6)
    np.testing.assert_allclose(fitted.mean, mean, rtol=1e-9)
    np.testing.assert_allclose(np.abs(fitted.weights), np.abs(vectors[:, :3]), atol=1e-6)
    assert fitted.kinetic_variance == pytest.approx((values[:3] ** 2).sum() / (values**2).sum())


def test_deeptime_finds_the_same_components(train):
    long_enough = [piece.astype(float) for piece in train.pieces if len(piece) > 4]
    model = TICA(lagtime=4, dim=2, scaling=None).fit(long_enough).fetch_model()
    features = Tica(of=Coordinates(), lag_time=2.0, n_components=2)
    found = features.fit(train).transform(train)
    assert found.header == features.header_of(train.header)
    assert found.columns == ("IC 1", "IC 2")
    for piece, original in zip(found.pieces, train.pieces, strict=True):
        assert piece.dtype == np.float32
        np.testing.assert_allclose(np.abs(piece), np.abs(model.transform(original.astype(float))), atol=1e-5)


def test_pieces_that_never_connect_stay_apart():
    """Joined end to end, the jump from one side to the other would count as a hop; here nothing ever leaves."""
    rng = np.random.default_rng(0)
    pieces = tuple(
        np.stack([np.full(500, side), rng.normal(size=500)], axis=1).astype(np.float32) for side in (-1, 1, -1, 1)
    )
    apart = Trajectory(pieces, 1.0, "ps", ("side", "noise"))
    assert Tica(of=Coordinates(), lag_time=5.0, n_components=1).fit(apart).timescales[0] > 1e6
    joined = dataclasses.replace(apart, pieces=(np.concatenate(pieces),))
    assert Tica(of=Coordinates(), lag_time=5.0, n_components=1).fit(joined).timescales[0] < 1e3


def test_signs_do_not_depend_on_the_orientation_of_the_data(train):
    fitted = Tica(of=Coordinates(), lag_time=2.0, n_components=4).fit(train)
    largest = np.abs(fitted.weights).argmax(axis=0)
    assert (fitted.weights[largest, range(4)] > 0).all()
    mirrored = dataclasses.replace(train, pieces=tuple(-piece for piece in train.pieces))
    again = Tica(of=Coordinates(), lag_time=2.0, n_components=4).fit(mirrored)
    np.testing.assert_allclose(again.weights, fitted.weights, rtol=1e-6, atol=1e-9)


def test_components_have_unit_variance_or_that_of_their_scaling(train):
    long = dataclasses.replace(train, pieces=train.pieces[:1])
    fields = {"of": Coordinates(), "lag_time": 0.5, "n_components": 3}
    plain = Tica(**fields).fit(long)
    np.testing.assert_allclose(plain.transform(long).pieces[0].std(axis=0), 1, rtol=0.02)  # lag frames aside
    eigenvalues = np.exp(-0.5 / plain.timescales)
    kinetic = Tica(**fields, scaling="kinetic_map").fit(long)
    np.testing.assert_allclose(kinetic.weights, plain.weights * eigenvalues)
    deeptimes = TICA(lagtime=1, dim=3, scaling="kinetic_map").fit(long.pieces[0].astype(float)).fetch_model()
    expected = np.abs(deeptimes.transform(long.pieces[0].astype(float)))
    np.testing.assert_allclose(np.abs(kinetic.transform(long).pieces[0]), expected, atol=1e-5)
    commute = Tica(**fields, scaling="commute_map").fit(long)
    np.testing.assert_allclose(commute.weights, plain.weights * np.sqrt(plain.timescales / 2))


def test_the_unit_of_the_features_changes_nothing(train):
    tiny = dataclasses.replace(train, pieces=tuple(piece * np.float32(1e-5) for piece in train.pieces))
    fitted, expected = (Tica(of=Coordinates(), lag_time=2.0, n_components=4).fit(data) for data in (tiny, train))
    np.testing.assert_allclose(fitted.timescales, expected.timescales, rtol=1e-3)


def test_parts_nest(train):
    """Standardised components of standardised columns: scaling a column changes no component but its weights."""
    inner = Tica(of=Standard(of=Coordinates()), lag_time=2.0, n_components=2)
    fitted = inner.fit(train)
    plain = Tica(of=Coordinates(), lag_time=2.0, n_components=2).fit(train)
    np.testing.assert_allclose(fitted.timescales, plain.timescales, rtol=1e-4)
    outer = Standard(of=inner)
    found = outer.fit(train).transform(train)
    assert found.columns == outer.header_of(train.header).columns == ("standard IC 1", "standard IC 2")


def test_one_feature_is_its_own_component(train):
    fitted = Tica(of=Columns(columns=("a",)), lag_time=2.0, n_components=1).fit(train)
    values, _, _ = by_hand(dataclasses.replace(train, pieces=tuple(piece[:, :1] for piece in train.pieces)), lag=4)
    np.testing.assert_allclose(fitted.timescales, -2.0 / np.log(values))
    assert fitted.weights.shape == (1, 1)
    assert fitted.kinetic_variance == pytest.approx(1)


def test_trp_leu_ala_leu_leu_has_the_known_timescales(pentapeptide, of_molecules):
    """All phi, psi and chi1 of the peptide, twelve in all, at a lag of 2 ns."""
    everything = of_molecules(*pentapeptide)
    torsions = Torsions(angles=("phi", "psi", "chi1"))
    assert len(torsions.header_of(everything.header).columns) == 2 * 12
    fitted = Tica(of=torsions, lag_time=2.0, n_components=4).fit(everything)
    np.testing.assert_allclose(fitted.timescales, [5.0, 4.8, 3.9, 2.7], rtol=0.15)  # ns
    described = torsions.fit(everything).transform(everything)
    model = TICA(lagtime=20, scaling=None).fit([piece.astype(float) for piece in described.pieces]).fetch_model()
    np.testing.assert_allclose(fitted.timescales, model.timescales(k=4, lagtime=2.0), rtol=1e-5)
    np.testing.assert_allclose(np.abs(fitted.weights), np.abs(model.instantaneous_coefficients[:, :4]), atol=1e-4)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lag_time": 0.0}, r"^lag_time \(0\) must be above 0 and finite$"),
        ({"n_components": 0}, r"^n_components \(0\) must be at least 1$"),
        ({"scaling": "big"}, r"^scaling \(big\) must be one of none, kinetic_map, commute_map$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Tica(**{"of": Coordinates(), "lag_time": 1.0, "n_components": 1} | fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"lag_time": 0.75}, r"^lag_time \(0\.75 ps\) must be a positive multiple of the frame time, 0\.5 ps$"),
        ({"lag_time": 5.0}, r"^lag_time \(5 ps, 10 frames\) must be shorter than the longest trajectory, 10 frames$"),
        ({"n_components": 3}, r"^n_components \(3\) must be at most 2: the features are x, y$"),
        ({"of": Columns(columns=("z",))}, r"^of\.columns: 'z' is not a column of this system; available are x, y$"),
    ],
)
def test_what_does_not_fit_the_trajectories_is_refused_before_computing(fields, message):
    features = Tica(**{"of": Coordinates(), "lag_time": 1.0, "n_components": 1} | fields)
    with pytest.raises(ValueError, match=message):
        features.header_of(Header(("x", "y"), (10, 4), 0.5, "ps"))


def test_features_that_depend_on_each_other_give_fewer_components_and_that_is_said(train):
    columns = ("a", "b", "a again")
    pieces = tuple(piece[:, [0, 1, 0]] for piece in train.pieces)
    repeated = Trajectory(pieces, 0.5, "ps", columns)
    message = r"^n_components \(3\) must be at most 2: the features vary along no more directions in training$"
    with pytest.raises(ValueError, match=message):
        Tica(of=Coordinates(), lag_time=2.0, n_components=3).fit(repeated)


def test_features_without_motion_are_refused(train):
    still = dataclasses.replace(train, pieces=tuple(np.full_like(piece, 0.1) for piece in train.pieces))
    with pytest.raises(ValueError, match=r"^of: every feature is constant in training$"):
        Tica(of=Coordinates(), lag_time=2.0, n_components=1).fit(still)
    sides = dataclasses.replace(train, pieces=tuple(np.full_like(train.pieces[0], side) for side in (-1, 1)))
    with pytest.raises(ValueError, match=r"^scaling \(commute_map\) needs components that relax; one is constant"):
        Tica(of=Coordinates(), lag_time=2.0, n_components=1, scaling="commute_map").fit(sides)

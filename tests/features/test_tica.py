import tracemalloc
from dataclasses import fields, is_dataclass

import numpy as np
import pytest

from mdlm.features import framewise
from mdlm.features.columns import Columns
from mdlm.features.coordinates import Coordinates
from mdlm.features.standard import Standard
from mdlm.features.tica import Tica
from mdlm.features.torsions import Torsions
from mdlm.trajectory import Header, Trajectory


def frames(*pieces, frame_time=0.5):
    columns = tuple("xyzuvw"[: pieces[0].shape[1]])
    return Trajectory(pieces, frame_time, "ps", columns)


def relaxing(correlations, n_frames, seed=0):
    """Independent processes of unit variance whose autocorrelation is a power of the given one: VAR(1), or OU."""
    correlations = np.asarray(correlations)
    random = np.random.default_rng(seed)
    values = random.normal(size=(n_frames, len(correlations)))
    values[1:] *= np.sqrt(1 - correlations**2)
    for frame in range(1, n_frames):
        values[frame] += correlations * values[frame - 1]
    return values


def brute_force(pieces, lag, n_components):
    """Timescales in frames and components by the equations, with every pair of frames of a piece."""
    from scipy.linalg import eigh

    now = np.concatenate([piece[: max(0, len(piece) - lag)] for piece in pieces]).astype(float)
    later = np.concatenate([piece[lag:] for piece in pieces]).astype(float)
    mean = (now.mean(axis=0) + later.mean(axis=0)) / 2
    now, later = now - mean, later - mean
    instantaneous = (now.T @ now + later.T @ later) / (2 * len(now))
    lagged = (now.T @ later + later.T @ now) / (2 * len(now))
    eigenvalues, vectors = eigh(lagged, instantaneous)
    order = np.argsort(-np.abs(eigenvalues))[:n_components]
    components = [(piece - mean) @ vectors[:, order] for piece in pieces]
    return -lag / np.log(np.abs(eigenvalues[order])), eigenvalues[order], components


def same_but_for_signs(found, expected, atol=1e-4):
    signs = np.sign((found[0] * expected[0]).sum(axis=0))
    for piece, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(piece, signs * other, atol=atol)


@pytest.fixture(scope="module")
def train():
    """Three pieces, mixed and shifted."""
    mixing = np.random.default_rng(1).normal(size=(4, 4)) * [1, 10, 1, 0.1]
    pieces = [relaxing([0.98, 0.9, 0.5, 0.0], n, seed) for seed, n in enumerate((900, 500, 30))]
    return frames(*((piece @ mixing + 5).astype(np.float32) for piece in pieces))


def test_components_are_those_of_deeptime_on_the_whole_data(train):
    from deeptime.decomposition import TICA

    tica = Tica(of=Coordinates(), lag_time=2.0, n_components=3)
    fitted = tica.fit(train)
    found = fitted.transform(train)
    assert tica.header_of(train.header) == found.header
    assert found.columns == ("IC 1", "IC 2", "IC 3")
    assert all(piece.dtype == np.float32 for piece in found.pieces)
    model = TICA(lagtime=4, epsilon=1e-12, scaling=None, dim=3).fit_fetch(
        [piece.astype(float) for piece in train.pieces]
    )
    np.testing.assert_allclose(fitted.timescales, model.timescales(lagtime=2.0)[:3], rtol=1e-6)
    same_but_for_signs(found.pieces, [model.transform(piece.astype(float)) for piece in train.pieces])
    with pytest.raises(ValueError, match=r"^n_components \(5\) must be at most 4: the features are x, y, z, u$"):
        Tica(of=Coordinates(), lag_time=2.0, n_components=5).fit(train)


@pytest.mark.parametrize("lag", [1, 7, 40])
def test_components_solve_the_equations_of_all_pairs_within_pieces(train, lag):
    """At a lag of 40 frames the third piece, of 30, adds nothing at all."""
    fitted = Tica(of=Coordinates(), lag_time=lag * 0.5, n_components=4).fit(train)
    timescales, eigenvalues, components = brute_force(train.pieces, lag, 4)
    np.testing.assert_allclose(fitted.timescales, timescales * 0.5, rtol=1e-6)
    same_but_for_signs(fitted.transform(train).pieces, components)
    assert fitted.kinetic_variance == pytest.approx(1)
    two = Tica(of=Coordinates(), lag_time=lag * 0.5, n_components=2).fit(train)
    assert two.kinetic_variance == pytest.approx((eigenvalues[:2] ** 2).sum() / (eigenvalues**2).sum())


def test_no_pair_crosses_from_one_piece_into_the_next():
    """Within the pieces nothing ever changes; glued, one of three pairs would jump: an autocorrelation of 1/3."""
    up, down = np.array([[1.0], [1.0]]), np.array([[-1.0], [-1.0]])
    tica = Tica(of=Coordinates(), lag_time=0.5, n_components=1)
    assert tica.fit(frames(up, down)).timescales.tolist() == [np.inf]
    glued = tica.fit(frames(np.concatenate([up, down])))
    np.testing.assert_allclose(glued.timescales, [0.5 / np.log(3)])


@pytest.mark.parametrize("lag_time", [0.5, 5.0])
def test_a_rotated_process_of_known_timescales_is_taken_apart_again(lag_time):
    """OU: after a time t the autocorrelation is exp(-t / timescale), whatever the rotation and the units."""
    known = np.array([40.0, 15.0, 5.0])  # ps
    hidden = relaxing(np.exp(-0.5 / known), 200_000)
    rotation = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    fitted = Tica(of=Coordinates(), lag_time=lag_time, n_components=3).fit(frames(hidden @ rotation + 3))
    np.testing.assert_allclose(fitted.timescales, known, rtol=0.1)
    found = fitted.transform(frames(hidden @ rotation + 3)).pieces[0]
    np.testing.assert_allclose(np.abs(np.corrcoef(found.T, hidden.T)[:3, 3:]), np.eye(3), atol=0.06)
    np.testing.assert_allclose(np.cov(found.T), np.eye(3), atol=0.01)
    assert fitted.lag_time == lag_time


def test_units_of_the_features_do_not_matter():
    hidden = relaxing([0.99, 0.5], 5000)
    plain = Tica(of=Coordinates(), lag_time=0.5, n_components=2).fit(frames(hidden))
    scaled = frames(hidden * [1e-6, 1e6])
    fitted = Tica(of=Coordinates(), lag_time=0.5, n_components=2).fit(scaled)
    np.testing.assert_allclose(fitted.timescales, plain.timescales, rtol=1e-9)
    np.testing.assert_allclose(fitted.transform(scaled).pieces[0], plain.transform(frames(hidden)).pieces[0], atol=1e-5)


def test_scalings_are_those_of_their_definitions(train):
    def components(scaling):
        return Tica(of=Coordinates(), lag_time=2.0, n_components=4, scaling=scaling).fit(train).transform(train).pieces

    timescales, eigenvalues, expected = brute_force(train.pieces, 4, 4)
    same_but_for_signs(components("none"), expected)
    same_but_for_signs(components("kinetic_map"), [piece * eigenvalues for piece in expected])
    weights = np.sqrt(timescales * 0.5 / 2)  # the timescale in ps
    same_but_for_signs(components("commute_map"), [piece * weights for piece in expected], atol=1e-3)


def test_kinetic_map_is_that_of_deeptime(train):
    from deeptime.decomposition import TICA

    wide = [piece.astype(float) for piece in train.pieces]
    model = TICA(lagtime=4, epsilon=1e-12, scaling="kinetic_map", dim=2).fit_fetch(wide)
    fitted = Tica(of=Coordinates(), lag_time=2.0, n_components=2, scaling="kinetic_map").fit(train)
    same_but_for_signs(fitted.transform(train).pieces, [model.transform(piece) for piece in wide])


def test_each_component_grows_with_the_feature_that_weighs_most_in_it():
    hidden = relaxing([0.99, 0.5], 2000)
    for sign in (1, -1):
        found = Tica(of=Coordinates(), lag_time=0.5, n_components=2).fit(frames(sign * hidden))
        weights = found.weights
        assert (np.abs(weights).argmax(axis=0) == [0, 1]).all()
        assert weights[0, 0] > 0
        assert weights[1, 1] > 0


@pytest.mark.parametrize("n_rows", [13, 200])
def test_working_in_chunks_changes_nothing(monkeypatch, train, n_rows):
    """Chunks shorter than the lag of 40 frames, and longer ones."""
    features = Tica(of=Standard(of=Coordinates()), lag_time=20.0, n_components=3)
    whole = features.fit(train)
    monkeypatch.setattr(framewise, "CHUNK_FRAMES", n_rows)
    fitted = features.fit(train)
    np.testing.assert_allclose(fitted.timescales, whole.timescales, rtol=1e-6)
    np.testing.assert_allclose(fitted.mean, whole.mean, atol=1e-6)
    for again, piece in zip(fitted.transform(train).pieces, whole.transform(train).pieces, strict=True):
        np.testing.assert_allclose(again, piece, atol=1e-4)


@pytest.mark.parametrize("lag", [1, 30_000])
def test_fitting_holds_a_few_chunks_and_never_a_copy_of_the_data(monkeypatch, lag):
    """With chunks of 64 kB; a copy in double precision would be 20 MB."""
    monkeypatch.setattr(framewise, "CHUNK_VALUES", 2**13)
    data = frames(np.random.default_rng(0).normal(size=(400_000, 6)).astype(np.float32))
    features = Tica(of=Standard(of=Coordinates()), lag_time=lag * 0.5, n_components=2)
    features.fit(frames(data.pieces[0][:60_001]))  # imports stay out of the count
    tracemalloc.start()
    features.fit(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2e6


def test_only_training_data_are_learned_from_and_what_is_learned_can_be_written_down(train):
    fitted = Tica(of=Standard(of=Coordinates()), lag_time=2.0, n_components=2).fit(train)
    before = fitted.weights.copy()
    fitted.transform(frames(np.zeros((5, 4))))
    np.testing.assert_array_equal(fitted.weights, before)

    def plain(value):
        if is_dataclass(value):
            return all(plain(getattr(value, field.name)) for field in fields(value))
        return isinstance(value, np.ndarray | str | int | float) or (
            isinstance(value, tuple) and all(map(plain, value))
        )

    assert plain(fitted)


def test_constant_features_take_no_part():
    hidden = relaxing([0.99, 0.5], 2000)
    with_constants = np.column_stack(
        [np.full(2000, 0.1), hidden[:, 0], np.zeros(2000), hidden[:, 1], np.full(2000, 1e6)]
    )
    fitted = Tica(of=Coordinates(), lag_time=0.5, n_components=2).fit(frames(with_constants))
    np.testing.assert_allclose(fitted.timescales, brute_force([hidden], 1, 2)[0] * 0.5, rtol=1e-6)
    np.testing.assert_array_equal(fitted.weights[[0, 2, 4]], 0)


def test_features_that_say_the_same_count_once():
    hidden = relaxing([0.99, 0.5], 2000)
    twice = frames(hidden @ [[1, 0, 1], [0, 1, 1]])
    fitted = Tica(of=Coordinates(), lag_time=0.5, n_components=2).fit(twice)
    np.testing.assert_allclose(fitted.timescales, brute_force([hidden], 1, 2)[0] * 0.5, rtol=1e-6)
    message = r"^n_components \(3\) must be at most 2: the features vary along no more directions in training$"
    with pytest.raises(ValueError, match=message):
        Tica(of=Coordinates(), lag_time=0.5, n_components=3).fit(twice)


@pytest.mark.parametrize("n_columns", [1, 2])
def test_features_that_are_all_constant_are_refused(n_columns):
    with pytest.raises(ValueError, match=r"^of: every feature is constant in training$"):
        Tica(of=Coordinates(), lag_time=0.5, n_components=1).fit(frames(np.full((50, n_columns), 0.1, np.float32)))


def test_what_never_relaxes_has_no_commute_distance():
    never = frames(np.zeros((50, 1)), np.ones((50, 1)))
    assert Tica(of=Coordinates(), lag_time=0.5, n_components=1).fit(never).timescales.tolist() == [np.inf]
    message = r"^scaling \(commute_map\) needs components that relax; one is constant in every piece$"
    with pytest.raises(ValueError, match=message):
        Tica(of=Coordinates(), lag_time=0.5, n_components=1, scaling="commute_map").fit(never)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lag_time": 0.0}, r"^lag_time \(0\) must be above 0 and finite$"),
        ({"lag_time": float("nan")}, r"^lag_time \(nan\) must be above 0 and finite$"),
        ({"n_components": 0}, r"^n_components \(0\) must be at least 1$"),
        ({"scaling": "km"}, r"^scaling \(km\) must be one of none, kinetic_map, commute_map$"),
        ({"lag_time": 0.7}, r"^lag_time \(0\.7 ps\) must be a positive multiple of the frame time, 0\.5 ps$"),
        ({"lag_time": 5.0}, r"^lag_time \(5 ps, 10 frames\) must be shorter than the longest trajectory, 10 frames$"),
        ({"n_components": 3}, r"^n_components \(3\) must be at most 2: the features are x, y$"),
        ({"of": Columns(columns=("z",))}, r"^of\.columns: 'z' is not a column of this system; available are x, y$"),
        ({"of": Standard(of=Torsions())}, r"^of\.of\.angles \(phi\): the system has none"),
    ],
)
def test_what_is_wrong_is_named_before_computing(changes, message):
    with pytest.raises(ValueError, match=message):
        Tica(**{"of": Coordinates(), "lag_time": 1.0, "n_components": 2} | changes).header_of(
            Header(("x", "y"), (10, 4), 0.5, "ps")
        )


def test_the_pentapeptide_relaxes_as_published(pentapeptide, of_molecules):
    """Sine and cosine of phi, psi and chi1: twelve torsions."""
    features = Tica(of=Torsions(angles=("phi", "psi", "chi1")), lag_time=2.0, n_components=4)
    trajectory = of_molecules(*pentapeptide)
    fitted = features.fit(trajectory)
    assert len(fitted.mean) == 2 * 12
    np.testing.assert_allclose(fitted.timescales, [5.0, 4.8, 3.9, 2.7], rtol=0.15)
    components = np.concatenate(fitted.transform(trajectory).pieces).astype(float)
    np.testing.assert_allclose(np.cov(components.T), np.eye(4), atol=0.02)

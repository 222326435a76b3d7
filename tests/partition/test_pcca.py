"""PCCA+ on chains whose metastable sets are known, and against others' readings."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.partition import pcca
from mdlm.partition.labels import Labels
from mdlm.partition.pcca import Pcca
from mdlm.system.chain import Chain
from mdlm.trajectory import Header, Trajectory

COARSE = np.array([[0.990, 0.006, 0.004], [0.010, 0.985, 0.005], [0.010, 0.0075, 0.9825]])
"""Reversible, as 0.5 x 0.006 = 0.3 x 0.010, 0.5 x 0.004 = 0.2 x 0.010 and 0.3 x 0.005 = 0.2 x 0.0075."""
POPULATIONS = (0.5, 0.3, 0.2)
WEIGHTS = np.array([[0.2, 0.3, 0.5], [0.1, 0.3, 0.6], [0.3, 0.3, 0.4]])
BLOCK = np.array([2, 0, 1, 0, 1, 2, 1, 2, 0])  # of each of the nine microstates, in no order


def of_states(*pieces, frame_time=1.0):
    values = tuple(np.asarray(piece, float)[:, None] for piece in pieces)
    return Trajectory(values, frame_time, "ps", columns=("state",))


def blocks(n_trajectories=10, n_frames=20_000, seed=0):
    """Nine microstates in three blocks: where a block is entered has nothing to do with where from.

    The chain is therefore exactly lumpable; it has the three eigenvalues of ``COARSE`` and six zeros.
    """
    within = np.empty(9)
    for block in range(3):
        within[block == BLOCK] = WEIGHTS[block]
    matrix = COARSE[BLOCK][:, BLOCK] * within
    rows = tuple(tuple(row) for row in matrix)
    fields = {"n_trajectories": n_trajectories, "n_frames": n_frames, "frame_time": 1.0, "time_unit": "ps"}
    return Chain(lag_time=1.0, transition_matrix=rows, seed=seed, **fields).trajectories()


def counted(counts):
    """Pieces of two frames whose transitions have exactly these counts."""
    pairs = np.argwhere(counts > 0)
    return of_states(*np.repeat(pairs, counts[tuple(pairs.T)], axis=0))


def lumped(n_macrostates=None, lag_time=1.0, micro=None):
    return Pcca(micro=micro or Labels(), lag_time=lag_time, n_macrostates=n_macrostates)


@pytest.fixture(scope="module")
def train():
    return blocks()


@pytest.fixture(scope="module")
def model(train):
    pieces = [piece[:, 0].astype(int) for piece in train.pieces]
    return reversible_transition_matrix(count_matrix(pieces, 9, lag=1))


@pytest.mark.parametrize("n_macrostates", [None, 3])
def test_blocks_are_found_with_their_closed_form_populations_metastabilities_and_timescales(train, n_macrostates):
    """Blocks change some 2,600 times: rates and times have standard errors of 3 to 4 per cent, populations of 0.014."""
    fitted = lumped(n_macrostates).fit(train)
    assert fitted.of_micro.tolist() == BLOCK.tolist(), "the blocks are numbered by population"
    np.testing.assert_allclose(fitted.populations, POPULATIONS, atol=0.06)
    np.testing.assert_allclose(fitted.metastability, COARSE.diagonal(), atol=0.003)
    expected = -1 / np.log(np.sort(np.linalg.eigvals(COARSE))[::-1][1:])
    np.testing.assert_allclose(fitted.timescales[:2], expected, rtol=0.15)
    assert fitted.active.tolist() == list(range(9))
    assert fitted.dropped.tolist() == []
    assert fitted.active_share == 1.0


def test_a_lumpable_model_is_lumped_exactly():
    """Symmetric counts between blocks, times weights within them that sum to 4: nothing is left to chance."""
    exchange = np.array([[150, 1, 0], [1, 120, 2], [0, 2, 50]])
    weight = np.array([1, 1, 2, 1, 1, 2, 1, 1, 2])
    fitted = lumped().fit(counted(exchange[np.ix_(BLOCK, BLOCK)] * np.outer(weight, weight)))
    eigenvalues = np.sort(np.linalg.eigvals(exchange / exchange.sum(axis=1, keepdims=True)))[::-1]
    assert fitted.of_micro.tolist() == BLOCK.tolist()
    np.testing.assert_allclose(fitted.memberships, np.eye(3)[BLOCK], atol=1e-6)
    np.testing.assert_allclose(fitted.populations, np.array([151, 123, 52]) / 326, rtol=1e-9)
    np.testing.assert_allclose(fitted.metastability, [150 / 151, 120 / 123, 50 / 52], rtol=1e-9)
    np.testing.assert_allclose(fitted.timescales[:2], -1 / np.log(eigenvalues[1:]), rtol=1e-9)
    assert fitted.state_names == ("macrostate 1 (46.3 %)", "macrostate 2 (37.7 %)", "macrostate 3 (16 %)")


def test_populations_and_metastabilities_are_sums_over_the_sets(train, model):
    """By loops, over the blocks known beforehand."""
    fitted = lumped().fit(train)
    for block in range(3):
        inside = np.flatnonzero(block == BLOCK)
        population = sum(model.stationary[i] for i in inside)
        staying = sum(model.stationary[i] * model.matrix[i, j] for i in inside for j in inside)
        assert fitted.populations[block] == pytest.approx(population)
        assert fitted.metastability[block] == pytest.approx(staying / population)
    assert fitted.state_names[0] == f"macrostate 1 ({100 * fitted.populations[0]:.3g} %)"
    assert fitted.n_states == 3


def test_frames_get_the_macrostate_and_the_membership_of_their_microstate(train):
    fitted = lumped().fit(train)
    frames = np.arange(9.0)[:, None]
    assert fitted.states(frames).tolist() == BLOCK.tolist()
    np.testing.assert_array_equal(fitted.membership(frames), fitted.memberships[np.arange(9), BLOCK])
    np.testing.assert_allclose(fitted.memberships.sum(axis=1), 1)
    assert (fitted.membership(frames) > 0.9).all()
    assert fitted.assign(train).n_states == 3


def sorted_columns(memberships, stationary):
    """The most populated crisp set first."""
    shares = np.bincount(memberships.argmax(axis=1), weights=stationary, minlength=memberships.shape[1])
    return memberships[:, np.argsort(-shares)]


@pytest.mark.parametrize("n_macrostates", [2, 3])
def test_memberships_agree_with_a_model_that_deeptime_estimates_and_lumps_itself(train, n_macrostates):
    """Its own counts, its own estimate; the tolerance is that of the two optimisations, 1e-4 of a membership."""
    from deeptime.markov import TransitionCountEstimator
    from deeptime.markov.msm import MaximumLikelihoodMSM

    pieces = [piece[:, 0].astype(int) for piece in train.pieces]
    counts = TransitionCountEstimator(lagtime=1, count_mode="sliding").fit_fetch(pieces)
    theirs = MaximumLikelihoodMSM(reversible=True).fit_fetch(counts)
    expected = sorted_columns(theirs.pcca(n_macrostates).memberships, theirs.stationary_distribution)
    np.testing.assert_allclose(lumped(n_macrostates).fit(train).memberships, expected, atol=1e-3)


@pytest.mark.parametrize("n_macrostates", [2, 3])
def test_memberships_agree_with_pyemma(train, n_macrostates):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyEMMA is no longer developed and uses much that is deprecated
        msm = pytest.importorskip("pyemma.msm", reason="the pyemma extra is not installed (it needs a C compiler)")
        theirs = msm.estimate_markov_model([piece[:, 0].astype(int) for piece in train.pieces], 1)
        theirs.pcca(n_macrostates)
    expected = sorted_columns(theirs.metastable_memberships, theirs.stationary_distribution)
    np.testing.assert_allclose(lumped(n_macrostates).fit(train).memberships, expected, atol=1e-3)


@pytest.fixture(scope="module")
def short():
    return blocks(n_trajectories=4, n_frames=4_000, seed=1)


@settings(deadline=None, max_examples=15)
@given(st.permutations(range(9)))
def test_the_names_of_the_microstates_do_not_matter(short, names):
    fitted = lumped(3).fit(short)
    renamed = of_states(*(np.array(names)[piece[:, 0].astype(int)] for piece in short.pieces))
    again = lumped(3).fit(renamed)
    assert again.of_micro[np.array(names)].tolist() == fitted.of_micro.tolist()
    np.testing.assert_allclose(again.memberships[np.array(names)], fitted.memberships, atol=1e-3)
    for before, after in zip(fitted.assign(short).pieces, again.assign(renamed).pieces, strict=True):
        np.testing.assert_array_equal(before, after)


def test_the_same_data_give_the_same_bits(short):
    first, second = lumped(3).fit(short), lumped(3).fit(short)
    for name in ("memberships", "populations", "metastability", "timescales"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_microstates_outside_the_active_set_are_recorded_and_join_whom_they_exchange_with():
    """Two pairs of states exchange; 4 is entered once, from 2, and left only for 5; 6 is a piece of its own.

    Training never visits 7.
    """
    pair, other = [0, 1, 1, 0] * 100, [2, 3, 3, 2] * 50
    pieces = [pair + other + pair + other + pair, pair + other + [4, 4, 4, 5, 5, 5], [6] * 5]
    fitted = lumped(2, lag_time=2.0, micro=Labels(n_states=8)).fit(of_states(*pieces))
    assert fitted.active.tolist() == [0, 1, 2, 3]
    assert fitted.dropped.tolist() == [4, 5, 6, 7]
    assert fitted.of_micro.tolist() == [0, 0, 1, 1, 1, 1, 0, 0]
    assert fitted.memberships[4:].tolist() == [[0, 1], [0, 1], [0.5, 0.5], [0.5, 0.5]]
    inside = sum(a < 4 and b < 4 for piece in pieces for a, b in zip(piece, piece[2:], strict=False))
    assert fitted.active_share == pytest.approx(inside / sum(len(piece) - 2 for piece in pieces))


def test_a_dropped_microstate_belongs_to_each_macrostate_by_its_share_of_one_frame_transitions():
    """State 4 ends three pieces, once after 0, twice after 2; 5 begins them, twice before 0, once before 2."""
    bulk = ([0, 1, 1, 0] * 25 + [2, 3, 3, 2] * 20) * 4
    pieces = [[5, 0, *bulk, 0, 4], [5, 0, *bulk, 2, 4], [5, 2, *bulk, 2, 4]]
    fitted = lumped(2).fit(of_states(*pieces))
    assert fitted.dropped.tolist() == [4, 5]
    np.testing.assert_allclose(fitted.memberships[4:], [[1 / 3, 2 / 3], [2 / 3, 1 / 3]])
    assert fitted.of_micro.tolist() == [0, 0, 1, 1, 1, 0]


def test_no_transition_is_counted_across_two_pieces(train):
    """A hundred more pieces of one block each, shorter than the lag, change nothing but the one-frame counts."""
    more = Trajectory((*train.pieces, *train.pieces[0][:500].reshape(-1, 5, 1)), 1.0, "ps", train.columns)
    ours, theirs = lumped(3, lag_time=5.0).fit(more), lumped(3, lag_time=5.0).fit(train)
    np.testing.assert_array_equal(ours.memberships, theirs.memberships)


def test_the_lag_time_is_a_time(train):
    """At half the frame time the same lag is twice as many frames, and all times are half as long."""
    fast = Trajectory(train.pieces, 0.5, "ps", train.columns)
    ours, theirs = lumped(3, lag_time=1.0).fit(fast), lumped(3, lag_time=2.0).fit(train)
    np.testing.assert_allclose(2 * ours.timescales, theirs.timescales)
    assert (ours.lag_time, theirs.lag_time) == (1.0, 2.0)


def test_more_macrostates_than_the_spectrum_supports_are_refused_with_the_timescales_and_the_gap(train):
    message = (
        r"^n_macrostates \(8\) must be at most 3: each but one needs a timescale above lag_time \(1 ps\); "
        r"the Markov state model has [\d.]+, [\d.]+, 0[\d., ]*; the largest gap is after 3 macrostates, "
        r"from (4|5)[\d.]+ to 0\.\d+$"
    )
    with pytest.raises(ValueError, match=message):
        lumped(8).fit(train)


def test_nothing_slower_than_the_lag_time_leaves_nothing_to_choose():
    noise = of_states(np.random.default_rng(0).integers(0, 4, 5_000))
    with pytest.raises(
        ValueError, match=r"^n_macrostates \(null\) cannot be chosen: each but one needs .* has 0[^;]*$"
    ):
        lumped().fit(noise)
    with pytest.raises(ValueError, match=r"^n_macrostates \(2\) must be at most 1: each but one needs .* has 0[^;]*$"):
        lumped(2).fit(noise)


def test_macrostates_that_pcca_leaves_empty_are_counted_and_refused():
    """Four slow states; of the three sets that deeptime returns for them, no state belongs most to one."""
    from deeptime.markov import pcca as by_deeptime

    counts = np.array([[6, 1, 0, 1], [1, 5, 0, 0], [0, 0, 38, 3], [1, 0, 3, 12]])
    assert len(set(by_deeptime(counts / counts.sum(axis=1, keepdims=True), 3).assignments)) == 2
    message = r"^n_macrostates \(3\): PCCA\+ fills only 2 with microstates; .* has 15.88, 3.133, 1.923; the largest gap"
    with pytest.raises(ValueError, match=message):
        lumped(3).fit(counted(counts))


@pytest.mark.parametrize(
    "problem",
    [
        UserWarning("complex eigenvectors"),
        np.linalg.LinAlgError("singular"),
        AssertionError("x"),
        RuntimeError("only 2"),
    ],
)
def test_where_pcca_fails_the_error_is_one_line_with_the_timescales(train, monkeypatch, problem):
    """As exactly equal timescales may make it. Of complex eigenvectors deeptime only warns, and goes on."""

    class Lumping:
        memberships = np.eye(3)[BLOCK]

    def lump(*_):
        if not isinstance(problem, UserWarning):
            raise problem
        warnings.warn(problem, stacklevel=1)
        return Lumping

    monkeypatch.setattr("deeptime.markov.pcca", lump)
    with pytest.raises(ValueError, match=rf"^n_macrostates \(3\): PCCA\+ fails, {problem}; each but .* is after 3"):
        lumped(3).fit(train)


def test_an_oscillation_is_no_metastable_set():
    """Two states that alternate have an eigenvalue of -1, of largest modulus; the slow one behind it is found."""
    rng = np.random.default_rng(0)
    block = np.repeat(rng.permutation(np.arange(400) % 2), 50)  # which of two alternating pairs
    fitted = lumped().fit(of_states(2 * block + np.arange(len(block)) % 2))
    assert fitted.n_states == 2
    assert [len(set(fitted.of_micro[pair])) for pair in ([0, 1], [2, 3])] == [1, 1]


def test_more_microstates_than_can_be_lumped_are_refused(train, monkeypatch):
    monkeypatch.setattr(pcca, "MAX_MICROSTATES", 8)
    with pytest.raises(ValueError, match=r"^micro makes 9 states; at most 8 can be lumped$"):
        lumped().fit(train)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n_macrostates": 1}, r"^n_macrostates \(1\) must be at least 2, or null to be chosen$"),
        ({"n_macrostates": 0}, r"^n_macrostates \(0\) must be at least 2, or null to be chosen$"),
        ({"n_macrostates": -3}, r"^n_macrostates \(-3\) must be at least 2, or null to be chosen$"),
        ({"lag_time": 0.0}, r"^lag_time \(0\) must be above 0 and finite$"),
        ({"lag_time": -1.0}, r"^lag_time \(-1\) must be above 0 and finite$"),
        ({"lag_time": float("nan")}, r"^lag_time \(nan\) must be above 0 and finite$"),
        ({"lag_time": float("inf")}, r"^lag_time \(inf\) must be above 0 and finite$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Pcca(**{"micro": Labels(), "lag_time": 1.0} | fields)


@pytest.mark.parametrize(
    ("lag_time", "columns", "message"),
    [
        (0.75, ("state",), r"^lag_time \(0\.75 ps\) must be a positive multiple of the frame time, 0\.5 ps$"),
        (0.1, ("state",), r"^lag_time \(0\.1 ps\) must be a positive multiple of the frame time, 0\.5 ps$"),
        (5.0, ("state",), r"^lag_time \(5 ps, 10 frames\) must be shorter than the longest trajectory, 10 frames$"),
        (1.0, ("x", "y"), r"^micro\.partition labels needs one feature that holds state indices, not x, y$"),
    ],
)
def test_what_does_not_fit_the_trajectories_is_refused_before_computing(lag_time, columns, message):
    with pytest.raises(ValueError, match=message):
        lumped(lag_time=lag_time).check(Header(columns, (10, 8), 0.5, "ps"))


def test_a_lag_that_fits_is_accepted():
    lumped(lag_time=4.5).check(Header(("state",), (10, 8), 0.5, "ps"))
    assert Pcca.has_memberships
    assert not Pcca.has_centres


def test_what_is_wrong_with_the_microstates_of_training_names_their_field():
    with pytest.raises(ValueError, match=r"^micro\.n_states is 1: training holds only one state"):
        lumped().fit(of_states(np.zeros(100)))

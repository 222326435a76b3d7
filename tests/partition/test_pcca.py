"""PCCA+ against chains whose macrostates are known in closed form, deeptime and PyEMMA."""

import dataclasses
import warnings
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st
from omegaconf import OmegaConf

from mdlm.build import ConfigError, build
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.partition.base import Discretiser
from mdlm.partition.grid import Grid
from mdlm.partition.labels import Labels
from mdlm.partition.pcca import Pcca
from mdlm.partition.wells import Wells
from mdlm.system.chain import Chain
from mdlm.trajectory import Header, Trajectory

CONF = Path(__file__).parents[2] / "conf"

BLOCK = np.array([2, 0, 1, 1, 0, 2, 0, 2, 1])
"""Macrostate of each of nine microstates."""
WEIGHT = np.array([1, 1, 2, 1, 2, 2, 1, 1, 1])
"""Of each in its macrostate; they sum to 4 in each."""
EXCHANGE = np.array([[150, 1, 0], [1, 120, 2], [0, 2, 50]])
"""Between the macrostates: one frame takes A to B with probability EXCHANGE[A, B] / EXCHANGE[A].sum()."""
COUNTS = EXCHANGE[np.ix_(BLOCK, BLOCK)] * np.outer(WEIGHT, WEIGHT)
"""Symmetric, so that the reversible model is COUNTS over its row sums; and exactly lumpable into the three blocks."""
BLOCK_MATRIX = EXCHANGE / EXCHANGE.sum(axis=1, keepdims=True)
TIMESCALES = -1 / np.log(np.sort(np.linalg.eigvals(BLOCK_MATRIX))[1::-1])
"""Of the two slow processes, in frames; within a block, one frame forgets everything."""


def labelled(*pieces, frame_time=1.0):
    pieces = tuple(np.array(piece, float)[:, None] for piece in pieces)
    return Trajectory(pieces, frame_time, "ps", columns=("state",))


def counted(counts):
    """Pieces of two frames whose transitions have exactly these counts."""
    counts = np.asarray(counts)
    pairs = np.argwhere(counts > 0)
    return labelled(*np.repeat(pairs, counts[tuple(pairs.T)], axis=0))


def of_labels(n_macrostates=None, lag_time=1.0, n_states=None):
    return Pcca(micro=Labels(n_states=n_states), lag_time=lag_time, n_macrostates=n_macrostates)


def drawn(matrix, n_frames, seed, n_trajectories=10):
    """Trajectories of a Markov chain, one column of state indices."""
    return Chain(
        lag_time=1.0,
        transition_matrix=tuple(map(tuple, matrix)),
        n_trajectories=n_trajectories,
        n_frames=n_frames,
        frame_time=1.0,
        time_unit="ps",
        seed=seed,
    ).trajectories()


def some_blocks(seed, between):
    """A reversible chain of nine states in three blocks, ``between`` times as often exchanged as within them."""
    rng = np.random.default_rng(seed)
    flux = rng.gamma(2.0, size=(9, 9)) * np.where(np.equal.outer(BLOCK, BLOCK), 1, between)
    flux += flux.T
    return flux / flux.sum(axis=1, keepdims=True)


# A chain in closed form


def test_three_blocks_of_nine_microstates_are_found_with_all_that_is_known_of_them():
    fitted = of_labels().fit(counted(COUNTS))
    assert fitted.of_micro.tolist() == BLOCK.tolist()
    np.testing.assert_allclose(fitted.memberships, np.eye(3)[BLOCK], atol=1e-6)
    np.testing.assert_allclose(fitted.populations, np.array([151, 123, 52]) / 326, rtol=1e-9)
    np.testing.assert_allclose(fitted.metastability, [150 / 151, 120 / 123, 50 / 52], rtol=1e-9)
    np.testing.assert_allclose(fitted.timescales[:2], TIMESCALES, rtol=1e-9)
    assert (fitted.active.tolist(), fitted.dropped.tolist(), fitted.active_share) == (list(range(9)), [], 1.0)
    assert fitted.state_names == ("macrostate 1 (46.3 %)", "macrostate 2 (37.7 %)", "macrostate 3 (16 %)")


@pytest.mark.parametrize("micro", [Labels(), Grid(low=-0.5, high=8.5, n_bins=9)], ids=["labels", "grid"])
def test_trajectories_of_that_chain_give_the_same_within_their_statistics(micro):
    """A million frames relax some 10,000 times, hence the tolerances."""
    trajectory = drawn(COUNTS / COUNTS.sum(axis=1, keepdims=True), n_frames=100_000, seed=0)
    fitted = Pcca(micro=micro, lag_time=5.0).fit(trajectory)
    after_lag = np.linalg.matrix_power(BLOCK_MATRIX, 5)
    assert fitted.of_micro.tolist() == BLOCK.tolist()
    assert fitted.lag_time == 5.0
    np.testing.assert_allclose(fitted.populations, np.array([151, 123, 52]) / 326, atol=0.03)
    np.testing.assert_allclose(fitted.metastability, after_lag.diagonal(), atol=0.01)
    states = fitted.assign(trajectory)
    assert (states.n_states, states.lengths) == (3, (100_000,) * 10)
    micro_states = trajectory.pieces[3][:, 0].astype(int)
    assert np.array_equal(states.pieces[3], BLOCK[micro_states])


def test_two_macrostates_of_three_are_given_where_two_are_asked_for():
    """The slowest process is that between the first block and the others."""
    fitted = of_labels(n_macrostates=2).fit(counted(COUNTS))
    assert fitted.of_micro.tolist() == [0 if block else 1 for block in BLOCK]
    np.testing.assert_allclose(fitted.populations, np.array([175, 151]) / 326, rtol=1e-9)


def test_where_every_microstate_is_metastable_each_is_a_macrostate():
    assert of_labels().fit(counted(EXCHANGE)).of_micro.tolist() == [0, 1, 2]


def test_an_oscillation_is_not_taken_for_a_slow_process():
    """Two pairs that flip at every frame: eigenvalues 1, 0.98, -0.98, -1; the last has the largest modulus."""
    fitted = of_labels().fit(counted([[0, 99, 0, 0], [99, 0, 1, 0], [0, 1, 0, 49], [0, 0, 49, 0]]))
    assert fitted.of_micro.tolist() == [0, 0, 1, 1]
    assert fitted.n_states == 2


def test_the_fitted_object_is_made_of_plain_values():
    fitted = of_labels().fit(counted(COUNTS))
    for field in dataclasses.fields(fitted):
        assert isinstance(getattr(fitted, field.name), np.ndarray | float | tuple | Discretiser)


# Independent implementations


@pytest.fixture(scope="module")
def random_counts():
    """Three blocks whose microstates belong to them by degrees."""
    counts = np.random.default_rng(4).gamma(0.5, size=(9, 9)) * np.where(np.equal.outer(BLOCK, BLOCK), 200, 10)
    return np.ceil(counts).astype(int)


def with_sorted_columns(memberships, stationary):
    """The most populated macrostate first, as ours are."""
    members = memberships.argmax(axis=1)
    populations = [stationary[members == macrostate].sum() for macrostate in range(memberships.shape[1])]
    return memberships[:, np.argsort(populations)[::-1]]


@pytest.mark.parametrize("n_macrostates", [2, 3])
def test_memberships_agree_with_deeptimes_model(random_counts, n_macrostates):
    from deeptime.markov.msm import MarkovStateModel

    fitted = of_labels(n_macrostates).fit(counted(random_counts))
    model = MarkovStateModel(reversible_transition_matrix(random_counts).matrix)
    theirs = with_sorted_columns(model.pcca(n_macrostates).memberships, model.stationary_distribution)
    assert not np.allclose(theirs, theirs.round(), atol=0.05), "or it would be too easy"
    np.testing.assert_allclose(fitted.memberships, theirs, atol=1e-6)


@pytest.mark.parametrize("n_macrostates", [2, 3])
def test_memberships_agree_with_pyemma(random_counts, n_macrostates):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyEMMA is no longer developed and uses much that is deprecated
        msm = pytest.importorskip("pyemma.msm", reason="the pyemma extra is not installed (it needs a C compiler)")
        model = msm.markov_model(reversible_transition_matrix(random_counts).matrix)
        theirs = with_sorted_columns(model.pcca(n_macrostates).memberships, model.stationary_distribution)
    fitted = of_labels(n_macrostates).fit(counted(random_counts))
    np.testing.assert_allclose(fitted.memberships, theirs, atol=1e-6)


# Relabelling


def outcome(partition, trajectory):
    try:
        return partition.fit(trajectory)
    except ValueError as error:
        return str(error).partition(";")[0]


@settings(deadline=None, max_examples=30)
@given(st.permutations(range(9)), st.integers(0, 10**6), st.floats(0.001, 0.05), st.sampled_from([2, 3]))
def test_other_labels_of_the_microstates_change_nothing(order, seed, between, n_macrostates):
    trajectory = drawn(some_blocks(seed, between), n_frames=1000, seed=seed, n_trajectories=3)
    order = np.array(order)
    other = labelled(*(order[piece[:, 0].astype(int)] for piece in trajectory.pieces))
    partition = of_labels(n_macrostates, n_states=9)
    fitted, relabelled = outcome(partition, trajectory), outcome(partition, other)
    if isinstance(fitted, str):  # too few visits to see the blocks
        assert relabelled == fitted
        return
    assert np.array_equal(relabelled.of_micro[order], fitted.of_micro)
    np.testing.assert_allclose(relabelled.memberships[order], fitted.memberships, atol=1e-5)
    for before, after in zip(fitted.assign(trajectory).pieces, relabelled.assign(other).pieces, strict=True):
        assert np.array_equal(before, after)


# More macrostates than there are


def test_more_macrostates_than_the_spectrum_supports_are_refused_with_the_timescales_and_the_gap():
    """Three blocks, asked for eight: never a silent smaller number."""
    slow = [f"{time:.4g}" for time in TIMESCALES]
    with pytest.raises(ValueError, match="supports") as raised:
        of_labels(n_macrostates=8).fit(counted(COUNTS))
    assert str(raised.value).startswith(
        "n_macrostates (8) exceeds what the spectrum supports, 3: each macrostate but one needs a timescale above "
        f"lag_time (1 ps), and the Markov state model has {slow[0]}, {slow[1]}"
    )
    assert f"; the largest gap is after 3 macrostates, between {slow[1]} and 0" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_macrostates_that_pcca_leaves_empty_are_refused():
    """Of the three that deeptime returns here, no microstate belongs most to one."""
    from deeptime.markov import pcca

    counts = np.array([[6, 1, 0, 1], [1, 5, 0, 0], [0, 0, 38, 3], [1, 0, 3, 12]])
    assert len(set(pcca(counts / counts.sum(axis=1, keepdims=True), 3).assignments)) == 2
    message = r"^n_macrostates \(3\): PCCA\+ fills only 2 of them with microstates; .* has 15.88, 3.133, 1.923; the .*$"
    with pytest.raises(ValueError, match=message):
        of_labels(n_macrostates=3).fit(counted(counts))


@pytest.mark.parametrize("error", [UserWarning, RuntimeError, AssertionError, np.linalg.LinAlgError])
def test_where_pcca_itself_fails_the_error_is_one_line_with_the_timescales(monkeypatch, error):
    def fail(*_):
        if error is UserWarning:
            warnings.warn("it broke", stacklevel=2)
        raise error("it broke")

    monkeypatch.setattr("deeptime.markov.pcca", fail)
    with pytest.raises(ValueError, match=r"^n_macrostates \(3\): PCCA\+ fails, it broke; each macrostate but one .*$"):
        of_labels().fit(counted(COUNTS))


def test_a_single_process_without_memory_has_no_macrostates():
    message = r"^n_macrostates \(null, so at least 2\) exceeds what the spectrum supports, 1: .*$"
    with pytest.raises(ValueError, match=message):
        of_labels().fit(counted([[1, 1], [1, 1]]))


def test_transitions_that_never_come_back_have_no_macrostates():
    message = r"^n_macrostates \(2\) exceeds what the spectrum supports, 1: .* has none$"
    with pytest.raises(ValueError, match=message):
        of_labels(n_macrostates=2).fit(labelled([0, 1]))


def test_too_many_microstates_are_refused_before_a_dense_matrix_is_made():
    with pytest.raises(ValueError, match=r"^micro makes 5000 states; at most 4000 can be lumped$"):
        of_labels(n_states=5000).fit(labelled([0, 1, 0]))


# Microstates outside the Markov state model


def test_dropped_microstates_are_recorded_and_follow_their_one_frame_transitions():
    """Two blocks {0, 1} and {2, 3}; 4 is entered once from 0 and thrice from 2; 5 only knows 4; 6 knows nobody.

    Of the 1004 + 5 transitions, the 5 at the end leave the active set or never were in it.
    """
    blocks = np.zeros((7, 7), int)
    blocks[:2, :2], blocks[2:4, 2:4] = 150, 100
    blocks[1, 2] = blocks[2, 1] = 2
    blocks[0, 4], blocks[2, 4], blocks[5, 4] = 1, 3, 1
    fitted = of_labels(n_states=7).fit(counted(blocks))
    assert (fitted.active.tolist(), fitted.dropped.tolist()) == ([0, 1, 2, 3], [4, 5, 6])
    assert fitted.active_share == pytest.approx(1004 / 1009)
    assert fitted.of_micro.tolist() == [0, 0, 1, 1, 1, 1, 0]
    np.testing.assert_allclose(fitted.memberships[4:], [[0.25, 0.75], [0, 1], [0.5, 0.5]])
    np.testing.assert_allclose(fitted.populations, [602 / 1004, 402 / 1004])
    frames = np.array([[4.0], [5.0], [6.0]])
    assert fitted.states(frames).tolist() == [1, 1, 0]
    np.testing.assert_allclose(fitted.membership(frames), [0.75, 1, 0.5])


def test_a_microstate_too_short_for_the_lag_is_dropped_and_joins_its_neighbours():
    """State 4 lasts one frame at the very end of a piece: it has one transition at any lag, and none back."""
    rng = np.random.default_rng(0)
    walk = np.repeat(rng.permutation([0, 1] * 20), 50) * 2 + rng.integers(0, 2, 2000)
    last = 2 * (walk[-1] // 2)
    fitted = of_labels(lag_time=5.0).fit(labelled(walk, [*walk[:100], last, last, last, last, last, 4]))
    assert fitted.dropped.tolist() == [4]
    assert fitted.of_micro[4] == fitted.of_micro[last]


# What is refused


@pytest.mark.parametrize("n_macrostates", [1, 0, -1])
def test_fewer_than_two_macrostates_are_refused(n_macrostates):
    message = rf"^n_macrostates \({n_macrostates}\) must be at least 2, or null to be chosen$"
    with pytest.raises(ValueError, match=message):
        of_labels(n_macrostates)


@pytest.mark.parametrize("lag_time", [0.0, -1.0, float("inf"), float("nan")])
def test_a_lag_time_must_be_a_time(lag_time):
    with pytest.raises(ValueError, match=r"^lag_time \(.*\) must be above 0 and finite$"):
        of_labels(lag_time=lag_time)


@pytest.mark.parametrize(
    ("lag_time", "columns", "message"),
    [
        (0.75, ("state",), r"^lag_time \(0.75 ps\) must be a positive multiple of the frame time, 0.5 ps$"),
        (50.0, ("state",), r"^lag_time \(50 ps, 100 frames\) must be shorter than the longest trajectory, 100 frames$"),
        (5.0, ("x", "y"), r"^micro.partition labels needs one feature that holds state indices, not x, y$"),
    ],
)
def test_what_does_not_fit_the_trajectories_is_refused_before_anything_is_computed(lag_time, columns, message):
    header = Header(columns, (100, 40), 0.5, "ps")
    with pytest.raises(ValueError, match=message):
        of_labels(lag_time=lag_time).check(header)
    with pytest.raises(ValueError, match=message):
        of_labels(lag_time=lag_time).fit(Trajectory((np.zeros((100, len(columns))),), 0.5, "ps", columns=columns))


def test_the_longest_possible_lag_is_one_transition():
    of_labels(lag_time=49.5).check(Header(("state",), (100, 40), 0.5, "ps"))


def test_what_is_wrong_with_the_microstates_is_said_of_them():
    with pytest.raises(ValueError, match=r"^micro.n_bins \(10\) on \[0.0, 100.0\) leaves only one state; .*$"):
        Pcca(micro=Grid(low=0.0, high=100.0, n_bins=10), lag_time=1.0).fit(labelled([0, 1, 0, 1]))


# Configuration


def composed(*overrides):
    with initialize_config_dir(str(CONF), version_base="1.3"):
        return OmegaConf.to_container(compose("config", list(overrides)), resolve=True)


def test_the_microstates_are_a_partition_of_their_own():
    partition = build(composed("partition=pcca")).partition
    assert isinstance(partition, Pcca)
    assert (partition.lag_time, partition.n_macrostates) == (200.0, None)
    switched = build(composed("partition=pcca", "partition@partition.micro=wells", "partition.n_macrostates=4"))
    wells = {"x": (2.0, 0.5, -0.5, -2.0), "y": (-1.0, 2.0, -2.0, 1.0)}
    assert switched.partition == Pcca(micro=Wells(centres=wells), lag_time=200.0, n_macrostates=4)


def test_fields_of_the_microstates_can_be_set_and_are_named_in_errors():
    micro = ("partition=pcca", "partition@partition.micro=grid")
    assert build(composed(*micro, "partition.micro.n_bins=12")).partition.micro.n_bins == 12
    with pytest.raises(ConfigError, match=r"^partition.micro.n_bins \(0\) must be at least 1 along every feature$"):
        build(composed(*micro, "partition.micro.n_bins=0"))


def test_a_chains_states_are_lumped_through_a_grid_as_well():
    """Its two fast pairs exchange every 250 frames; within the pairs, a frame takes about ten."""
    chain = ("system=chain", "system.n_frames=5000", "partition=pcca", "partition@partition.micro=grid")
    experiment = build(composed(*chain))
    fitted = experiment.partition.fit(experiment.system.trajectories())
    assert fitted.lag_time == 10.0
    assert len(set(fitted.of_micro[:2])) == len(set(fitted.of_micro[2:])) == 1
    assert fitted.n_states == 2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition import base
from mdlm.partition.grid import Grid
from mdlm.trajectory import Header, Trajectory


def frames(values, *more):
    pieces = tuple(np.asarray(piece, float) for piece in (values, *more))
    columns = ("x", "y", "z")[: pieces[0].shape[1]]
    return Trajectory(pieces, 0.5, "ps", columns=columns)


def line(*values):
    return frames(np.array(values)[:, None])


def test_bins_are_equal_and_closed_on_the_left_and_the_outer_ones_take_the_outliers():
    grid = Grid(low=0.0, high=1.0, n_bins=4)
    trajectory = line(-7.0, 0.0, 0.2499, 0.25, 0.5, 0.7499, 0.75, 0.9999, 1.0, 7.0)
    assert grid.fit(trajectory).assign(trajectory).pieces[0].tolist() == [0, 0, 0, 1, 2, 2, 3, 3, 3, 3]


@given(
    st.lists(st.floats(-5, 5), min_size=2, max_size=40),
    st.integers(2, 12),
)
def test_one_feature_is_binned_as_numpy_digitize_does(values, n_bins):
    edges = np.linspace(-1.0, 1.0, n_bins + 1)
    values = [value for value in values if np.abs(edges - value).min() > 1e-9]
    expected = np.digitize(values, edges[1:-1])
    if len(set(expected)) < 2:
        return
    found = Grid(low=-1.0, high=1.0, n_bins=n_bins).fit(line(*values)).assign(line(*values)).pieces[0]
    assert found.tolist() == np.unique(expected, return_inverse=True)[1].tolist()


def test_only_visited_cells_become_states_and_are_named_by_their_centres():
    grid = Grid(low=(0.0, 0.0), high=(2.0, 20.0), n_bins=(2, 2))
    fitted = grid.fit(frames([[0.1, 1], [1.9, 1], [1.9, 2]]))
    assert fitted.n_states == 2
    assert fitted.state_names == ("x 0.5, y 5", "x 1.5, y 5")


def test_a_cell_training_never_visited_counts_as_the_nearest_one_that_it_did():
    grid = Grid(low=0.0, high=10.0, n_bins=10)
    fitted = grid.fit(line(0.5, 9.5))
    assert fitted.assign(line(3.0, 6.0, 0.1, 42.0)).pieces[0].tolist() == [0, 1, 0, 1]


def test_nearest_is_meant_in_the_features_unit_not_in_bins():
    """One visited cell is 9 bins along x, a distance of 9; the other one bin along y, a distance of 90."""
    grid = Grid(low=0.0, high=(10.0, 180.0), n_bins=(10, 2))
    fitted = grid.fit(frames([[0.5, 5], [9.5, 95]]))
    assert fitted.assign(frames([[0.5, 95]])).pieces[0].tolist() == [1]


@pytest.mark.parametrize("n_columns", [1, 2, 3])
def test_frames_share_a_state_exactly_when_they_share_a_cell(n_columns):
    values = np.random.default_rng(0).uniform(-1, 1, (500, n_columns))
    trajectory = frames(values, values[::-1])
    fitted = Grid(low=-1.0, high=1.0, n_bins=4).fit(trajectory)
    states = fitted.assign(trajectory)
    cells = [tuple(row) for row in np.floor((values + 1) * 2).astype(int)]
    pairs = set(zip(cells, states.pieces[0].tolist(), strict=True))
    assert len(pairs) == len(set(cells)) == fitted.n_states == len({state for _, state in pairs})
    assert states.pieces[1].tolist() == states.pieces[0][::-1].tolist()
    assert (states.frame_time, states.time_unit) == (0.5, "ps")


def test_working_in_chunks_changes_nothing(monkeypatch):
    trajectory = frames(np.random.default_rng(0).uniform(-4, 4, (1000, 2)))
    grid = Grid(low=-3.6, high=3.6, n_bins=30)
    whole = grid.fit(trajectory).assign(trajectory).pieces[0]
    monkeypatch.setattr(base, "CHUNK_FRAMES", 13)
    assert np.array_equal(grid.fit(trajectory).assign(trajectory).pieces[0], whole)


def test_training_in_one_cell_is_refused():
    with pytest.raises(ValueError, match=r"^n_bins \(3\) leaves only one state, x 1\.5; take finer bins$"):
        Grid(low=0.0, high=9.0, n_bins=3).fit(line(0.1, 0.2))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"high": 0.0}, r"^high \(0\.0\) must exceed low \(0\.0\), and both be finite$"),
        ({"low": (0.0, 2.0)}, r"^high \(1\.0\) must exceed low \(\(0\.0, 2\.0\)\), and both be finite$"),
        ({"low": float("nan")}, r"^high .* must exceed low \(nan\), and both be finite$"),
        ({"low": None, "high": float("inf")}, r"^high \(inf\) must exceed low \(None\), and both be finite$"),
        ({"low": (None, 2.0)}, r"^high \(1\.0\) must exceed low \(\(None, 2\.0\)\), and both be finite$"),
        ({"n_bins": ()}, r"^n_bins \(\(\)\) must be at least 1 along every feature$"),
        ({"n_bins": 0}, r"^n_bins \(0\) must be at least 1 along every feature$"),
        ({"n_bins": 1}, r"^n_bins \(1\) must make at least 2 cells$"),
        (
            {"n_bins": (3, 3), "low": (0.0, 0.0, 0.0)},
            r"^n_bins .* has 2 values; give one, or one per .* \(3\)$",
        ),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Grid(**{"low": 0.0, "high": 1.0, "n_bins": 4} | fields)


@pytest.mark.parametrize(
    ("n_bins", "columns", "message"),
    [
        ((4, 4), ("x",), r"^n_bins \(\(4, 4\)\) has 2 values; give one, or one per feature \(1\)$"),
        ((1, 1), ("x", "y"), r"^n_bins \(\(1, 1\)\) makes 1 cells; 2 to 4e18 are allowed$"),
        (1000, tuple("abcdefgh"), r"^n_bins \(1000\) makes 1e\+24 cells; 2 to 4e18 are allowed$"),
    ],
)
def test_a_grid_that_does_not_fit_the_features_is_refused_before_computing(n_bins, columns, message):
    with pytest.raises(ValueError, match=message):
        Grid(low=0.0, high=1.0, n_bins=n_bins).check(Header(columns, (10,), 1.0, "ps"))


def test_null_edges_are_the_range_of_training_feature_by_feature():
    """By hand: x spans 0 to 4, so four bins of width 1; y spans 10 to 30, two of width 10."""
    train = frames([[0.0, 10], [1.5, 19]], [[4.0, 30]])
    fitted = Grid(low=None, high=None, n_bins=(4, 2)).fit(train)
    assert fitted.state_names == ("x 0.5, y 15", "x 1.5, y 15", "x 3.5, y 25")
    assert fitted.assign(frames([[-9, 0], [1.99, 19.9], [3, 20]])).pieces[0].tolist() == [0, 1, 2]


def test_one_null_edge_leaves_the_others_as_they_are_given():
    train = frames([[1.0, 10], [3.0, 20]])
    given = Grid(low=(0.0, 10.0), high=(3.0, 40.0), n_bins=3).fit(train)
    partly = Grid(low=(0.0, None), high=(None, 40.0), n_bins=3).fit(train)
    assert partly.state_names == given.state_names == ("x 1.5, y 15", "x 2.5, y 25")


def test_the_smallest_and_the_largest_float32_value_fall_into_the_first_and_the_last_bin():
    values = np.random.default_rng(0).normal(size=(1000, 1)).astype(np.float32)
    fitted = Grid(low=None, high=None, n_bins=7).fit(Trajectory((values,), 0.5, "ps", columns=("x",)))
    cells = fitted.bins.cells(values)
    assert (cells[values.argmin()], cells[values.argmax()]) == (0, 6)


def test_a_feature_without_room_for_bins_is_named():
    constant = frames([[0.0, 3], [1.0, 3]])
    with pytest.raises(ValueError, match=r"^high \(3\) of y must exceed its low \(3\); null is the range of training$"):
        Grid(low=None, high=None, n_bins=2).fit(constant)
    with pytest.raises(ValueError, match=r"^high \(3\) of y must exceed its low \(5\); .*$"):
        Grid(low=(0.0, 5.0), high=None, n_bins=2).fit(constant)


@given(st.permutations(range(4)), st.integers(0, 9), st.sampled_from([-1.0, None]))
def test_the_order_of_the_trajectories_does_not_matter(order, seed, low):
    rng = np.random.default_rng(seed)
    pieces = [rng.normal(size=(length, 2)).astype(np.float32) for length in (5, 1, 17, 30)]
    grid = Grid(low=low, high=None, n_bins=5)
    here, there = frames(*pieces), frames(*(pieces[number] for number in order))
    one, other = grid.fit(here), grid.fit(there)
    assert one.state_names == other.state_names
    for number, states in zip(order, other.assign(there).pieces, strict=True):
        assert np.array_equal(states, one.assign(here).pieces[number])

import numpy as np
import pytest

from mdlm.features.columns import Columns
from mdlm.macrostates.base import Lumping
from mdlm.macrostates.own import Own
from mdlm.macrostates.partitioned import Partitioned, majority
from mdlm.partition.grid import Grid
from mdlm.partition.wells import Wells
from mdlm.trajectory import Dtraj, Header, Trajectory

LEFT_RIGHT = Partitioned(features=Columns(columns=("x",)), partition=Wells(centres={"x": (-1.0, 1.0)}))


def frames(*pieces):
    return Trajectory(tuple(np.array(piece, np.float32) for piece in pieces), 0.5, "ps", columns=("x", "y"))


def dtraj(*pieces, n_states):
    return Dtraj(tuple(np.array(piece) for piece in pieces), 0.5, "ps", n_states=n_states)


def test_a_fine_and_a_coarse_partition_are_judged_on_the_same_macrostates():
    rng = np.random.default_rng(0)
    train = frames(rng.uniform(-2, 2, (500, 2)), rng.uniform(-2, 2, (300, 2)))
    for n_bins in (4, 10):
        cells = Grid(low=-2.0, high=2.0, n_bins=n_bins).fit(train)
        states = cells.assign(train)
        fitted = LEFT_RIGHT.fit(train, states, cells.state_names)
        seen = fitted.of_frames(train, states)
        assert seen.n_states == 2
        for piece, raw, lumped in zip(seen.pieces, train.pieces, fitted.lumping.lump(states).pieces, strict=True):
            assert np.array_equal(piece, raw[:, 0] > 0)
            assert np.array_equal(lumped, piece)  # cell borders coincide with x = 0
        assert fitted.lumping.mixed_share == 0
        assert fitted.lumping.names == ("well 1 (-1)", "well 2 (1)")


def test_a_state_belongs_to_the_macrostate_of_most_of_its_frames():
    states, own = dtraj([0, 0, 0, 1], [1, 1, 2, 2], n_states=4), dtraj([0, 0, 1, 1], [1, 0, 0, 1], n_states=2)
    lumping = majority(states, own, ("A", "B"))
    assert lumping.of_state.tolist() == [0, 1, -1, -1]  # state 2 is shared out evenly, state 3 has no frames
    assert lumping.mixed_share == pytest.approx(3 / 8)


@pytest.mark.parametrize(
    ("states", "expected"),
    [([1, 1, 2, 1, 0], [1, 1, 1, 1, 0]), ([0, 1, 1, 2, 1], [0, 0, 0, 1, 1]), ([1, 1], [0, 0]), ([], [])],
)
def test_between_macrostates_the_last_one_visited_goes_on(states, expected):
    lumping = Lumping(np.array([0, -1, 1]), ("A", "B"), mixed_share=0.0)
    lumped = lumping.lump(dtraj(np.array(states, int), [2, 1], n_states=3))
    assert [piece.tolist() for piece in lumped.pieces] == [expected, [1, 1]]


def test_lumping_keeps_pieces_and_clock():
    lumping = majority(dtraj([0, 1, 2], n_states=3), dtraj([0, 1, 1], n_states=2), ("A", "B"))
    lumped = lumping.lump(dtraj([2, 2, 0], [1], n_states=3))
    assert [piece.tolist() for piece in lumped.pieces] == [[1, 1, 0], [1]]
    assert (lumped.frame_time, lumped.time_unit, lumped.n_states) == (0.5, "ps", 2)
    with pytest.raises(ValueError, match=r"^n_states \(2\) must be 3"):
        lumping.lump(dtraj([0, 1], n_states=2))


def test_tokens_that_do_not_show_the_slow_process_are_refused():
    """Bins along y alone, judged by the sides of x, which are not equally populated."""
    rng = np.random.default_rng(1)
    train = frames(np.stack([rng.choice([-1.0, 1.0], 400, p=[0.9, 0.1]), rng.uniform(-1, 1, 400)], axis=1))
    cells = Grid(low=-1.0, high=1.0, n_bins=(1, 4)).fit(train)
    with pytest.raises(
        ValueError, match=r"^the partition's states tell too few macrostates apart \(well 1 \(-1\) of 2\)"
    ):
        LEFT_RIGHT.fit(train, cells.assign(train), cells.state_names)


def test_own_macrostates_are_the_states():
    states = dtraj([0, 2, 1], n_states=3)
    fitted = Own().fit(frames([[0, 0], [1, 1], [2, 2]]), states, ("a", "b", "c"))
    assert fitted.of_frames(frames([[0, 0]]), states) is states
    assert fitted.lumping.lump(states).pieces[0].tolist() == [0, 2, 1]
    assert fitted.lumping.names == ("a", "b", "c")


def test_errors_name_the_inner_part():
    Own().check(Header(("q",), (10,), 0.5, "ps"))
    with pytest.raises(ValueError, match=r"^features\.columns: 'x' is not a column"):
        LEFT_RIGHT.check(Header(("y",), (10,), 0.5, "ps"))
    wrong = Partitioned(features=Columns(columns=("y",)), partition=LEFT_RIGHT.partition)
    with pytest.raises(ValueError, match=r"^partition\.centres gives no wells for the feature 'y'"):
        wrong.check(Header(("x", "y"), (10,), 0.5, "ps"))


def test_pieces_of_a_mapped_file_are_lumped_into_a_mapped_file_that_leaves_nothing_behind(tmp_path):
    """A chain of a billion tokens must not have to fit into the memory."""
    rows = np.random.default_rng(0).integers(3, size=(4, 50)).astype(np.uint8)
    np.save(tmp_path / "chains.npy", rows)
    lumping = Lumping(np.array([0, -1, 1]), ("A", "B"), mixed_share=0.0)
    mapped = Dtraj(tuple(np.load(tmp_path / "chains.npy", mmap_mode="r")), 1.0, "ps", n_states=3)
    found, expected = lumping.lump(mapped), lumping.lump(Dtraj(tuple(rows), 1.0, "ps", n_states=3))
    for ours, theirs in zip(found.pieces, expected.pieces, strict=True):
        assert isinstance(ours, np.memmap)
        assert not isinstance(theirs, np.memmap)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert [file.name for file in tmp_path.iterdir()] == ["chains.npy"]

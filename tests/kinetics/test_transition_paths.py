import numpy as np
import pytest

from mdlm.kinetics.transition_paths import pathway_distance, transition_paths


def test_paths_are_counted_by_hand():
    """Last exits of 0 are at frames 1 and 9; the stretch 0 2 0 returns, and the piece ends before 1 0 2 arrives."""
    piece = np.array([0, 0, 1, 1, 2, 3, 3, 0, 2, 0, 2, 1, 3, 0, 2])
    found = transition_paths([piece], 4, [0], [3], 0.5)
    assert found.times.tolist() == [0.5 * 4, 0.5 * 3]
    assert found.pathways == {(1, 2): 1, (2, 1): 1}
    assert found.shares == {(1, 2): 0.5, (2, 1): 0.5}
    back = transition_paths([piece], 4, [3], [0], 0.5)
    assert back.times.tolist() == [0.5, 0.5]
    assert back.pathways == {(): 2}


def test_pathways_have_their_loops_erased_as_they_close():
    piece = np.array([0, 1, 2, 1, 3, 4, 3, 1, 5, 9])
    assert transition_paths([piece], 10, [0], [9], 1.0).pathways == {(1, 5): 1}


def test_sets_of_states_are_left_and_reached_as_a_whole():
    found = transition_paths([np.array([0, 1, 2, 4, 3, 2, 0])], 5, [0, 1], [3, 4], 1.0)
    assert found.times.tolist() == [2.0]
    assert found.pathways == {(2,): 1}


def test_no_path_crosses_from_piece_to_piece():
    assert transition_paths([np.array([0, 1]), np.array([1, 2])], 3, [0], [2], 1.0).n_paths == 0


def test_times_and_pathways_of_a_chain_are_closed_forms(sample_chain):
    """From 0 by 1 (two of three) or 2 (one of three) to 3: a path through 1 takes 1 + geometric(p), so 1 + 1 / p.

    Paths that return to 0 are none; 1 goes on to 3 as often as back, and so does 2, so the shares stay two to one.
    """
    chain = np.array([[0.7, 0.2, 0.1, 0], [0.1, 0.8, 0, 0.1], [0.25, 0, 0.5, 0.25], [0, 0.2, 0.1, 0.7]])
    found = transition_paths(sample_chain(chain, 50, 20_000, seed=0), 4, [0], [3], 0.1)
    assert list(found.pathways) == [(1,), (2,)]
    error = np.sqrt(2 / 9 / found.n_paths)
    assert found.shares[(1,)] == pytest.approx(2 / 3, abs=4 * error)
    expected = 0.1 * (1 + (2 / 3) / 0.2 + (1 / 3) / 0.5)
    assert found.mean_time == pytest.approx(expected, abs=4 * found.times.std() / np.sqrt(found.n_paths))


def test_paths_agree_with_those_of_msmhelper_where_nothing_returns():
    """Theirs begin at the first entry of the origin; with one frame there and no returns that is the last exit, too."""
    from msmhelper.md import estimate_paths

    rng = np.random.default_rng(1)
    ways = [(1, 2), (2, 1), (1,), (2,)]
    piece = np.concatenate([[0, *ways[way], 3] for way in rng.integers(0, 4, 200)])
    found = transition_paths([piece], 4, [0], [3], 1.0)
    theirs = estimate_paths(piece, 0, 3)
    assert {(0, *way, 3): number for way, number in found.pathways.items()} == {
        tuple(map(int, way)): len(times) for way, times in theirs.items()
    }
    assert sorted(found.times) == sorted(np.concatenate(list(theirs.values())))


def test_the_distance_of_pathways_is_counted_by_hand():
    first = transition_paths([np.array([0, 1, 3, 0, 1, 3, 0, 2, 3, 0, 3])], 4, [0], [3], 1.0)
    second = transition_paths([np.array([0, 1, 3, 0, 3])], 4, [0], [3], 1.0)
    assert pathway_distance(first, second) == pytest.approx((0 + 0.25 + 0.25) / 2)
    assert pathway_distance(first, first) == 0


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.zeros(4, dtype=int)]])
def test_no_paths_have_no_mean_and_no_distance(pieces):
    found = transition_paths(pieces, 2, [0], [1], 1.0)
    assert (found.n_paths, found.pathways, found.shares) == (0, {}, {})
    assert np.isnan(found.mean_time)
    assert np.isnan(pathway_distance(found, found))
    assert np.isnan(pathway_distance(None, None))


def test_ends_that_overlap_are_refused():
    with pytest.raises(ValueError, match="share a state"):
        transition_paths([np.array([0, 1])], 2, [0], [0], 1.0)

import re
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.partition import base
from mdlm.partition.base import Discretiser, Partition
from mdlm.partition.grid import Grid
from mdlm.partition.wells import Wells
from mdlm.recrossing.core_set import CoreSet
from mdlm.recrossing.core_set_membership import CoreSetMembership
from mdlm.recrossing.effect import effect
from mdlm.trajectory import Header

HEADER = Header(("x",), (10,), 0.5, "ps")
LINE = Wells(centres={"x": (0.0, 1.0, 2.0)})
PLACES = st.lists(st.floats(-1, 3, width=32), max_size=20)


@dataclass(frozen=True)
class Sigmoid(Discretiser):
    """Two states that share every frame: the second has a share of x."""

    def states(self, frames):
        return (frames[:, 0] > 0.5).astype(np.int32)

    def membership(self, frames):
        return np.maximum(frames[:, 0], 1 - frames[:, 0])


class Shared(Partition):
    has_memberships = True

    def check(self, header):
        pass

    def fit(self, train):
        return Sigmoid(train.columns, ("left", "right"))


@pytest.fixture(scope="module")
def treated(frames):
    """The treated pieces and the leading frames, with states and treatment fitted on frames of every core."""

    def treated(*pieces, partition=LINE, recrossing=None, train=(0.0, 1.0, 2.0)):
        described, train = frames(*pieces), frames(train)
        discretiser = partition.fit(train)
        treatment = (recrossing or CoreSet(radius=0.2)).fit(discretiser, train)
        states = discretiser.assign(described)
        after = treatment.treat(states, described)
        assert (after.n_states, after.frame_time, after.time_unit) == (discretiser.n_states, 0.5, "ps")
        assert after.lengths == states.lengths
        leading = treatment.leading(states, described)
        return effect(states, after, treatment.treat(after, described), leading), after.pieces, leading

    return treated


def test_the_state_changes_only_where_another_core_is_entered(treated):
    """Past the boundary at 0.5 and back is no transition; past it and up to 0.9 is one, counted on arrival."""
    _, (piece,), leading = treated([0.1, 0.4, 0.6, 0.3, 0.6, 0.9, 0.6, 0.4, 1.4, 1.6, 2.1])
    assert piece.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2]
    assert leading == (0,)


def test_frames_before_the_first_core_take_its_state(treated):
    _, (piece,), leading = treated([0.4, 0.6, 1.5, 1.9, 1.4])
    assert piece.tolist() == [2] * 5
    assert leading == (3,)


def test_a_piece_that_never_enters_a_core_becomes_its_most_common_state(treated):
    seen, pieces, leading = treated([0.4, 0.6, 0.7], [0.3], [], [1.0, 0.6])
    assert [piece.tolist() for piece in pieces] == [[1, 1, 1], [0], [], [1, 1]]
    assert leading == (3, 1, 0, 0)
    assert (seen.n_without_core, seen.n_leading) == (2, 0)


def test_a_state_without_a_centre_has_no_core(treated):
    """A radius of the cores beyond that of the wells changes nothing about that."""
    partition = Wells(centres={"x": (0.0, 2.0)}, radius=0.5)
    train = (0.0, 1.0, 2.0)
    _, pieces, leading = treated(
        [0.1, 1.0, 0.9, 1.1, 1.6, 1.0],
        [1.0, 1.1],
        partition=partition,
        recrossing=CoreSet(radius=0.8),
        train=train,
    )
    assert pieces[0].tolist() == [0, 0, 0, 0, 1, 1]
    assert pieces[1].tolist() == [2, 2]  # never in a core: it stays what it was
    assert leading == (0, 2)


def test_membership_decides_where_the_partition_knows_it(treated):
    _, (piece,), leading = treated(
        [0.6, 0.2, 0.1, 0.6, 0.8, 0.95, 0.4],
        partition=Shared(),
        recrossing=CoreSetMembership(threshold=0.9),
    )
    assert piece.tolist() == [0, 0, 0, 0, 0, 1, 1]
    assert leading == (2,)


@given(several=st.lists(PLACES, max_size=4))
def test_treating_twice_is_treating_once_and_each_piece_stands_alone(treated, several):
    seen, pieces, leading = treated(*several)
    assert seen.idempotent
    for places, piece, first in zip(several, pieces, leading, strict=True):
        _, (alone,), (first_alone,) = treated(places)
        assert np.array_equal(piece, alone)
        assert first == first_alone
        states = np.abs(np.array(places, np.float32).reshape(-1, 1) - [0, 1, 2]).argmin(axis=1)
        assert set(piece.tolist()) <= set(states.tolist())


def test_treating_in_chunks_changes_nothing(treated, monkeypatch):
    places = np.random.default_rng(0).uniform(-1, 3, (3, 200))
    places[1, :50] = 0.5
    _, whole, leading = treated(*places)
    monkeypatch.setattr(base, "CHUNK_FRAMES", 7)
    _, chunked, leading_chunked = treated(*places)
    assert all(map(np.array_equal, whole, chunked))
    assert leading == leading_chunked
    assert leading[1] >= 50


@pytest.mark.parametrize(
    ("recrossing", "message"),
    [
        (CoreSet(radius=0.8), "radius (0.8) needs a partition whose states have centres, and Grid has none; take "),
        (CoreSetMembership(threshold=0.9), "threshold (0.9) needs a partition with memberships, and Grid has none; "),
    ],
)
def test_a_partition_that_lacks_what_makes_the_cores_is_refused(recrossing, message):
    with pytest.raises(ValueError, match="^" + re.escape(message)) as raised:
        recrossing.check(HEADER, Grid(low=0.0, high=1.0, n_bins=4))
    assert "\n" not in str(raised.value)


def test_a_partition_that_has_it_is_taken():
    CoreSet(radius=0.8).check(HEADER, LINE)
    CoreSetMembership(threshold=0.9).check(HEADER, Shared())


@pytest.mark.parametrize(("radius", "count"), [(0.01, 0), (0.05, 1)])
def test_cores_that_training_does_not_enter_are_refused(treated, radius, count):
    message = rf"^radius \({radius}\) lets training enter the cores of {count} states; it must enter at least 2$"
    with pytest.raises(ValueError, match=message):
        treated([0.0], recrossing=CoreSet(radius=radius), train=(0.04, 1.1, 2.2))


@pytest.mark.parametrize("radius", [0.0, -1.0, float("inf"), float("nan")])
def test_a_radius_must_be_a_length(radius):
    with pytest.raises(ValueError, match=r"^radius \(.*\) must be above 0 and finite$"):
        CoreSet(radius=radius)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1.1, float("nan")])
def test_a_threshold_must_be_a_membership(threshold):
    with pytest.raises(ValueError, match=r"^threshold \(.*\) must be above 0 and at most 1$"):
        CoreSetMembership(threshold=threshold)

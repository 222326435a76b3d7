"""What a scan tries."""

import pytest

from mdlm.advise.candidates import Given, choices, residence_time, strides
from mdlm.trajectory import Header


def given(*words, partition="basins", recrossing="keep", stride=1, frame_time=1.0, lag_time=100.0):
    return Given(words, partition, recrossing, stride, Header(("x", "y"), (10_000,), frame_time, "ps"), lag_time)


def test_the_users_choice_comes_first_and_everything_is_crossed():
    found = choices(given("system=four_state", "seed=3"))
    assert found[0].name == "basins, keep, stride 1"
    assert [one.is_given for one in found] == [True] * 6 + [False] * 18
    assert {one.partition for one in found} == {"basins", "kmeans 50", "kmeans 200", "pcca"}
    assert {one.recrossing for one in found} == {"keep", "coring 10 ps"}
    assert len({one.name for one in found}) == len(found) == 4 * 2 * 3


def test_words_replace_the_users_own_and_keep_the_others():
    words = ("features=x", "partition=kmeans", "partition.n_states=30", "+recrossing.x=1", "stride=5", "model=gru")
    found = choices(given(*words, partition="kmeans", stride=5))
    assert found[0].words == ("features=x", "model=gru", *words[1:3], "recrossing=keep", "stride=5")
    pcca = next(one for one in found if one.partition == "pcca")
    assert pcca.words == ("features=x", "model=gru", "partition=pcca", "recrossing=keep", "stride=5")


def test_nothing_is_tried_twice():
    assert len({one.partition for one in choices(given(partition="pcca"))}) == 3
    words = ("partition=kmeans", "partition.n_states=50")
    assert {one.partition for one in choices(given(*words, partition="kmeans"))} == {
        *("kmeans n_states=50", "kmeans 200", "pcca")
    }


def test_states_are_not_clustered_but_lumped():
    found = choices(given(partition="labels"))
    assert {one.partition for one in found} == {"labels", "pcca of labels"}
    assert "partition@partition.micro=labels" in found[-1].words


def test_the_users_own_treatment_is_tried_beside_the_others():
    found = choices(given("recrossing=coring", "recrossing.residence_time=4", recrossing="coring"))
    assert found[0].name == "basins, coring residence_time=4, stride 1"
    assert {one.recrossing for one in found} == {"keep", "coring residence_time=4", "coring 10 ps"}


@pytest.mark.parametrize(
    ("lag_time", "frame_time", "own", "expected"),
    [
        (100.0, 1.0, 1, [1, 10, 50]),  # of the strides below the lag that divide it the nearest to 100
        (1000.0, 1.0, 1, [1, 10, 100]),
        (100.0, 1.0, 7, [1, 7, 10, 50]),
        (7.0, 0.5, 1, [1, 7]),
        (1.0, 1.0, 1, [1]),
        (13.0, 1.0, 1, [1]),
    ],
)
def test_strides_divide_the_lag(lag_time, frame_time, own, expected):
    assert strides(given(stride=own, lag_time=lag_time, frame_time=frame_time)) == expected


def test_residence_is_a_tenth_of_the_lag_in_whole_frames_and_never_one_frame():
    assert residence_time(given(lag_time=100.0)) == 10.0
    assert residence_time(given(lag_time=8.0, frame_time=0.5)) == 1.0
    assert residence_time(given(lag_time=4.0)) == 2.0

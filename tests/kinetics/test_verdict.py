import math

import pytest

from mdlm.kinetics.verdict import verdict

PLENTY = {"n_events_data": 60, "n_events_sampled": 200, "min_events": 10}


@pytest.mark.parametrize(
    ("ratio", "low", "high", "sentence"),
    [
        (1.03, 0.92, 1.15, "within the data's own error (ratio 1.03 [0.92, 1.15])"),
        (0.5, 0.4, 0.8, "too fast by 2x [1.25, 2.5]"),
        (4.0, 3.0, 5.0, "too slow by 4x [3, 5]"),
        (4.0, 3.0, math.inf, "too slow by 4x [3, inf]"),
        (0.0, 0.0, 0.01, "too fast by infx [100, inf]"),
        (1.2, math.nan, math.nan, "undecided: too few independent pieces for an interval (ratio 1.2)"),
        (math.nan, math.nan, math.nan, "undecided: the timescale could not be estimated"),
    ],
)
def test_with_enough_events_the_interval_decides(ratio, low, high, sentence):
    assert verdict(ratio, low, high, **PLENTY) == sentence


def test_few_events_in_the_data_are_undecided_however_clear_the_ratio():
    assert verdict(0.01, 0.005, 0.02, 6, 500, 10) == "undecided: 6 events in the data (10 needed)"
    assert verdict(math.inf, 50, math.inf, 1, 0, 10) == "undecided: 1 event in the data (10 needed)"


def test_few_events_in_the_sample_are_undecided_unless_the_ratio_is_clear():
    """Clear means that the whole interval lies beyond a factor of two."""
    assert verdict(1.5, 1.1, 2.0, 60, 3, 10) == "undecided: 3 events in the sample (10 needed)"
    assert verdict(0.6, 0.49, 0.7, 60, 3, 10) == "undecided: 3 events in the sample (10 needed)"
    assert verdict(8.0, 2.1, 40.0, 60, 3, 10) == "too slow by 8x [2.1, 40]"
    assert verdict(0.1, 0.05, 0.4, 60, 0, 10) == "too fast by 10x [2.5, 20]"


def test_a_sample_that_never_crossed_is_too_slow_where_the_data_promise_crossings():
    sentence = verdict(math.inf, 12.0, math.inf, 60, 0, 10, "{0, 1} and {2, 3}")
    assert sentence == "too slow by more than 12x: the sample never crossed between {0, 1} and {2, 3}"


def test_a_short_sample_that_never_crossed_is_undecided():
    sentence = verdict(math.inf, 1.4, math.inf, 60, 0, 10, "{0} and {1}")
    expected = "the sample never crossed between {0} and {1}, and is too short to say more"
    assert sentence == f"undecided: {expected}"


def test_a_sample_that_crossed_one_way_only_is_undecided():
    sentence = verdict(math.inf, math.nan, math.inf, 60, 12, 10, "{0} and {1}")
    assert sentence == "undecided: 12 events in the sample, but the sample crossed between {0} and {1} one way only"

import math

import pytest

from mdlm.kinetics.verdict import overall, verdict

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


def test_a_ratio_within_the_floor_is_not_blamed_on_the_model():
    """The chains agree among themselves better than MD of their length would: their own interval is too narrow."""
    said = verdict(0.8, 0.7, 0.93, **PLENTY, floor=(0.75, 1.35))
    assert said == (
        "within the data's own error (ratio 0.8 [0.7, 0.93]; MD of this length alone score from 0.75 to 1.35)"
    )
    assert verdict(0.7, 0.6, 0.8, **PLENTY, floor=(0.75, 1.35)) == "too fast by 1.43x [1.25, 1.67]"
    assert verdict(1.3, 1.1, 1.5, **PLENTY, floor=(0.75, math.inf)).startswith("within")


def test_an_unknown_floor_decides_nothing():
    assert verdict(0.8, 0.7, 0.93, **PLENTY, floor=(math.nan, math.nan)).startswith("too fast by")


def test_a_wide_floor_does_not_make_up_for_events():
    assert verdict(0.8, 0.7, 0.93, 60, 3, 10, floor=(0.1, 10)) == "undecided: 3 events in the sample (10 needed)"
    assert verdict(1.0, 0.9, 1.1, 3, 60, 10, floor=(0.1, 10)) == "undecided: 3 events in the data (10 needed)"


def test_a_timescale_that_the_sample_does_not_resolve_is_known_from_above_only():
    assert verdict(0.1, 0.05, 0.2, **PLENTY, resolved=False) == "too fast by at least 10x"
    assert verdict(0.0, 0.0, 0.2, **PLENTY, resolved=False) == "too fast by at least infx"
    unresolved = "undecided: the timescale of the sample is too short to be resolved at this lag"
    assert verdict(0.8, 0.5, 1.2, **PLENTY, resolved=False) == unresolved
    assert verdict(0.8, 0.7, 0.9, **PLENTY, floor=(0.7, 1.4), resolved=False) == unresolved


WITHIN = "within the data's own error (ratio 1 [0.9, 1.1])"
FAST, SLOW, UNKNOWN = (
    "too fast by 2x [1.5, 2.5]",
    "too slow by 3x [2, 4]",
    "undecided: 3 events in the data (10 needed)",
)


@pytest.mark.parametrize(
    ("verdicts", "overlap", "sentence"),
    [
        ([WITHIN], 1.0, WITHIN),
        ([WITHIN, WITHIN, UNKNOWN], 1.0, WITHIN),
        ([WITHIN, FAST], 1.0, f"{WITHIN}; but t3 is {FAST}"),
        ([WITHIN, UNKNOWN, SLOW], 1.0, f"{WITHIN}; but t4 is {SLOW}"),
        ([WITHIN, FAST, SLOW], 1.0, f"{WITHIN}; but t3 is {FAST}, t4 is {SLOW}"),
        ([FAST, WITHIN], 1.0, FAST),
        ([SLOW, FAST], 0.1, SLOW),
        ([UNKNOWN, FAST], 1.0, UNKNOWN),
        ([WITHIN], math.nan, WITHIN),
        (
            [WITHIN, WITHIN],
            0.12,
            "undecided: t2 agrees (ratio 1 [0.9, 1.1]), but the slowest process of the sample is another "
            "(overlap 0.12)",
        ),
    ],
)
def test_the_slowest_process_decides_and_faster_ones_qualify(verdicts, overlap, sentence):
    assert overall(verdicts, overlap) == sentence

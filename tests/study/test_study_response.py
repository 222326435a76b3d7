import math

import numpy as np
import pandas as pd
import pytest

from mdlm.study.response import make_response

NAN = math.nan


def rows_of(*runs):
    """Status, ratio, low, high."""
    names = ["status", "t2_ratio_to_data", "t2_ratio_to_data_low", "t2_ratio_to_data_high"]
    return pd.DataFrame(runs, columns=names)


def test_the_error_is_the_absolute_logarithm_either_way():
    rows = rows_of(("finished", 0.5, 0.45, 0.55), ("finished", 2.0, 1.9, 2.1))
    response = make_response(rows)
    assert response.values == pytest.approx([math.log(2)] * 2)
    assert make_response(rows, "ratio").values == pytest.approx([-math.log(2), math.log(2)])


def test_an_error_below_half_the_width_of_the_widest_interval_is_set_to_that():
    response = make_response(rows_of(("finished", 1.0, 0.8, 1.25), ("finished", 3.0, 2.7, 3.3)))
    assert response.values == pytest.approx([math.log(1.25), math.log(3)])
    assert response.raw == pytest.approx([0.0, math.log(3)])
    assert response.floored.tolist() == [True, False]
    assert (
        "a factor of 1.25 (half the width of the widest interval of a ratio), is set to the floor: 1 of 2"
        in (response.rules[1])
    )


def test_a_floor_that_runs_state_comes_before_their_intervals():
    """A perfect sample would be off by a factor of 1.1; one run does not know that factor."""
    rows = rows_of(*[("finished", 1.05, 0.8, 1.25)] * 2, ("finished", 1.3, 1.2, 1.4))
    response = make_response(rows.assign(t2_ratio_floor_factor=[1.1, NAN, 1.1]))
    assert response.values == pytest.approx([math.log(1.1), math.log(1.1), math.log(1.3)])
    assert response.floored.tolist() == [True, True, False]
    assert "floor, a factor of 1.1 (the most that molecular dynamics as long as" in response.rules[1]


def test_the_largest_floor_of_a_decided_run_holds_for_all_so_that_short_samples_are_not_blamed_for_it():
    rows = rows_of(*[("finished", 1.05, 0.8, 1.25)] * 2, ("undecided", 1.0, 0.2, 5.0), ("finished", 0.5, 0.4, 0.6))
    response = make_response(rows.assign(t2_ratio_floor_factor=[1.2, 1.6, 4.0, 1.1]))
    np.testing.assert_allclose(response.values, [math.log(1.6), math.log(1.6), NAN, math.log(2)])
    assert "a factor of 1.6 (" in response.rules[1]
    assert response.rules[1].endswith("is set to the floor: 2 of 3 decided runs")


def test_undecided_failed_and_missing_runs_are_not_analysed_but_undecided_ones_keep_bounds():
    rows = rows_of(
        ("undecided", 0.9, 0.5, 1.5),  # covers one: the error may be nothing, or a factor of two
        ("undecided", 3.0, 2.0, 8.0),
        ("failed", NAN, NAN, NAN),
        ("missing", NAN, NAN, NAN),
    )
    response = make_response(rows)
    assert not response.analysed.any()
    np.testing.assert_allclose(response.low[:2], [0.0, math.log(2)])
    np.testing.assert_allclose(response.high[:2], [math.log(2), math.log(8)])
    assert np.isnan(response.low[2:]).all()


def test_a_sample_that_never_crossed_stands_at_its_bound_and_the_reader_is_told():
    """Left out, the worst runs would make their levels look good."""
    rows = rows_of(("finished", NAN, 5.0, NAN), ("finished", 0.05, 0.04, 0.06), ("undecided", NAN, 2.0, NAN))
    verdicts = ["too slow by more than 5x: the sample never crossed", "too fast by at least 20x", "undecided: 3 events"]
    rows = rows.assign(t2_ratio_floor_factor=1.1, verdict=verdicts)
    response = make_response(rows)
    np.testing.assert_allclose(response.values, [math.log(5), math.log(20), NAN])
    assert response.rules[-1] == "2 decided runs are off by at least what they are analysed with"
    assert response.high[0] == response.high[2] == math.inf
    np.testing.assert_allclose(make_response(rows, "ratio").values, [math.log(5), -math.log(20), NAN])


def test_another_metric_is_taken_as_its_logarithm_or_as_it_is_if_it_is_one():
    rows = pd.DataFrame({"status": ["finished"] * 2, "tv": [0.5, 0.0], "mfpt_log_error_rms": [0.3, 0.0]})
    response = make_response(rows, "tv")
    assert response.values[0] == pytest.approx(math.log(0.5))
    assert np.isnan(response.values[1])
    assert make_response(rows, "mfpt_log_error_rms").values == pytest.approx([0.3, 0.0])


def test_a_metric_that_no_run_has_is_refused():
    with pytest.raises(ValueError, match=r"^response \(t3\) needs the metric t3, which no run has; known are error"):
        make_response(rows_of(("finished", 1.0, 0.9, 1.1)), "t3")

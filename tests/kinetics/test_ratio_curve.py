import numpy as np
import pytest

from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.estimate import AtLag
from mdlm.kinetics.msm import reversible_transition_matrix
from mdlm.kinetics.ratio_curve import RatioCurve, extended, ratio_curve, ratio_lag_times
from mdlm.trajectory import Dtraj


def point(lag_time, t2, *samples):
    transition = reversible_transition_matrix(np.array([[3, 1], [1, 3]]))
    return AtLag(lag_time, transition, np.array([t2]), np.array(samples or [t2])[:, None])


def test_ratios_and_bounds_are_those_of_independent_resamples():
    """Of three samples, 2, 4 and 8 times, the bounds are the outermost: percentiles are never interpolated inwards."""
    curve = ratio_curve([point(1.0, 40.0, 20, 40, 80)], [point(1.0, 10.0, 10, 10, 10)], confidence=0.9)
    assert curve.ratios.tolist() == [4]
    np.testing.assert_allclose([curve.low[0], curve.high[0]], [2, 8])


def test_the_worst_is_the_furthest_as_a_factor_and_the_share_counts_the_right_ones():
    curve = RatioCurve(np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.2, 0.5, 1.9, 0.9]), np.zeros(4), np.ones(4))
    assert curve.worst == (0.5, 2.0)
    assert curve.share_right == 0.5
    assert curve.metrics("ps") == {
        "t2_ratio_to_data_worst": 0.5,
        "t2_ratio_to_data_worst_lag_ps": 2.0,
        "t2_ratio_to_data_best": 0.9,
        "t2_ratio_to_data_best_lag_ps": 8.0,
        "t2_ratio_to_data_share_right": 0.5,
    }


@pytest.mark.parametrize("unknown", [np.nan, np.inf, 0.0])
def test_a_sample_that_never_crosses_or_is_not_estimated_is_the_worst(unknown):
    curve = ratio_curve(
        [point(1.0, 2.0), point(2.0, unknown), point(3.0, 9.0)], [point(lag, 1.0) for lag in (1.0, 2.0, 3.0)], 0.9
    )
    ratio, lag = curve.worst
    np.testing.assert_equal(ratio, unknown)
    assert lag == 2
    assert np.isnan(curve.metrics("ps")["t2_ratio_to_data_worst"]) == (unknown != 0)


def test_lags_reach_from_a_token_to_a_tenth_of_t2():
    assert ratio_lag_times(1000.0, 0.5, 4) == [0.5, 3.0, 17.0, 100.0]
    assert ratio_lag_times(3.0, 0.5, 4) == [0.5]
    for t2 in (np.inf, np.nan):
        with pytest.raises(ValueError, match=r"^t2 \(\w+\) must be finite"):
            ratio_lag_times(t2, 1.0, 3)
    with pytest.raises(ValueError, match=r"^n_lags \(0\) must be at least 1$"):
        ratio_lag_times(10.0, 1.0, 0)


def test_a_curve_without_lags_has_no_numbers_and_says_so():
    curve = ratio_curve([], [], 0.9)
    assert np.isnan([*curve.metrics("ps").values()]).all()
    assert "not known" in curve.sentence("ps")


def test_the_best_is_the_best_of_those_that_are_known():
    curve = RatioCurve(np.array([1.0, 2.0, 4.0]), np.array([np.nan, np.inf, 0.5]), np.zeros(3), np.ones(3))
    assert curve.best == (0.5, 4.0)
    assert np.isnan(curve.worst[0])


def test_a_curve_of_timescales_gets_the_lags_it_lacks():
    """Of 2, 9, 43 and 200 only those beyond its end; none longer than allowed."""
    assert extended([2.0, 10.0], 2000.0, 2.0, 4, longest=1000) == [2.0, 10.0, 44.0, 200.0]
    assert extended([2.0, 10.0], 2000.0, 2.0, 4, longest=99) == [2.0, 10.0, 44.0]
    assert extended([2.0, 10.0], 60.0, 2.0, 4, longest=99) == [2.0, 10.0]  # a tenth of t2 is 6
    assert extended([2.0, 10.0], np.inf, 2.0, 4, longest=99) == [2.0, 10.0]


def test_different_lags_are_refused():
    with pytest.raises(ValueError, match=r"^sampled has the lags \[1.0\]; it must have those of the data, \[2.0\]$"):
        ratio_curve([point(1.0, 1.0)], [point(2.0, 1.0)], 0.9)


def test_a_chain_twice_as_slow_has_twice_the_t2_at_every_lag(sample_chain):
    """Hop probability 0.01 and 0.005 per frame: -1 / ln(1 - 2 p), within the interval at every lag."""

    def chain(hop, seed):
        pieces = sample_chain(np.array([[1 - hop, hop], [hop, 1 - hop]]), 40, 10_000, seed)
        return Dtraj(pieces, 2.0, "ps", 2)

    data, sampled = chain(0.01, 1), chain(0.005, 2)
    judge = Kinetics(lag_time=4.0, n_lags=3, confidence=0.99).judge(data, data, data, None, seed=0)
    curve = judge.compare(sampled).t2_ratio_curve
    expected = np.log(1 - 0.02) / np.log(1 - 0.01)
    assert curve.lag_times.tolist() == [2.0, 4.0, 8.0, 10.0]  # a tenth of 99 ps is beyond twice the judged lag
    assert (curve.low < expected).all()
    assert (expected < curve.high).all()
    assert (curve.high / curve.low < 1.5).all()
    floor = judge.ratio_floor(curve.lag_times.tolist(), sampled)
    short = judge.ratio_floor([2.0], Dtraj(sampled.pieces[:4], 2.0, "ps", 2))[0]
    assert len(floor) == 4
    assert all(bounds.low < 1 < bounds.high for bounds in floor)
    widths = [np.log(bounds.high / bounds.low) for bounds in (short, floor[0])]
    assert widths[0] / widths[1] == pytest.approx(np.sqrt((10 + 1) / (1 + 1)), rel=0.3)  # a tenth as long as the data


def test_lags_at_which_the_data_have_no_t2_are_left_out(sample_chain):
    """Every second step leads back at once: at one frame the only eigenvalue is -0.9, at two frames 0.81."""
    flip = np.array([[0.05, 0.95], [0.95, 0.05]])
    dtraj = Dtraj(sample_chain(flip, 20, 2000, 1), 1.0, "ps", 2)
    judge = Kinetics(lag_time=2.0, n_lags=3).judge(dtraj, dtraj, dtraj, None, seed=0)
    curve = judge.compare(dtraj).t2_ratio_curve
    assert set(curve.lag_times.tolist()) <= set(judge.curve_lags)
    assert np.isfinite(curve.ratios).all()

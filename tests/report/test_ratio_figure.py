import io
from types import SimpleNamespace

import numpy as np
from matplotlib.figure import Figure

from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.ratio_curve import RatioCurve
from mdlm.report.comparison_figures import draw_ratio


def drawn(curve, floor):
    figure = Figure()
    comparison = SimpleNamespace(t2_ratio_curve=curve, lag_time=4.0, time_unit="ps")
    draw_ratio(figure, comparison, floor, ("training data", "model"))
    figure.savefig(io.BytesIO(), format="png")
    return figure.axes[0]


def test_the_ratio_is_drawn_with_units_and_without_what_is_infinite():
    ratios = np.array([0.5, np.inf, 1.2])
    curve = RatioCurve(np.array([1.0, 4.0, 16.0]), ratios, 0.8 * ratios, 1.3 * ratios)
    axes = drawn(curve, [Interval(1.0, 0.8, 1.3)] * 3)
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), [0.5, np.nan, 1.2])
    assert axes.get_xlabel().startswith("lag (ps)")
    assert axes.get_ylabel() == "t2 of model / t2 of training data"
    assert axes.get_xscale() == axes.get_yscale() == "log"


def test_a_curve_without_lags_leaves_an_empty_figure_that_says_so():
    axes = drawn(RatioCurve(*np.zeros((4, 0))), [])
    assert [text.get_text() for text in axes.texts] == ["nothing could be estimated"]

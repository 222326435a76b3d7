import io
import math

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from mdlm.baselines.judgement import BaselineResult
from mdlm.kinetics.comparison import Interval
from mdlm.report.baseline_table import against_model, baseline_rows, baseline_table
from mdlm.report.context_figure import draw_context
from mdlm.training.context import ContextCurve, Gain

MODEL = (Interval(0.97, 0.9, 1.05), 0.113, 400)


def result(name, nll, note="", ratio=0.05):
    times = (Interval(ratio * 8000, math.nan, math.nan),)
    return BaselineResult(name, f"{name} chain", times, Interval(ratio, ratio / 2, ratio * 2), nll, 12, note)


def test_every_baseline_has_a_row_and_the_model_comes_last():
    rows = baseline_rows([result("markov", 0.17, "order 1"), result("msm", math.nan), result("hmm", math.inf)], MODEL)
    assert rows[0] == ("markov chain", "0.05 [0.025, 0.1]", "0.17000", "12", "order 1")
    assert [row[2] for row in rows] == ["0.17000", "none", "impossible", "0.11300"]
    assert rows[-1] == ("model", "0.97 [0.9, 1.05]", "0.11300", "400", "")


def test_a_baseline_that_beats_the_model_is_named_with_what_it_was():
    results = [result("markov", 0.17), result("trigram", 0.103, "order 3"), result("msm", math.nan)]
    assert against_model(results, MODEL) == (
        "A trigram chain (order 3) predicts held-out data better than the model (0.103 against 0.113 nats per frame)."
    )


def test_equal_likelihoods_and_errors_within_the_floor_beat_nobody():
    results = [result("markov", 0.17), result("hmm", 0.11299, ratio=1.0)]
    assert against_model(results, MODEL, floor_factor=1.2) == "No baseline does better than the model."


def test_a_model_that_rules_out_what_happened_is_beaten_by_any_that_does_not():
    ruled_out = (MODEL[0], math.inf, MODEL[2])
    assert against_model([result("markov", 0.17)], ruled_out).startswith("A markov chain predicts held-out data better")
    assert against_model([result("hmm", math.inf)], ruled_out) == "No baseline does better than the model."


def test_the_table_fits_its_width():
    console = Console(file=io.StringIO(), width=110)
    console.print(baseline_table([result("hmm", 0.1, "8 hidden states, stopped after 30 iterations")], MODEL))
    text = console.file.getvalue()
    assert "8 hidden states" in text
    assert max(map(len, text.splitlines())) <= 110


def test_the_figure_has_units_on_every_axis():
    zero = Gain(0.0, 0.0, 0.0)
    gains = (zero, Gain(0.1, 0.05, 0.15), Gain(0.12, 0.06, 0.18))
    curve = ContextCurve(
        lengths=np.array([1, 2, 4]),
        token_time=0.5,
        time_unit="ps",
        nll=np.array([0.3, 0.2, 0.18]),
        gains=gains,
        remaining=(gains[2], Gain(0.02, 0.01, 0.03), zero),
        steps=(gains[1], Gain(0.02, 0.01, 0.03)),
        markov_nll=0.25,
        markov_gain=Gain(0.07, 0.03, 0.1),
        confidence=0.9,
        n_targets=640,
        n_impossible=0,
    )
    figure = Figure()
    draw_context(figure, curve, "ps")
    figure.savefig(io.BytesIO(), format="png")
    (axes,) = figure.axes
    (above,) = axes.child_axes
    assert above.get_xlabel() == "history (ps)"
    assert axes.get_ylabel().endswith("(nats/token)")
    model = axes.lines[0]
    np.testing.assert_array_equal(model.get_xdata(), [1, 2, 4])
    np.testing.assert_array_equal(model.get_ydata(), [0.3, 0.2, 0.18])
    assert above.get_xlim() == tuple(0.5 * limit for limit in axes.get_xlim())

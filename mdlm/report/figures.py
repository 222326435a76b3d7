"""The figures of a run or an evaluation, data and sample in the same panel; each as PNG and SVG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mdlm.report.comparison_figures import draw_mfpt, draw_populations, draw_ratio, draw_timescales
from mdlm.report.context_figure import draw_context
from mdlm.report.details_figures import (
    draw_autocorrelation,
    draw_chapman_kolmogorov,
    draw_drift,
    draw_dwell,
    grid_of,
    most_populated,
)
from mdlm.report.partition_figures import draw_diagnosis, draw_landscape
from mdlm.report.run_folder import write_atomically
from mdlm.report.sequence_figures import draw_surfaces, draw_traces
from mdlm.report.style import DATA, MARKOV, MODEL, STYLE, logarithmic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mdlm.evaluation import Evaluation
    from mdlm.kinetics.details import Details
    from mdlm.outcome import Learning, Outcome, TrainingCurve

Drawing = tuple[Callable[["Figure"], None], tuple[float, float]]
"""What draws a figure, and its size in inches."""


def draw_all(outcome: Outcome, directory: Path) -> Path:
    """Draw every figure into ``directory`` and return it."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    drawings = _of_evaluation(outcome.evaluation, _labels(outcome))
    if outcome.learning:
        drawings |= _of_learning(outcome.learning, outcome.evaluation)
    with mpl.rc_context(STYLE):
        for name, (draw, size) in drawings.items():
            figure = Figure(figsize=size)  # without pyplot: no window system, nothing kept open
            draw(figure)
            _write(figure, directory / name)
    return directory


def _write(figure: Figure, path: Path) -> None:
    """Write a figure as PNG and SVG; `savefig` would draw it five times for the two, and that is what takes long."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.image import imsave

    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    figure.set_layout_engine("none")  # laid out once, not for every file again
    pixels = partial(imsave, arr=canvas.buffer_rgba(), format="png", dpi=figure.dpi)  # type: ignore[no-untyped-call]
    write_atomically(path.with_suffix(".png"), pixels)
    # No date in the file, so that the same numbers give the same bytes.
    write_atomically(path.with_suffix(".svg"), partial(FigureCanvasSVG(figure).print_svg, metadata={"Date": None}))


def _labels(outcome: Outcome) -> tuple[str, str]:
    """What data and sample are called."""
    return ("training data", "model") if outcome.learning else ("reference", "sampled")


def _of_evaluation(evaluation: Evaluation, labels: tuple[str, str]) -> dict[str, Drawing]:
    c, sequences = evaluation.comparison, evaluation.sequences
    names = sequences.lumping.names
    both = (sequences.token_macrostates, sequences.sampled_macrostates)
    drawings: dict[str, Drawing] = {
        "timescales": (lambda figure: draw_timescales(figure, c, labels), (5.2, 3.6)),
        "ratio": (lambda figure: draw_ratio(figure, c, evaluation.ratio_floor, labels), (5.2, 3.4)),
        "traces": (lambda figure: draw_traces(figure, *both, names, labels), (7.2, 3.6)),
        "populations": (lambda figure: draw_populations(figure, c, names, labels), (5.2, 3.8)),
    }
    drawings |= _of_details(evaluation.details, names, labels)
    if len(c.set_names) > 1:
        drawings["mfpt"] = (lambda figure: draw_mfpt(figure, c, labels), (9.0, 3.0))
    return drawings


def _of_details(details: Details, names: Sequence[str], labels: tuple[str, str]) -> dict[str, Drawing]:
    """Empty for alphabets that are too large for a curve of each state."""
    if not details.data.dwells:
        return {}
    n_rows, _ = grid_of(len(most_populated(details)))
    size = (7.2, 0.4 + 2.2 * n_rows)
    drawn = {
        "dwell": (draw_dwell, size),
        "autocorrelation": (draw_autocorrelation, size),
        "chapman_kolmogorov": (draw_chapman_kolmogorov, size),
        "drift": (draw_drift, (5.2, 4.0)),
    }
    return {
        name: (partial(draw, details=details, names=names, labels=labels), size) for name, (draw, size) in drawn.items()
    }


def _of_learning(learning: Learning, evaluation: Evaluation) -> dict[str, Drawing]:
    c, sequences, stages = evaluation.comparison, evaluation.sequences, learning.stages
    token_time = sequences.tokens.frame_time
    drawings: dict[str, Drawing] = {
        "partition": (lambda figure: draw_diagnosis(figure, learning.diagnosis, c.lag_time, token_time), (7.2, 5.6)),
    }
    context = learning.context
    if context:
        drawings["context"] = (lambda figure: draw_context(figure, context, c.time_unit), (5.2, 3.6))
    if learning.curve.history:
        drawings["training"] = (lambda f: draw_training(f, learning.curve, c.markov_entropy_rate), (5.2, 3.2))
    if len(stages.discretiser.columns) == 2 and stages.has_frames():
        described, labels = stages.described.train, ("training data", "model")
        of_frames = (described, sequences.data, sequences.sampled)
        drawings["landscape"] = (lambda figure: draw_landscape(figure, described, stages.discretiser), (5.2, 4.2))
        drawings["surfaces"] = (lambda figure: draw_surfaces(figure, *of_frames, labels), (7.6, 3.4))
    return drawings


def draw_training(figure: Figure, curve: TrainingCurve, entropy_rate: float) -> None:
    """Losses per epoch beside what a Markov chain of order one reaches."""
    from matplotlib.ticker import MaxNLocator

    history = curve.history
    epochs = [epoch.epoch for epoch in history]
    axes = figure.subplots()
    axes.plot(epochs, [e.train_nll for e in history], color=DATA, marker="o", markersize=3, label="training")
    held_out = [e.validation_nll for e in history]
    axes.plot(epochs, held_out, color=MODEL, marker="s", markersize=3, label="validation")
    axes.axhline(entropy_rate, color=MARKOV, linestyle=":", linewidth=1, label="Markov entropy rate")
    axes.axvline(curve.best_epoch, color="0.7", linewidth=0.8, zorder=0)
    logarithmic(axes, np.array([e.train_nll for e in history]))  # the first epoch is far above the others
    axes.set_xlabel("epoch; the grey line marks the model kept")
    axes.set_ylabel("negative log-likelihood (nats/token)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend(fontsize=7)

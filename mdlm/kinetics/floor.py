"""The data-limited floor: how far the estimator scatters on molecular dynamics of a given length."""

from __future__ import annotations

import numpy as np

from mdlm.kinetics.bootstrap import block_edges, percentile_interval, timescale_samples
from mdlm.kinetics.comparison import Floor, Interval
from mdlm.kinetics.counts import piece_count_matrices
from mdlm.kinetics.events import SlowSides
from mdlm.trajectory import Dtraj, FloatArray

MIN_PIECES = 5  # blocks that a length must hold for a scatter to be given


def pieces_of_length(
    dtraj: Dtraj,
    n_frames: int,
    lag_time: float,
    n_timescales: int,
    sides: SlowSides,
    n_samples: int,
    rng: np.random.Generator,
) -> FloatArray:
    """Estimate the timescales of random molecular dynamics of a given length, again and again.

    Each sample joins blocks drawn with replacement, as many as make ``n_frames``: the m-out-of-n bootstrap, whose
    scatter is that of the estimator on m blocks however many the data hold. (Subsets drawn without replacement would
    overlap the more the closer their length comes to that of the data, and scatter too little.) Blocks are whole
    pieces, or contiguous parts of at most a fifth of ``n_frames`` and at least ten lags.

    Args:
        dtraj: All molecular dynamics.
        n_frames: The length.
        lag_time: Of the estimates, in the time unit.
        n_timescales: How many.
        sides: The two sides of the slowest process; where they are not both held, t2 is infinite.
        n_samples: How many samples.
        rng: Draws the blocks.

    Returns:
        Shape ``(n_samples, n_timescales)``; NaN where ``n_frames`` holds fewer than five blocks.

    Source: Bickel, Goetze & van Zwet, Stat. Sinica 7, 1 (1997).
    """
    lag = dtraj.lag_frames(lag_time)
    edges = block_edges(dtraj.lengths, lag, n_frames // (2 * MIN_PIECES))
    n_blocks = sum(len(cuts) - 1 for cuts in edges)
    n_drawn = round(n_frames * n_blocks / max(dtraj.n_frames, 1))
    if n_drawn < MIN_PIECES:
        return np.full((n_samples, n_timescales), np.nan)
    rows = piece_count_matrices(dtraj.pieces, dtraj.n_states, lag, edges)
    weights = rng.multinomial(n_drawn, np.full(n_blocks, 1 / n_blocks), size=n_samples)
    return timescale_samples(rows, weights, lag_time, n_timescales, sides)


def data_floor(of_sample: FloatArray, of_data: FloatArray, duration: float, longer: bool, confidence: float) -> Floor:
    """Summarise the scatter.

    Args:
        of_sample: Timescales of molecular dynamics as long as the sample, shape ``(n_samples, n_timescales)``.
        of_data: Independently, of molecular dynamics as long as the training data, same shape.
        duration: Length behind ``of_sample``, in the time unit.
        longer: Whether the sample is longer than the training data.
        confidence: Probability mass between the bounds.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        ratios = of_sample / of_data
    return Floor(duration, longer, _intervals(of_sample, confidence), _intervals(ratios, confidence))


def _intervals(samples: FloatArray, confidence: float) -> tuple[Interval, ...]:
    low, high = percentile_interval(samples, confidence)
    middle = percentile_interval(samples, 0.0)[0]
    return tuple(map(Interval, middle.tolist(), low.tolist(), high.tolist()))

"""What partition, recrossing treatment and stride did to the data, before any model is trained on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.autocorrelation import state_autocorrelation
from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.estimate import curve_lag_times, markov_state_model, model_timescales
from mdlm.kinetics.events import slow_sides
from mdlm.kinetics.populations import populations
from mdlm.trajectory import Dtraj, FloatArray, IntArray

N_LAGS = 8


@dataclass(frozen=True)
class Autocorrelation:
    """`mdlm.kinetics.autocorrelation.state_autocorrelation` against time.

    Attributes:
        times: Shape ``(n_lags,)``, in the time unit; the first is one frame.
        values: Same shape.
    """

    times: FloatArray
    values: FloatArray


@dataclass(frozen=True)
class Diagnosis:
    """The state sequence a model is given, as its partition sees it.

    Attributes:
        lag_times: Shape ``(n_lags,)``, in the time unit, from one frame to twice the judged lag.
        timescales: Implied timescales of a Markov state model of the partition's own states, shape
            ``(n_lags, n_timescales)``. Where the slowest one rises with the lag, the states alone do not carry
            the slow process at short lags: a model needs memory there.
        populations: Share of the frames in each state, shape ``(n_states,)``.
        departures: Transitions out of each state into another, shape ``(n_states,)``.
        before: Autocorrelation at the frame time of the molecular dynamics, before the recrossing treatment.
        after: Of the tokens: after treatment and stride.
        time_unit: Unit of every time here.
    """

    lag_times: FloatArray
    timescales: FloatArray
    populations: FloatArray
    departures: IntArray
    before: Autocorrelation
    after: Autocorrelation
    time_unit: str

    def metrics(self) -> dict[str, float]:
        """The numbers under their logged names."""
        visited = self.populations[self.populations > 0]
        return {
            f"partition_t2_one_frame_{self.time_unit}": float(self.timescales[0, 0]),
            f"partition_t2_longest_lag_{self.time_unit}": float(self.timescales[-1, 0]),
            "n_states_visited": float(len(visited)),
            "smallest_population": float(visited.min()),
            "fewest_departures": float(self.departures[self.populations > 0].min()),
            "autocorrelation_one_frame": float(self.before.values[0]),
            "autocorrelation_one_token": float(self.after.values[0]),
        }


def diagnose(states: Dtraj, treated: Dtraj, tokens: Dtraj, lag_time: float, n_timescales: int) -> Diagnosis:
    """Describe training data on their way from the partition to the model.

    Args:
        states: As the partition gives them.
        treated: After the recrossing treatment, at the same frame time.
        tokens: After the stride.
        lag_time: The judged lag, in the time unit.
        n_timescales: Timescales to give; fewer where the alphabet is too small.
    """
    lags = curve_lag_times(lag_time, treated.frame_time, N_LAGS)
    n_timescales = min(n_timescales, treated.n_states - 1)
    models = [markov_state_model(treated, lag) for lag in lags]
    times = [model_timescales(m, lag, n_timescales, slow_sides(m)) for m, lag in zip(models, lags, strict=True)]
    counts = transition_counts(treated.pieces, treated.n_states)
    return Diagnosis(
        lag_times=np.array(lags),
        timescales=np.stack(times),
        populations=populations(treated.pieces, treated.n_states),
        departures=counts.sum(axis=1) - counts.diagonal(),
        before=_autocorrelation(states, lag_time),
        after=_autocorrelation(tokens, lag_time),
        time_unit=tokens.time_unit,
    )


def _autocorrelation(states: Dtraj, lag_time: float) -> Autocorrelation:
    frames = np.round(np.array(curve_lag_times(lag_time, states.frame_time, 2 * N_LAGS)) / states.frame_time)
    lags = frames.astype(np.intp)
    return Autocorrelation(lags * states.frame_time, state_autocorrelation(states.pieces, states.n_states, lags))

"""The details of one sequence: every distribution and curve that is compared or drawn."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.autocorrelation import indicator_autocorrelations
from mdlm.kinetics.chapman_kolmogorov import ChapmanKolmogorov, chapman_kolmogorov
from mdlm.kinetics.counts import count_matrix
from mdlm.kinetics.detailed_balance import DetailedBalance, detailed_balance
from mdlm.kinetics.drift import Drift, drift
from mdlm.kinetics.dwell import DwellTimes, dwell_times
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import SlowSides
from mdlm.kinetics.free_energy import free_energies
from mdlm.kinetics.markov_order import OrderEntropy, order_entropy
from mdlm.kinetics.mfpt import log_error_rms, mfpt_matrix
from mdlm.kinetics.passage import PassageTimes, trajectory_mfpt
from mdlm.kinetics.populations import populations
from mdlm.kinetics.transition_paths import TransitionPaths, transition_paths
from mdlm.kinetics.transitions import n_changes
from mdlm.kinetics.visits import Visits
from mdlm.trajectory import Dtraj, FloatArray, IntArray

ORDERS = (0, 1, 2, 3)
N_PARTS = 10

Done = Callable[[str], None]
"""Told what has just been computed."""


@dataclass(frozen=True)
class Plan:
    """What is computed of both sequences, the same for both.

    Attributes:
        lag_time: The judged lag, in the time unit.
        token_time: Time per token, in the time unit.
        sets: Named sets of states for first-passage times.
        sides: The two sides of the slowest process.
        path_ends: The two states between which transition paths go; None where there are not two sides.
        lags: Lags of the autocorrelation, in tokens.
        per_state: Whether dwell times, autocorrelations, the Chapman-Kolmogorov test and the drift of t2 are computed.
        seed: Of whatever is random.
    """

    lag_time: float
    token_time: float
    sets: Mapping[str, IntArray]
    sides: SlowSides
    path_ends: tuple[int, int] | None
    lags: IntArray
    per_state: bool
    seed: int


@dataclass(frozen=True)
class SequenceDetails:
    """Everything that is compared between data and sample, of one of them; every time in the time unit.

    What goes from one token to the next (visits, dwells, paths, entropies, transitions) is at the token time, what has
    a lag at the judged lag.

    Attributes:
        populations: Share of the frames in each state, shape ``(n_states,)``.
        free_energies: In kT above the most populated state, same shape; infinite where never visited.
        n_visits: Visits to each state at the token time, same shape.
        transitions: Transitions over one token, shape ``(n_states, n_states)``, from every frame of the sequence.
        n_changes: Changes of state over one token: of the sequence's ``stride`` offsets the mean.
        duration: Time in which they were counted.
        dwells: Dwell times of each state; empty for a large alphabet.
        passage: First-passage times between the sets, from the trajectories.
        mfpt_msm: The same from the Markov state model, shape ``(n_sets, n_sets)``; see `mdlm.kinetics.mfpt`.
        chapman_kolmogorov: The test at the judged lag; None for a large alphabet.
        acf_times: Times of the autocorrelation, shape ``(n_lags,)``, beginning with zero.
        acf: Autocorrelation of each state's indicator, shape ``(n_states, n_lags)``; no rows for a large alphabet.
        detailed_balance: Its violation at the judged lag.
        paths: Transition paths from the first of the path's ends to the second; None where there are none to name.
        paths_back: Those from the second to the first.
        entropies: Of Markov models of order 0, 1, 2, 3 on the tokens; fewer where the alphabet is too large.
        drift: Populations and t2 along the pieces.
    """

    populations: FloatArray
    free_energies: FloatArray
    n_visits: IntArray
    transitions: IntArray
    n_changes: float
    duration: float
    dwells: tuple[DwellTimes, ...]
    passage: PassageTimes
    mfpt_msm: FloatArray
    chapman_kolmogorov: ChapmanKolmogorov | None
    acf_times: FloatArray
    acf: FloatArray
    detailed_balance: DetailedBalance
    paths: TransitionPaths | None
    paths_back: TransitionPaths | None
    entropies: tuple[OrderEntropy, ...]
    drift: Drift

    def metrics(self, name: str, time_unit: str) -> dict[str, float]:
        """The numbers under their logged names, each with ``name`` in it."""
        balance = self.detailed_balance
        values = {
            f"changes_of_state_{name}_per_{time_unit}": self.n_changes / self.duration if self.duration else np.nan,
            f"mfpt_msm_disagreement_log_rms_{name}": log_error_rms(self.mfpt_msm, self.passage.times),
            f"net_flux_{name}": balance.net_flux,
            f"net_flux_by_chance_{name}": balance.net_flux_by_chance,
            f"entropy_production_{name}_nats_per_lag": balance.entropy_production,
            f"entropy_production_by_chance_{name}_nats_per_lag": balance.entropy_production_by_chance,
            f"detailed_balance_p_value_{name}": balance.p_value,
            f"population_drift_{name}": self.drift.largest_trend,
            f"population_drift_in_errors_{name}": self.drift.largest_trend_in_errors,
        }
        if len(self.drift.t2):
            with np.errstate(invalid="ignore", divide="ignore"):  # a part without slow events has an infinite or no t2
                values[f"t2_last_part_over_first_{name}"] = float(self.drift.t2[-1] / self.drift.t2[0])
        if self.chapman_kolmogorov is not None:
            values[f"chapman_kolmogorov_max_{name}"] = self.chapman_kolmogorov.max_error
            values[f"chapman_kolmogorov_rms_{name}"] = self.chapman_kolmogorov.rms_error
        for way, paths in (("there", self.paths), ("back", self.paths_back)):
            if paths is not None:
                values[f"n_transition_paths_{way}_{name}"] = float(paths.n_paths)
                values[f"transition_path_time_{way}_{name}_{time_unit}"] = paths.mean_time
        for entropy in self.entropies:
            values[f"markov_{entropy.order}_cross_entropy_{name}_nats_per_token"] = entropy.held_out
            values[f"markov_{entropy.order}_entropy_{name}_nats_per_token"] = entropy.plug_in
        return values


def sequence_details(dtraj: Dtraj, plan: Plan, done: Done) -> SequenceDetails:
    """Compute the details of one sequence.

    Args:
        dtraj: At the token time, or at a frame time of which that is a multiple.
        plan: What is computed.
        done: Told after each part.
    """
    stride = dtraj.lag_frames(plan.token_time)
    tokens = dtraj.strided(stride)
    lag, n_states = dtraj.lag_frames(plan.lag_time), dtraj.n_states
    shares = populations(dtraj.pieces, n_states)
    transitions = count_matrix(dtraj.pieces, n_states, stride)
    done("counts")
    dwells = dwell_times(tokens.pieces, n_states, plan.token_time) if plan.per_state else ()
    done("dwell times")
    passage = trajectory_mfpt(dtraj.pieces, n_states, list(plan.sets.values()), lag, dtraj.frame_time)
    done("first-passage times")
    steps = chapman_kolmogorov(dtraj.pieces, n_states, lag, dtraj.frame_time) if plan.per_state else None
    done("Chapman-Kolmogorov test")
    acf = indicator_autocorrelations(dtraj.pieces, n_states, plan.lags * stride) if plan.per_state else None
    done("autocorrelation")
    balance = detailed_balance(dtraj.pieces, n_states, lag, plan.seed)
    done("detailed balance")
    paths, paths_back = _paths(tokens, plan)
    done("transition paths")
    orders = [order for order in ORDERS if n_states ** (order + 1) < 2**62]
    entropies = tuple(order_entropy(tokens.pieces, n_states, order) for order in orders)
    done("entropies")
    along = drift(dtraj, plan.lag_time, plan.sides if plan.per_state else None, N_PARTS, plan.seed)
    done("drift")
    return SequenceDetails(
        populations=shares,
        free_energies=free_energies(shares),
        n_visits=Visits.of(tokens.pieces).numbers(n_states),
        transitions=transitions,
        n_changes=n_changes(transitions) / stride,
        duration=int(transitions.sum()) * dtraj.frame_time,
        dwells=dwells,
        passage=passage,
        mfpt_msm=_msm_passage(dtraj, plan),
        chapman_kolmogorov=steps,
        acf_times=plan.lags * plan.token_time,
        acf=np.zeros((0, len(plan.lags))) if acf is None else acf,
        detailed_balance=balance,
        paths=paths,
        paths_back=paths_back,
        entropies=entropies,
        drift=along,
    )


def _msm_passage(dtraj: Dtraj, plan: Plan) -> FloatArray:
    """First-passage times of the Markov state model at the judged lag."""
    transition = markov_state_model(dtraj, plan.lag_time)
    rows = [transition.rows_of(states) for states in plan.sets.values()]
    return mfpt_matrix(transition.matrix, transition.stationary, rows, plan.lag_time)


def _paths(tokens: Dtraj, plan: Plan) -> tuple[TransitionPaths | None, TransitionPaths | None]:
    """Transition paths there and back."""
    if plan.path_ends is None:
        return None, None
    first, second = ([state] for state in plan.path_ends)
    there = transition_paths(tokens.pieces, tokens.n_states, first, second, plan.token_time)
    return there, transition_paths(tokens.pieces, tokens.n_states, second, first, plan.token_time)

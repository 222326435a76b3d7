"""The details of a comparison: distributions, curves and what is behind a difference, of data and sample."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mdlm.kinetics.autocorrelation import logarithmic_lags
from mdlm.kinetics.comparison import Interval
from mdlm.kinetics.dwell import DwellDistance, dwell_distance
from mdlm.kinetics.estimate import markov_state_model
from mdlm.kinetics.events import SlowSides, slow_sides
from mdlm.kinetics.free_energy import free_energy_errors, rms_free_energy_error
from mdlm.kinetics.memorisation import Memorisation, memorisation
from mdlm.kinetics.mfpt import log_error_rms
from mdlm.kinetics.populations import kullback_leibler_divergence
from mdlm.kinetics.sequence_details import Plan, SequenceDetails, sequence_details
from mdlm.kinetics.transition_paths import pathway_distance
from mdlm.kinetics.transitions import UnseenTransitions, rate_ratio, unseen_transitions
from mdlm.progress import Progress, silent
from mdlm.trajectory import Dtraj, FloatArray, IntArray

PER_STATE_UP_TO = 50  # macrostates; above it there are only the summaries
N_LAGS = 30  # of the autocorrelations
CONFIDENCE = 0.9  # of the ratio of the rates
WELL_VISITED = 50  # a state visited more often has a population that its data know
CUT_SHARE = 0.1  # of the waits, from which on a first-passage time depends on how they are treated
N_STEPS = 20  # parts of the work, nine for each sequence


@dataclass(frozen=True)
class Details:
    """Data and sample in every respect, on the same macrostates, clock and lag.

    Attributes:
        time_unit: Unit of every time here.
        lag_time: The judged lag.
        token_time: Time per token.
        set_names: Names of the rows and columns of every matrix of first-passage times.
        path_ends: The states between which the transition paths go: the most populated one on each side of the
            data's slowest process; None where it has no two sides.
        data: Of the training data.
        sampled: Of the sample.
        free_energy_errors: In kT, of each state; see `mdlm.kinetics.free_energy.free_energy_errors`. The visits behind
            them are ``n_visits`` of data and sample.
        dwell_distances: Of each state's dwell times; empty for a large alphabet.
        transition_ratio: Changes of state per time, sample over data, with a 90 % interval for Poisson events.
        unseen: Changes of state that the data never make.
        pathway_distance: Total variation distance of the pathways there; NaN without paths.
        memorisation: Longest segments copied from the data.
        notes: What could not be computed or must be read with care.
    """

    time_unit: str
    lag_time: float
    token_time: float
    set_names: tuple[str, ...]
    path_ends: tuple[int, int] | None
    data: SequenceDetails
    sampled: SequenceDetails
    free_energy_errors: FloatArray
    dwell_distances: tuple[DwellDistance, ...]
    transition_ratio: Interval
    unseen: UnseenTransitions
    pathway_distance: float
    memorisation: Memorisation
    notes: tuple[str, ...]

    def metrics(self) -> dict[str, float]:
        """Every number under its logged name; NaN where there is no finite value.

        Units are in the names, ``_low`` and ``_high`` are the bounds of an interval.
        """
        values = self._compared()
        for name, sequence in (("data", self.data), ("sampled", self.sampled)):
            values |= sequence.metrics(name, self.time_unit)
        return {name: value if math.isfinite(value) else math.nan for name, value in values.items()}

    def _compared(self) -> dict[str, float]:
        """What belongs to the pair."""
        data, sampled, copied = self.data, self.sampled, self.memorisation
        errors = np.abs(self.free_energy_errors)
        values = {
            "population_kl_nats": kullback_leibler_divergence(data.populations, sampled.populations),
            "free_energy_error_rms_kT": rms_free_energy_error(self.free_energy_errors, data.populations),
            "free_energy_error_max_kT": _largest(errors[data.populations > 0]),
            "free_energy_error_max_well_visited_kT": _largest(errors[data.n_visits > WELL_VISITED]),
            "mfpt_from_trajectories_log_error_rms": log_error_rms(sampled.passage.times, data.passage.times),
            "changes_of_state_ratio": self.transition_ratio.value,
            "changes_of_state_ratio_low": self.transition_ratio.low,
            "changes_of_state_ratio_high": self.transition_ratio.high,
            "unseen_transition_kinds": float(self.unseen.n_kinds),
            "unseen_transitions_per_token": self.unseen.rate,
            "unseen_transitions_share": self.unseen.share,
            "pathway_tv_distance": self.pathway_distance,
            "longest_copy_tokens": float(copied.tokens.length),
            "longest_copy_by_chance_tokens": float(copied.tokens_by_chance),
            "longest_copy_visits": float(copied.visits.length),
            "longest_copy_by_chance_visits": float(copied.visits_by_chance),
        }
        return values | self._per_state()

    def _per_state(self) -> dict[str, float]:
        """The worst state of dwell times and autocorrelation, absent for a large alphabet."""
        if not self.dwell_distances:
            return {}
        distances = [d for d in self.dwell_distances if math.isfinite(d.kolmogorov_smirnov)]
        ratios = [
            math.log(judged.mean_residence / reference.mean_residence)
            for judged, reference in zip(self.sampled.dwells, self.data.dwells, strict=True)
            if math.isfinite(judged.mean_residence) and math.isfinite(reference.mean_residence)
        ]
        apart = np.abs(self.sampled.acf - self.data.acf)
        return {
            "dwell_ks_max": max((d.kolmogorov_smirnov for d in distances), default=math.nan),
            f"dwell_wasserstein_max_{self.time_unit}": max((d.wasserstein for d in distances), default=math.nan),
            "mean_residence_log_error_rms": float(np.sqrt(np.mean(np.square(ratios)))) if ratios else math.nan,
            "autocorrelation_max_difference": float(np.nanmax(apart)) if np.isfinite(apart).any() else math.nan,
        }


def details(
    data: Dtraj,
    sampled: Dtraj,
    lag_time: float,
    sets: Mapping[str, IntArray],
    seed: int = 0,
    held_out: Dtraj | None = None,
    progress: Progress = silent,
) -> Details:
    """Compute everything of both that is compared.

    Args:
        data: Macrostates of the training data, at any frame time that divides the token time.
        sampled: Macrostates of the sample, at the token time.
        lag_time: Of every estimate with a lag, in the time unit.
        sets: Named, disjoint sets of macrostates for first-passage times.
        seed: Of surrogates, reversals and bootstrap.
        held_out: Macrostates of data that were not trained on, at the frame time of ``data``, for memorisation.
        progress: Told after each part.

    Raises:
        ValueError: The sequences differ in macrostates or unit, a lag is no multiple of a frame time, or the sets
            overlap.
    """
    _check(data, sampled, "sampled")
    if held_out is not None:
        _check(data, held_out, "held_out")
    sampled.lag_frames(lag_time)
    stride = data.lag_frames(sampled.frame_time)
    sides = slow_sides(markov_state_model(data, lag_time))
    longest = min(max(data.lengths, default=0) // stride, max(sampled.lengths, default=0))
    plan = Plan(
        lag_time=lag_time,
        token_time=sampled.frame_time,
        sets=sets,
        sides=sides,
        path_ends=_path_ends(sides),
        lags=logarithmic_lags(longest // 4, N_LAGS),
        per_state=data.n_states <= PER_STATE_UP_TO,
        seed=seed,
    )
    n_done = iter(range(1, N_STEPS + 1))
    of_data = sequence_details(data, plan, lambda what: progress(next(n_done), N_STEPS, f"data: {what}"))
    of_sample = sequence_details(sampled, plan, lambda what: progress(next(n_done), N_STEPS, f"sample: {what}"))
    held = None if held_out is None else held_out.strided(stride).pieces
    trained_on = data.strided(stride, offsets="all").pieces  # as a model may have been
    copied = memorisation(trained_on, sampled.pieces, data.n_states, seed, held)
    progress(N_STEPS, N_STEPS, "memorisation")
    times = [(sequence.n_changes, sequence.duration) for sequence in (of_sample, of_data)]
    return Details(
        time_unit=data.time_unit,
        lag_time=lag_time,
        token_time=sampled.frame_time,
        set_names=tuple(sets),
        path_ends=plan.path_ends,
        data=of_data,
        sampled=of_sample,
        free_energy_errors=free_energy_errors(of_sample.populations, of_data.populations),
        dwell_distances=tuple(map(dwell_distance, of_sample.dwells, of_data.dwells)),
        transition_ratio=rate_ratio(*times[0], *times[1], CONFIDENCE),
        unseen=unseen_transitions(of_sample.transitions, of_data.transitions),
        pathway_distance=pathway_distance(of_sample.paths, of_data.paths),
        memorisation=copied,
        notes=_notes({"data": of_data, "sampled": of_sample}, plan),
    )


def _largest(errors: FloatArray) -> float:
    return float(errors.max()) if len(errors) else math.nan


def _check(data: Dtraj, other: Dtraj, name: str) -> None:
    """Raise `ValueError` where the two cannot be compared."""
    for field in ("n_states", "time_unit"):
        given, wanted = getattr(other, field), getattr(data, field)
        if given != wanted:
            raise ValueError(f"{field} of {name} ({given}) must be that of the data, {wanted}")
    for sequence in (data, other):
        sequence.check()


def _path_ends(sides: SlowSides) -> tuple[int, int] | None:
    """The most populated state on each side."""
    if not sides.exist:
        return None
    first, second = (int(np.where(sides.codes == side, sides.weight, -1).argmax()) for side in (0, 1))
    return first, second


def _notes(sequences: Mapping[str, SequenceDetails], plan: Plan) -> tuple[str, ...]:
    """Say what is missing or rests on little."""
    found: list[str] = []
    if not plan.per_state:
        found.append(f"more than {PER_STATE_UP_TO} macrostates: no dwell times, autocorrelations or drift of t2")
    if plan.path_ends is None:
        found.append("the data have no slow process with two sides: no transition paths")
    for name, sequence in sequences.items():
        if np.isnan(sequence.populations).any():
            found.append(f"{name}: no frames, so nothing can be estimated")
            continue
        missing = np.flatnonzero(sequence.populations == 0)
        if len(missing):
            found.append(f"{name}: never visits {_named('state', missing.tolist())}")
        if np.isnan(sequence.passage.times).any():
            found.append(f"{name}: some first passages were never seen, their times are missing")
        cut = float(np.nan_to_num(sequence.passage.cut_share).max(initial=0))
        if cut > CUT_SHARE:
            found.append(f"{name}: up to {cut:.0%} of the waits for a first passage are cut off by the end of a piece")
        for way, paths in (("there", sequence.paths), ("back", sequence.paths_back)):
            if paths is not None and not paths.n_paths:
                found.append(f"{name}: no transition path {way} between states {plan.path_ends}")
        orders = [entropy.order for entropy in sequence.entropies if entropy.undersampled]
        if orders:
            found.append(f"{name}: too few tokens for the plug-in entropy of {_named('order', orders)}")
    return tuple(found)


def _named(kind: str, numbers: list[int]) -> str:
    """Name a few, count many."""
    if len(numbers) > 6:
        return f"{len(numbers)} {kind}s"
    return (f"{kind} " if len(numbers) == 1 else f"{kind}s ") + ", ".join(map(str, numbers))

"""Run-length tokens: each residence in a state is one token, or two, whatever its length."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

import numpy as np

from mdlm.tokens.base import Tokenisation
from mdlm.tokens.dwell_tokenisers import DwellTokeniser, InterleavedTokeniser, ProductTokeniser
from mdlm.tokens.residence import ResidenceTimes, runs_from_first_jump
from mdlm.trajectory import Dtraj, Header, IntArray


@dataclass(frozen=True, kw_only=True)
class Dwell(Tokenisation):
    """Every run of a state becomes its state and its residence time in bins: short times exactly, then geometric.

    Decoding draws a residence time from those that training has in this state within the bin, so that the
    distribution of residence times is kept however coarse the bins; what a coarse bin loses is how later states
    depend on the exact time.

    The first and the last run of a piece are cut by its ends. The first is left out: what is seen of it is no
    sample of the residence times, and the rest of the piece, which starts at a jump, does not need it. Leaving
    out the last as well, or taking what is seen of it for all of it, makes residence times too short, by about
    one part in the number of runs per piece, because long runs are the likely ones to meet the end. So the last
    is kept with a residence time drawn from those of at least the length seen, by the Kaplan-Meier estimate, which
    makes of cut runs what they are: lower bounds.

    Attributes:
        form: ``product``, one token for the pair, or ``interleaved``, a state token and a dwell token in turn.
        n_bins: Bins of residence times at most; fewer where the longest in training has fewer frames.
        seed: Of the residence times that are drawn.
    """

    form: Literal["product", "interleaved"]
    n_bins: int
    seed: int

    def __post_init__(self) -> None:
        allowed = get_args(get_type_hints(Dwell)["form"])
        if self.form not in allowed:
            raise ValueError(f"form ({self.form}) must be one of {', '.join(allowed)}")
        if self.n_bins < 1:
            raise ValueError(f"n_bins ({self.n_bins}) must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed ({self.seed}) must be at least 0")

    def check(self, header: Header) -> None:
        """Two runs after a first one take three frames."""
        if max(header.lengths) < 3:
            raise ValueError(f"form ({self.form}) needs a trajectory of at least 3 frames; all are shorter")

    def fit(self, train: Dtraj) -> DwellTokeniser:
        """Learn residence times and bins.

        Raises:
            ValueError: No piece has two runs after its first.
        """
        runs = [runs_from_first_jump(piece) for piece in train.pieces]
        if max(len(states) for states, _ in runs) < 2:
            raise ValueError(f"form ({self.form}) needs a training trajectory with two jumps; there is none")
        times = ResidenceTimes.estimate(runs, train.n_states)
        states = np.concatenate([states for states, _ in runs])
        edges = bin_edges(self.n_bins, int(times.lengths.max()))
        nearest = nearest_bins(times, edges)
        frames_per_run = float(times.mean[states].mean())
        interleaved = self.form == "interleaved"
        kind, names = (InterleavedTokeniser, _token_names) if interleaved else (ProductTokeniser, _pair_names)
        return kind(
            n_states=train.n_states,
            frame_time=train.frame_time,
            time_unit=train.time_unit,
            token_names=names(edges, nearest),
            frames_per_token=frames_per_run / 2 if interleaved else frames_per_run,
            residence_times=times,
            edges=edges,
            nearest=nearest,
            occurs=np.bincount(states, minlength=train.n_states) > 0,
            seed=self.seed,
        )


def bin_edges(n_bins: int, longest: int) -> IntArray:
    """Shortest residence time of each of ``n_bins`` bins up to ``longest`` frames.

    Bins grow by a constant factor from where that makes them wider than one frame; shorter times each have
    their own.

    Example:
        >>> bin_edges(8, 100).tolist()
        [1, 2, 4, 7, 12, 20, 34, 59]
        >>> bin_edges(8, 4).tolist()
        [1, 2, 3, 4]
    """
    edges = [1]
    for left in range(n_bins, 1, -1):  # bins from the last edge on
        following = max(edges[-1] + 1, round(edges[-1] * ((longest + 1) / edges[-1]) ** (1 / left)))
        if following > longest:
            break
        edges.append(following)
    return np.array(edges)


def nearest_bins(times: ResidenceTimes, edges: IntArray) -> IntArray:
    """See `DwellTokeniser.nearest`; of two equally near the one of shorter times."""
    filled = np.zeros((times.states[-1] + 1, len(edges)), bool)
    filled[times.states, np.searchsorted(edges, times.lengths, side="right") - 1] = True
    bins = np.arange(len(edges))
    nearest = [known[np.abs(bins[:, None] - known).argmin(axis=1)] for known in map(np.flatnonzero, filled)]
    return np.stack(nearest)


def _token_names(edges: IntArray, nearest: IntArray) -> tuple[str, ...]:
    return (*(f"state {state}" for state in range(len(nearest))), *_bin_names(edges))


def _pair_names(edges: IntArray, nearest: IntArray) -> tuple[str, ...]:
    bins = _bin_names(edges)
    return tuple(f"state {state}, {bins[number]}" for state, number in np.argwhere(nearest == np.arange(len(edges))))


def _bin_names(edges: IntArray) -> list[str]:
    spans = zip(edges[:-1], edges[1:] - 1, strict=True)
    inner = [f"{first} frames" if first == last else f"{first}-{last} frames" for first, last in spans]
    return [*inner, f"{edges[-1]} frames or more"]

"""What is judged and what judging yields: state sequences and numbers, and no model. They may come from anywhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.comparison import Comparison, Interval
from mdlm.kinetics.details import Details, details
from mdlm.kinetics.judge import Judge
from mdlm.kinetics.populations import populations
from mdlm.kinetics.unseen import UnseenJumps, count_unseen
from mdlm.macrostates.base import Lumping
from mdlm.progress import bar
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj


@dataclass(frozen=True)
class Sequences:
    """The state sequences of one judgement.

    Attributes:
        reference: Macrostates of all reference data, as well as they can be known, at the reference's frame time.
        data: States of that part of it which the sample was made from (training), at the same frame time.
        tokens: The same states as the sample's maker saw them, after its stride.
        sampled: States that were sampled, at the frame time of ``tokens``.
        state_names: Name of each state.
        lumping: The macrostate of each state.
        held_out: States of that part of the reference which the sample's maker never saw, at the frame time of
            ``tokens``; None where there is none.
        backwards: Whether the sample's maker read ``tokens`` backwards in time as well.
    """

    reference: Dtraj
    data: Dtraj
    tokens: Dtraj
    sampled: Dtraj
    state_names: tuple[str, ...]
    lumping: Lumping
    held_out: Dtraj | None = None
    backwards: bool = False

    @property
    def read(self) -> Dtraj:
        """All that the sample's maker read."""
        return self.tokens.both_ways() if self.backwards else self.tokens

    @cached_property
    def data_macrostates(self) -> Dtraj:
        """``data``, seen through the lumping."""
        return self.lumping.lump(self.data)

    @cached_property
    def token_macrostates(self) -> Dtraj:
        """``tokens``, seen through the lumping."""
        return self.lumping.lump(self.tokens)

    @cached_property
    def sampled_macrostates(self) -> Dtraj:
        """``sampled``, seen through the lumping."""
        return self.lumping.lump(self.sampled)


@dataclass(frozen=True)
class Evaluation:
    """A judgement.

    Attributes:
        sequences: What was judged.
        judge: The reference and the data, estimated once; judges any other sample of them as well.
        comparison: Timescales, passage times, populations, the verdict.
        ratio_floor: Of the ratio of t2 to the data, at each lag of the comparison's curve of it.
        unseen: Jumps of the sample that training never made.
        details: Distributions and curves, and what is behind a difference.
        notes: What a reader must know before using a number.
    """

    sequences: Sequences
    judge: Judge
    comparison: Comparison
    ratio_floor: tuple[Interval, ...]
    unseen: UnseenJumps
    details: Details
    notes: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """One sentence; see `mdlm.kinetics.verdict.verdict` for the rules."""
        return self.comparison.verdict

    def metrics(self) -> dict[str, float]:
        """Every number under its logged name; NaN where there is no finite value."""
        return self.comparison.metrics() | self.unseen.metrics() | self.details.metrics()


def evaluate(
    kinetics: Kinetics, sequences: Sequences, truth: Truth | None, seed: int, notes: tuple[str, ...] = ()
) -> Evaluation:
    """Judge the sampled sequences.

    Args:
        kinetics: How.
        sequences: What.
        truth: What is known of the system independently of any partition.
        seed: Of the bootstrap.
        notes: On how the sequences came about; they come before those on the judgement.

    Raises:
        ValueError: The sequences do not share states, clock or unit, or the lag is no multiple of the token time.
    """
    with bar("estimating data") as progress:
        judge = kinetics.judge(
            reference=sequences.reference,
            data=sequences.data_macrostates,
            tokens=sequences.tokens,
            truth=truth,
            seed=seed,
            progress=progress,
            of_state=sequences.lumping.of_state,
        )
    with bar("judging kinetics") as progress:
        comparison = judge.compare(sequences.sampled_macrostates, progress)
    floor = judge.ratio_floor(comparison.t2_ratio_curve.lag_times.tolist(), sequences.sampled)
    data, sampled = sequences.data_macrostates, sequences.sampled_macrostates
    with bar("details") as progress:
        described = details(data, sampled, kinetics.lag_time, judge.measure.sets, seed, progress=progress)
    every_note = (*notes, *comparison.notes, *described.notes)
    return Evaluation(sequences, judge, comparison, floor, _unseen(sequences, judge), described, every_note)


def _unseen(sequences: Sequences, judge: Judge) -> UnseenJumps:
    """Jumps of states, not of macrostates: those are what a model makes."""
    tokens, held_out = sequences.tokens, sequences.held_out.pieces if sequences.held_out else ()
    sides = judge.measure.sides.seen_by(sequences.lumping.of_state, populations(tokens.pieces, tokens.n_states))
    return count_unseen(sequences.sampled.pieces, sequences.read.pieces, sides.codes, held_out)

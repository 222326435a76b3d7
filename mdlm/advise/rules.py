"""From evidence to advice, by rules that docs/advise.md states."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from mdlm.advise.evidence import KEEP, Choice, Evidence, off_by
from mdlm.kinetics.comparison import Interval

MARGIN = 1.25
"""Factor within which errors of t2 count as equal; the margin of `mdlm study analyse` too."""

WIDE = 2.0  # upper bound of the predicted error from which on the reader is told how little is known


@dataclass(frozen=True)
class Data:
    """The molecular dynamics, before anything is chosen.

    Attributes:
        n_events: Slow events in all of them; None where they were not even counted.
        duration: Of all of them, in ``time_unit``.
        t2: The slowest timescale at the judged lag; NaN where unknown.
        plateau_lag: From which lag on t2 is level, in ``time_unit``; NaN where it is not.
        lag_time: The judged lag, in ``time_unit``.
        time_unit: Of every time.
        min_events: Slow events a verdict needs.
    """

    n_events: int | None
    duration: float
    t2: Interval
    plateau_lag: float
    lag_time: float
    time_unit: str
    min_events: int


@dataclass(frozen=True)
class Advice:
    """What to do.

    Attributes:
        choice: The recommended one; None where the data do not decide.
        headline: In one sentence.
        reasons: Why, a sentence each.
        error: By which factor t2 of a trained model is predicted to be off.
        evidence: Of every choice, best first; those that are none last.
        data: What was scanned.
    """

    choice: Choice | None
    headline: str
    reasons: tuple[str, ...]
    error: Interval
    evidence: tuple[Evidence, ...]
    data: Data


def advise(data: Data, evidence: Sequence[Evidence]) -> Advice:
    """Recommend a choice, or say what is missing.

    The rules, in order:

    1. Fewer than ``min_events`` slow events in the data: undecided. The advice is more data, not a partition.
    2. A choice is none whose states could not be made, which hides the slow process (t2 of its data is below that of
       the molecular dynamics by more than `MARGIN`) or lengthens it (above by more than that, and above its interval),
       or whose training data hold fewer than ``min_events`` events. Where none is left: undecided.
    3. Of the others stay those whose predicted error cannot be told from the least one: their interval reaches down to
       it, or they are within `MARGIN` of it.
    4. Of these stay those that need the least memory: a Markov chain counted on their tokens is off by at most `MARGIN`
       times what the best one is off. A model that has little to remember is the easier one to train.
    5. Of these the one that resolves the shortest times; then the user's own partition; then the smallest alphabet.
    """
    order = tuple(ranked(data, evidence))
    undecided = _undecided(data, order)
    if undecided:
        headline, reasons = undecided
        return Advice(None, f"Undecided: {headline}", reasons, Interval(math.nan, math.nan, math.nan), order, data)
    best = order[0]
    headline = f"Train on {best.choice.name}."
    return Advice(best.choice, headline, _reasons(data, best, order), best.error, order, data)


def ranked(data: Data, evidence: Sequence[Evidence]) -> list[Evidence]:
    """By rules 2 to 5, best first; what is no choice comes last, with its reason."""
    known = [replace(one, problem=one.problem or _problem(data, one)) for one in evidence]
    able = [one for one in known if not one.problem]
    if not able:
        return known
    sampled = [one for one in able if one.prediction is not None] or able
    least_error = min(one.error.value for one in sampled)
    good = [one for one in sampled if one.error.value <= MARGIN * least_error or one.error.low <= least_error]
    least_memory = min(off_by(one.memoryless) for one in good)
    easy = [one for one in good if off_by(one.memoryless) <= MARGIN * least_memory]

    def place(one: Evidence) -> tuple[float, ...]:
        classes = (bool(one.problem), one not in sampled, one not in good, one not in easy)
        return (*classes, one.resolution, one.choice.recrossing != KEEP, not one.choice.is_given, one.n_states)

    return sorted(known, key=place)


def _problem(data: Data, one: Evidence) -> str:
    """Rule 2."""
    if not one.share > 0:
        return "its states do not show the slow process"
    if math.isinf(one.share):
        return "the slow process is never seen in both directions"
    too_long = max(MARGIN, data.t2.high / data.t2.value) if data.t2.high > data.t2.value else MARGIN
    if one.share < 1 / MARGIN or one.share > too_long:
        how = "hides part of the slow process" if one.share < 1 else "lengthens the slow process"
        return f"{how}: t2 is {one.share:.2f} of that of the molecular dynamics"
    if one.n_events < data.min_events:
        return f"only {one.n_events} slow events are left in the training data"
    return ""


def _undecided(data: Data, order: Sequence[Evidence]) -> tuple[str, tuple[str, ...]] | None:
    """Why there is no advice, with what would help; None where there is some."""
    if data.n_events is None:
        return "the time was up before the data had been read and described", ("Give more with budget_minutes=.",)
    if data.n_events < data.min_events:
        return _more_data(data, data.n_events, "the data hold")
    if not order:
        return "the time was up before a single choice had been looked at", ("Give more with budget_minutes=.",)
    if not order[0].problem:
        return None
    most = max(one.n_events for one in order)
    if most < data.min_events and any("slow events" in one.problem for one in order):
        return _more_data(data, most, "the training part of the data holds")
    reasons = tuple(f"{one.choice.name}: {one.problem}." for one in order)
    advice = "Try other features, or a shorter or longer kinetics.lag_time."
    return "no choice that was looked at keeps the slow process", (advice, *reasons)


def _more_data(data: Data, n_events: int, where: str) -> tuple[str, tuple[str, ...]]:
    """Rule 1, with how much more."""
    have = f"{data.duration:.4g} {data.time_unit}"
    events = "event" if n_events == 1 else "events"
    if n_events:
        wanted = f"about {data.duration * data.min_events / n_events:.3g} {data.time_unit} at the same rate"
    else:
        wanted = "how much more cannot be told from none"
    return (
        f"{where} {n_events} slow {events}, and a verdict needs {data.min_events}",
        (
            f"What is missing is data, not a partition: there are {have}, and wanted is {wanted}.",
            "With so few events no partition, treatment or model can be told from another.",
        ),
    )


def _reasons(data: Data, best: Evidence, order: Sequence[Evidence]) -> tuple[str, ...]:
    """Why the first one is the first."""
    found = [_of_error(best), *_of_recrossing(best, order), *_of_stride(best, order), *_of_partition(data, best, order)]
    if best.error.high > WIDE:
        found.append(
            f"How far off is not known well: the data hold {data.n_events} slow events. Choices whose intervals "
            "overlap are told apart by the memory they need, not by their error; more data would tell more."
        )
    if math.isnan(data.plateau_lag):
        found.append(
            f"t2 of the data does not level off with the lag, so all of this holds at the judged lag only, "
            f"{data.lag_time:g} {data.time_unit}."
        )
    elif data.plateau_lag > data.lag_time:
        found.append(
            f"t2 of the data is level only from a lag of {data.plateau_lag:g} {data.time_unit} on: judge there, with "
            f"kinetics.lag_time={data.plateau_lag:g}."
        )
    return tuple(found)


def _of_error(best: Evidence) -> str:
    if best.prediction is None:
        return f"Nothing was sampled in the time given; a Markov chain would be off by {best.error.value:.3g}x."
    error, ratio = best.error, best.prediction.ratio
    way = "" if ratio.low <= 1 <= ratio.high else " (too fast)" if ratio.value < 1 else " (too slow)"
    untried = " There was no time for a small LSTM of it; more budget_minutes= would try one." * (best.small is None)
    return (
        f"Predicted error: t2 off by {error.value:.3g}x [{error.low:.3g}, {error.high:.3g}]{way}, what a "
        f"{best.prediction.method} reaches; a Markov chain counted on these tokens is off by "
        f"{off_by(best.memoryless):.3g}x.{untried}"
    )


def _beside(best: Evidence, order: Sequence[Evidence], **others: object) -> Evidence | None:
    """The choice that differs in these alone."""
    wanted = replace(best.choice, **others)  # type: ignore[arg-type]
    key = (wanted.partition, wanted.recrossing, wanted.stride)
    found = (one for one in order if (one.choice.partition, one.choice.recrossing, one.choice.stride) == key)
    return next((one for one in found if one.n_states), None)


def _of_recrossing(best: Evidence, order: Sequence[Evidence]) -> list[str]:
    if best.choice.recrossing == KEEP:
        return ["No recrossing treatment: none that was tried is better by more than the margin."]
    other = _beside(best, order, recrossing=KEEP)
    if other is None:
        return []
    numbers = f"{off_by(best.memoryless):.3g}x instead of {off_by(other.memoryless):.3g}x"
    return [
        f"{best.choice.recrossing}: recrossings hide the slow process from one stride to the next; with it a Markov "
        f"chain of the tokens is off by {numbers}."
    ]


def _of_stride(best: Evidence, order: Sequence[Evidence]) -> list[str]:
    if best.choice.stride == 1:
        return ["Stride 1: a longer one is not better by more than the margin, and loses time resolution."]
    other = _beside(best, order, stride=1)
    if other is None:
        return []
    numbers = f"{off_by(best.memoryless):.3g}x instead of {off_by(other.memoryless):.3g}x"
    return [f"Stride {best.choice.stride}: a Markov chain of the tokens is off by {numbers} at stride 1."]


def _of_partition(data: Data, best: Evidence, order: Sequence[Evidence]) -> list[str]:
    kept = f"Partition {best.choice.partition}: its {best.n_states} states keep {100 * best.share:.0f} % of t2"
    given = next((one for one in order if one.choice.is_given), None)
    if best.choice.is_given or given is None:
        return [f"{kept}."]
    why = given.problem or _behind(best, given, data.time_unit)
    return [f"{kept}; the best choice with {given.choice.partition}, the one given, is {given.choice.name}: {why}."]


def _behind(best: Evidence, other: Evidence, time_unit: str) -> str:
    """By which of the rules 3 to 5 another choice comes behind."""
    if other.error.value > MARGIN * best.error.value and not other.error.low <= best.error.value:
        return f"its model is off by {other.error.value:.3g}x"
    if off_by(other.memoryless) > MARGIN * off_by(best.memoryless):
        return f"its tokens need more memory, a Markov chain of them is off by {off_by(other.memoryless):.3g}x"
    if other.resolution > best.resolution:
        return f"it says nothing of times below {other.resolution:g} {time_unit}, this one below {best.resolution:g}"
    return f"it is no better, and has {other.n_states} states"

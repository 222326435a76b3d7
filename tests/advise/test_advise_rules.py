"""The rules of the advice, on evidence made by hand."""

import math
from dataclasses import replace

import pytest

from mdlm.advise.evidence import Choice, Evidence, Prediction
from mdlm.advise.rules import MARGIN, Data, advise
from mdlm.kinetics.comparison import Interval

DATA = Data(
    n_events=60,
    duration=1000.0,
    t2=Interval(50.0, 45.0, 55.0),
    plateau_lag=2.0,
    lag_time=5.0,
    time_unit="ns",
    min_events=10,
)


def evidence(partition="kmeans 50", recrossing="keep", stride=1, *, ratio=None, error=0.1, given=False, **values):
    """A choice whose model is off by a ratio with a relative error; all else as it should be."""
    usual = {"n_states": 50, "resolution": float(stride), "n_events": 50, "share": 1.0, "memoryless": 1.0}
    prediction = None
    if ratio is not None:
        prediction = Prediction("semi-Markov process", Interval(ratio, ratio * (1 - error), ratio * (1 + error)))
    choice = Choice(partition, recrossing, stride, (f"stride={stride}",), given)
    return Evidence(choice=choice, simple=prediction, **{**usual, **values})


def chosen(*found, data=DATA):
    advice = advise(data, found)
    return advice.choice.name if advice.choice else None


def test_too_few_events_ask_for_more_data_whatever_the_choices_look_like():
    advice = advise(replace(DATA, n_events=4), [evidence(ratio=1.0)])
    assert advice.choice is None
    assert advice.headline == "Undecided: the data hold 4 slow events, and a verdict needs 10"
    assert "wanted is about 2.5e+03 ns" in advice.reasons[0]  # 1000 ns x 10 / 4
    assert math.isnan(advice.error.value)


def test_no_event_at_all_does_not_say_how_much_more_data_is_needed():
    advice = advise(replace(DATA, n_events=0), [])
    assert advice.headline == "Undecided: the data hold 0 slow events, and a verdict needs 10"
    assert "cannot be told" in advice.reasons[0]


def test_events_that_are_in_the_held_out_part_only_are_too_few_as_well():
    advice = advise(DATA, [evidence(n_events=9, ratio=1.0), evidence("pcca", n_events=8, ratio=1.0)])
    assert advice.headline == "Undecided: the training part of the data holds 9 slow events, and a verdict needs 10"


def test_time_that_was_up_too_early_is_no_finding():
    assert "time was up" in advise(replace(DATA, n_events=None), []).headline
    assert "time was up" in advise(DATA, []).headline


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"share": 0.79}, "hides part of the slow process: t2 is 0.79 of that of the molecular dynamics"),
        ({"share": 1.26}, "lengthens the slow process: t2 is 1.26 of that of the molecular dynamics"),
        ({"share": math.nan}, "its states do not show the slow process"),
        ({"share": math.inf}, "the slow process is never seen in both directions"),
        ({"n_events": 9}, "only 9 slow events are left in the training data"),
        ({"problem": "no gap in the spectrum"}, "no gap in the spectrum"),
    ],
)
def test_what_loses_the_slow_process_is_no_choice(values, problem):
    lost, other = evidence("grid", ratio=1.0, **values), evidence("pcca", ratio=1.2)
    advice = advise(DATA, [lost, other])
    assert advice.choice == other.choice
    assert advice.evidence[-1].problem == problem
    alone = advise(DATA, [lost])
    assert alone.choice is None


def test_a_longer_t2_within_the_error_of_the_data_is_no_distortion():
    """A treatment lifts t2 at a short lag; whether it lifts it too far, data with a wide interval do not say."""
    lifted = evidence(recrossing="coring 2 ns", ratio=1.0, share=1.4)
    assert chosen(lifted) is None
    assert chosen(lifted, data=replace(DATA, t2=Interval(50.0, 30.0, 75.0))) == lifted.choice.name
    assert chosen(replace(lifted, share=1.51), data=replace(DATA, t2=Interval(50.0, 30.0, 75.0))) is None


def test_an_error_that_is_clearly_larger_loses_however_little_memory_it_needs():
    """2x [1.8, 2.2] against 1.05x: neither within the margin nor within the interval."""
    assert chosen(evidence("grid", ratio=0.5), evidence("pcca", ratio=0.95, memoryless=0.1)) == "pcca, keep, stride 1"


def test_of_equal_errors_the_one_that_needs_less_memory_wins():
    keep = evidence(ratio=0.97, memoryless=0.1)
    coring = evidence(recrossing="coring 2 ns", ratio=0.9, memoryless=0.85, resolution=2.0)
    assert chosen(keep, coring) == "kmeans 50, coring 2 ns, stride 1"
    assert "1.18x instead of 10x" in " ".join(advise(DATA, [keep, coring]).reasons)  # 1 / 0.85 and 1 / 0.1


def test_memory_that_is_needed_about_equally_does_not_decide_and_the_finest_times_do():
    fine = evidence(ratio=1.0, memoryless=1 / MARGIN)
    coarse = evidence(stride=10, ratio=1.0)
    assert chosen(coarse, fine) == "kmeans 50, keep, stride 1"
    less = evidence(ratio=1.0, memoryless=0.99 / MARGIN)
    assert chosen(coarse, less) == "kmeans 50, keep, stride 10"


def test_at_equal_resolution_nothing_is_treated_then_the_users_partition_is_kept_then_the_smallest_alphabet():
    many, few = evidence("kmeans 200", n_states=200, ratio=1.0), evidence("kmeans 50", ratio=1.0)
    own = evidence("grid", n_states=900, ratio=1.0, given=True)
    cored = evidence("pcca", recrossing="coring 1 ns", n_states=2, ratio=1.0, given=True)
    assert chosen(many, few) == "kmeans 50, keep, stride 1"
    assert chosen(many, few, own) == "grid, keep, stride 1"
    assert chosen(many, few, own, cored) == "grid, keep, stride 1"


def test_a_wide_interval_that_reaches_the_best_is_not_worse_than_the_best():
    wide = evidence("own", ratio=0.6, error=0.7, given=True)  # off by 1.67x, and the interval of the ratio covers 1
    assert chosen(evidence("pcca", ratio=1.0), wide) == "own, keep, stride 1"


def test_what_was_sampled_stands_before_what_was_not():
    assert chosen(evidence("pcca", memoryless=1.0), evidence("own", ratio=0.8, memoryless=0.8)) == "own, keep, stride 1"
    assert chosen(evidence("pcca", memoryless=0.9)) == "pcca, keep, stride 1"


def test_a_small_model_speaks_louder_than_a_baseline():
    off = evidence("kmeans 200", ratio=1.0)
    off = replace(off, small=Prediction("small LSTM", Interval(0.4, 0.35, 0.45)))
    assert chosen(off, evidence("pcca", ratio=0.9)) == "pcca, keep, stride 1"


def test_the_lag_is_spoken_of_where_t2_has_not_levelled_off_there():
    for plateau, words in ((math.nan, "does not level off"), (20.0, "kinetics.lag_time=20"), (2.0, "")):
        reasons = " ".join(advise(replace(DATA, plateau_lag=plateau), [evidence(ratio=1.0)]).reasons)
        assert words in reasons
        assert ("level" in reasons) == bool(words)


@pytest.mark.parametrize(
    ("own", "why"),
    [
        ({"ratio": 0.5, "error": 0.1}, "its model is off by 2x"),
        ({"ratio": 1.0, "memoryless": 0.5}, "a Markov chain of them is off by 2x"),
        ({"ratio": 1.0, "stride": 10, "resolution": 10.0}, "it says nothing of times below 10 ns, this one below 1"),
        ({"share": 0.5}, "hides part of the slow process"),
    ],
)
def test_the_users_partition_is_told_why_it_comes_behind(own, why):
    advice = advise(DATA, [evidence("grid", given=True, **own), evidence("pcca", ratio=1.0)])
    assert advice.choice.name == "pcca, keep, stride 1"
    assert why in " ".join(advice.reasons)


def test_a_wide_interval_is_admitted():
    for error, said in ((0.6, True), (0.2, False)):
        assert ("not known well" in " ".join(advise(DATA, [evidence(ratio=1.0, error=error)]).reasons)) == said

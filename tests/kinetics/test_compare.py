import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from mdlm.kinetics.compare import Kinetics
from mdlm.kinetics.estimate import curve_lag_times
from mdlm.system.base import Truth
from mdlm.trajectory import Dtraj

CONF = Path(__file__).parents[2] / "conf" / "kinetics"
TRUE_T2 = -1 / np.log(1 - 0.004)  # of the fixture `four_states`, in frames


def dtraj(pieces, frame_time=0.5, n_states=4):
    return Dtraj(tuple(np.asarray(piece) for piece in pieces), frame_time, "ps", n_states)


def judge(data, sampled, truth=None, tokens=None, **settings):
    settings = {"lag_time": 10.0, "n_lags": 4} | settings
    tokens = data if tokens is None else tokens
    return Kinetics(**settings).judge(data, data, tokens, truth, seed=1).compare(sampled)


@pytest.fixture(scope="module")
def data(sample_chain, four_states):
    return dtraj(sample_chain(four_states, 60, 4000, seed=11))


@pytest.fixture(scope="module")
def itself(data):
    return judge(data, data)


@pytest.fixture(scope="module")
def pairs_only(sample_chain):
    """Chains that stay in the pair they start in, half of them in each."""
    pair = np.array([[0.9, 0.1], [0.1, 0.9]])
    pieces = sample_chain(pair, 60, 4000, seed=12)
    return dtraj([piece + 2 * (number % 2) for number, piece in enumerate(pieces)])


def test_a_sequence_against_itself_has_a_ratio_of_one(itself):
    metrics = itself.metrics()
    assert metrics["t2_ratio_to_data"] == 1
    assert metrics["t2_ratio_to_data_low"] < 1 < metrics["t2_ratio_to_data_high"]
    assert metrics["slow_timescale_log_error"] == 0
    assert metrics["mfpt_log_error_rms"] == 0
    assert metrics["population_tv_distance"] == 0
    assert itself.slow_process_overlap == pytest.approx(1)
    assert itself.verdict.startswith("within the data's own error (ratio 1 [0.")
    assert [note.split(":")[0] for note in itself.notes if "below a third" not in note] == ["all MD", "floor"]


def test_estimates_cover_the_closed_form(itself):
    """The interval is narrower than 30 %, so that covering it means something."""
    slow = itself.data.timescales[0]
    assert slow.low < TRUE_T2 * 0.5 < slow.high
    assert slow.high / slow.low < 1.3
    assert itself.data.n_events == pytest.approx(60 * 4000 * 0.5 / TRUE_T2, rel=0.3)


def test_a_markov_chain_has_a_flat_curve_and_an_exact_markov_baseline(itself):
    curve = itself.data_curve
    assert curve.lag_times.tolist() == curve_lag_times(10.0, 0.5, 4)
    assert (curve.low[:, 0] < curve.timescales[:, 0]).all()
    assert (curve.timescales[:, 0] < curve.high[:, 0]).all()
    ratio = itself.metrics()["markov_t2_ratio_to_data"]
    assert ratio == pytest.approx(1, abs=0.05)  # the same data at two lags: well inside the interval
    judged = curve.lag_times.tolist().index(10.0)
    assert curve.low[judged, 0] == itself.data.timescales[0].low


def test_a_chain_twice_as_fast_is_called_too_fast_by_about_two(data, sample_chain, four_states):
    faster = four_states.copy()
    for start, end in ((0, 2), (1, 3), (2, 0), (3, 1)):
        faster[start, end] *= 2
        faster[start, start] -= 0.002
    result = judge(data, dtraj(sample_chain(faster, 60, 4000, seed=13)))
    ratio = result.t2_ratio_to_data
    assert ratio.low < 0.5 < ratio.high < 0.7
    assert result.verdict.startswith(f"too fast by {1 / ratio.value:.3g}x [")


def test_a_stride_leaves_timescales_in_time_units_unchanged(data, itself):
    """Every fourth frame at the same lag: one sliding window in four, hence the statistical tolerance."""
    tokens = data.strided(4)
    result = judge(data, tokens, tokens=tokens)
    assert result.data.timescales == itself.data.timescales
    assert result.sampled.timescales[0].value == pytest.approx(itself.data.timescales[0].value, rel=0.03)
    assert result.sampled.duration == pytest.approx(data.duration)
    assert result.token_time == 2.0
    assert result.verdict.startswith("within")


def test_tokens_finer_than_the_macrostates_are_judged_on_the_macrostates(data, itself):
    """Every state in two copies, drawn at random: the chain of eight has the timescales of the chain of four."""
    rng = np.random.default_rng(5)
    fine = dtraj([2 * piece + rng.integers(2, size=len(piece)) for piece in data.pieces], n_states=8)
    of_state = np.repeat(np.arange(4), 2)
    result = Kinetics(lag_time=10.0, n_lags=4).judge(data, data, fine, None, seed=1, of_state=of_state).compare(data)
    assert result.data.timescales == itself.data.timescales
    assert result.t2_ratio_to_data == itself.t2_ratio_to_data
    np.testing.assert_allclose(result.markov_timescales, itself.markov_timescales, rtol=0.01)
    assert result.markov_entropy_rate == pytest.approx(itself.markov_entropy_rate + np.log(2), rel=0.01)


def test_a_map_of_another_alphabet_is_refused(data):
    with pytest.raises(ValueError, match=r"^n_states of tokens \(4\) must be that of the reference, 8$"):
        Kinetics(lag_time=10.0).judge(data, data, data, None, seed=1, of_state=np.repeat(np.arange(4), 2))


def test_three_events_in_the_data_are_undecided(data):
    visits = np.repeat([0, 1, 2, 3, 1, 0, 3, 2], 50)
    fast = np.where(np.arange(400) % 5 == 0, visits ^ 1, visits)
    few = dtraj([fast])
    result = judge(few, dtraj([np.concatenate([piece[:2000] for piece in data.pieces])]), lag_time=2.0)
    assert result.data.n_events == 3
    assert result.verdict == "undecided: 3 events in the data (10 needed)"


def test_a_sample_that_never_crosses_is_not_judged_by_its_faster_process(data, pairs_only):
    """Without care t2 of one pair (5 frames) would be reported, as "too fast by 50x"."""
    result = judge(data, pairs_only)
    assert result.sampled.timescales[0].value == math.inf
    assert result.sampled.n_events == 0
    promised = result.data.n_events / -math.log(0.05)
    assert result.t2_ratio_to_data.low == pytest.approx(promised)
    expected = f"too slow by more than {promised:.3g}x: the sample never crossed between {{0, 1}} and {{2, 3}}"
    assert result.verdict == expected
    metrics = result.metrics()
    assert math.isnan(metrics["t2_sampled_ps"])
    assert math.isnan(metrics["t2_ratio_to_data"])
    assert math.isnan(metrics["mfpt_log_error_rms"])
    assert metrics["active_share_sampled"] == pytest.approx(0.5)
    assert any("never crossed in both directions" in note for note in result.notes)
    assert any("no first-passage times for" in note for note in result.notes)


def test_a_sample_that_never_leaves_one_state_is_reported_and_does_not_crash(data):
    result = judge(data, dtraj(np.zeros((60, 4000), dtype=int)))
    assert "the sample never crossed between" in result.verdict
    assert math.isnan(result.metrics()["t2_sampled_ps"])


def test_a_short_sample_that_never_crosses_is_undecided(data):
    result = judge(data, dtraj(np.zeros((6, 400), dtype=int)))
    assert result.verdict.startswith("undecided: the sample never crossed between {0, 1} and {2, 3}")


def test_a_sample_that_crosses_one_way_only_is_undecided(data, pairs_only):
    one_way = [np.concatenate([pairs_only.pieces[0][:2000], pairs_only.pieces[1][:2000]])] * 20
    result = judge(data, dtraj(one_way))
    assert result.sampled.n_events == 20
    assert result.verdict.endswith("the sample crossed between {0, 1} and {2, 3} one way only")


def test_a_sample_shorter_than_the_lag_is_undecided(data):
    result = judge(data, dtraj([np.array([0, 1, 2])] * 10))
    assert result.verdict.startswith("undecided")
    assert any("no piece is longer than the lag" in note for note in result.notes)


def test_data_that_never_leave_one_state_have_no_slow_process():
    still = dtraj(np.zeros((30, 400), dtype=int))
    result = judge(still, still)
    assert result.verdict.startswith("undecided: the reference holds no slow process")
    assert math.isnan(result.metrics()["t2_data_ps"])


@pytest.mark.parametrize("n_states", [1, 2, 3])
def test_a_small_alphabet_reports_fewer_timescales(n_states):
    rng = np.random.default_rng(0)
    tokens = dtraj(rng.integers(0, n_states, (30, 400)), n_states=n_states)
    metrics = judge(tokens, tokens, n_timescales=5).metrics()
    assert f"t{n_states}_data_ps" in metrics or n_states == 1
    assert f"t{n_states + 1}_data_ps" not in metrics


def test_lost_resamples_are_counted_and_open_the_interval():
    """Both crossings are in one of 30 pieces, which four in ten resamples of 27 leave out."""
    pieces = [np.resize([0, 0, 1, 1], 400) + 2 * (number % 2) for number in range(30)]
    pieces[0] = np.concatenate([pieces[0][:100], pieces[1][:200], pieces[0][:100]])
    result = judge(dtraj(pieces), dtraj(pieces), lag_time=2.0)
    lost = result.data.n_lost / result.data.n_resamples
    assert lost == pytest.approx((29 / 30) ** 27, abs=4 * math.sqrt(0.4 * 0.6 / 200))
    assert result.data.timescales[0].high == math.inf
    assert math.isnan(result.metrics()["t2_data_ps_high"])
    assert any("the slow transition is lost in" in note for note in result.notes)


def test_a_sample_whose_slowest_process_is_another_one_is_noted(data, sample_chain, four_states):
    """States 1 and 2 exchanged: the same timescales, so the ratio alone would be content."""
    other = four_states[np.ix_([0, 2, 1, 3], [0, 2, 1, 3])]
    result = judge(data, dtraj(sample_chain(other, 60, 4000, seed=14)))
    assert result.slow_process_overlap < 0.2
    assert any("is not that of the data" in note for note in result.notes)


def test_timescales_far_below_the_lag_are_noted_as_upper_bounds(data):
    """Uncorrelated tokens: what looks like a timescale is the noise of the eigenvalue."""
    tokens = np.random.default_rng(0).integers(0, 4, (60, 4000))
    result = judge(data, dtraj(tokens))
    assert "sampled: below a third of the lag" in " ".join(result.notes)
    assert "upper bound: t2, t3, t4" in " ".join(result.notes)
    assert result.verdict.startswith("too fast by")


def test_metric_names_carry_the_unit_and_are_exactly_these(data):
    truth = Truth((TRUE_T2 * 0.5,), (1.0,), "closed form")
    names = set(judge(data, data, truth=truth, n_timescales=1).metrics())
    times = ("t2_reference_ps", "t2_data_ps", "t2_sampled_ps", "t2_converged_ps")
    intervals = (*times, "t2_ratio_to_data", "t2_ratio_to_truth")
    assert names == {name + end for name in intervals for end in ("", "_low", "_high")} | {
        "plateau_lag_ps",
        "plateau_found",
        "t2_floor_factor",
        "t2_ratio_floor_factor",
        "floor_duration_ps",
        "t2_markov_ps",
        "markov_t2_ratio_to_data",
        "markov_t2_ratio_to_data_low",
        "markov_t2_ratio_to_data_high",
        "slow_process_needs_memory",
        "slow_timescale_log_error",
        "t2_ratio_to_data_worst",
        "t2_ratio_to_data_worst_lag_ps",
        "t2_ratio_to_data_best",
        "t2_ratio_to_data_best_lag_ps",
        "t2_ratio_to_data_share_right",
        "mfpt_log_error_rms",
        "population_tv_distance",
        "n_slow_events_data",
        "n_slow_events_sampled",
        "markov_entropy_rate_nats_per_token",
        "active_share_reference",
        "active_share_data",
        "active_share_sampled",
    }


def test_the_truth_is_the_reference_where_it_is_known_and_adds_its_error(data, itself):
    truth = Truth((TRUE_T2 * 0.5,), (12.5,), "closed form")
    result = judge(data, data, truth=truth)
    first, *others = result.reference_timescales
    assert first.value == TRUE_T2 * 0.5
    assert first.high - first.value == pytest.approx(1.645 * 12.5, rel=1e-3)
    assert others == list(result.reference.timescales[1:])
    ratio = result.t2_ratio_to_truth
    assert ratio.value == result.sampled.timescales[0].value / first.value
    to_data = math.log(result.t2_ratio_to_data.high / result.t2_ratio_to_data.low)
    # Independent errors add in quadrature; 200 resamples know a width to about 10 %.
    expected = math.hypot(to_data, 2 * 1.645 * 12.5 / (TRUE_T2 * 0.5))
    assert math.log(ratio.high / ratio.low) == pytest.approx(expected, rel=0.2)
    assert itself.t2_ratio_to_truth is None
    assert "t2_ratio_to_truth" not in itself.metrics()


def test_the_same_seed_gives_the_same_numbers_and_progress_ends_at_its_total(data):
    calls = []

    def report(done, total, note=""):
        calls.append((done, total))

    kinetics = Kinetics(lag_time=10.0, n_lags=3)
    first, second = (kinetics.judge(data, data, data, None, 5, report).compare(data, report) for _ in range(2))
    assert first.metrics() == second.metrics()
    # Eight lags from one frame by doubling to 160, the last below t2, the curve's three and a tenth of t2; the sample.
    one = [(done, 12) for done in range(1, 13)] + [(done, 4) for done in range(1, 5)]
    assert calls == one * 2


def test_named_sets_are_the_rows_of_the_first_passage_times(data):
    """Between the pairs the rate is 0.002 per frame of 0.5 ps; a lag adds less than half of itself."""
    result = judge(data, data, sets={"left": (0, 1), "right": (2, 3)})
    assert result.set_names == ("left", "right")
    assert result.data.mfpt[0, 1] == pytest.approx(250, rel=0.2)
    assert result.data.mfpt[0, 0] == 0


def test_a_large_alphabet_is_judged_between_its_two_sides(sample_chain):
    """A walk over 120 states with a gate in the middle; enough to take the sparse way throughout."""
    n_states = 120
    steps = np.full(n_states - 1, 0.45)
    steps[n_states // 2 - 1] = 0.01
    walk = np.diag(steps, 1) + np.diag(steps, -1)
    walk += np.diag(1 - walk.sum(axis=1))
    pieces = sample_chain(walk, 40, 2000, seed=3)
    tokens = dtraj(pieces, n_states=n_states)
    result = judge(tokens, tokens, lag_time=20.0)
    assert result.set_names == ("side 0", "side 1")
    np.testing.assert_array_equal(result.sides.codes, np.repeat([0, 1], 60))
    assert result.data.n_resamples == 50
    assert result.t2_ratio_to_data.value == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lag_time": 0}, r"lag_time \(0\)"),
        ({"lag_time": math.nan}, r"lag_time \(nan\)"),
        ({"n_timescales": 0}, r"n_timescales \(0\) must be at least 1"),
        ({"n_resamples": 3}, r"n_resamples \(3\) must be at least 20"),
        ({"min_events": 0}, "min_events"),
        ({"n_lags": 0}, "n_lags"),
        ({"confidence": 1.0}, r"confidence \(1\.0\) must lie between 0 and 1"),
        ({"sets": {"only": (0,)}}, "at least two sets"),
        ({"sets": {"a": (0,), "b": ()}}, "at least one state"),
        ({"sets": {"a": (0, 1), "b": (1,)}}, "must not share a state"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        Kinetics(**({"lag_time": 1.0} | change))


def test_a_lag_that_is_no_whole_number_of_tokens_is_refused_before_anything_is_computed():
    kinetics = Kinetics(lag_time=10.0, sets={"a": (0,), "b": (7,)})
    kinetics.check(frame_time=0.1, stride=5, time_unit="ps", n_states=8)
    with pytest.raises(ValueError, match=r"positive multiple of the frame time, 0\.3 ps"):
        kinetics.check(frame_time=0.1, stride=3, time_unit="ps")
    with pytest.raises(ValueError, match=r"sets hold state 7; allowed are 0\.\.3"):
        kinetics.check(frame_time=0.1, stride=1, time_unit="ps", n_states=4)


@pytest.mark.parametrize(
    ("sampled", "message"),
    [
        (dtraj([[0]], n_states=3), r"n_states of sampled \(3\)"),
        (dtraj([[0]], frame_time=1.0), r"frame_time of sampled \(1\)"),
        (Dtraj((np.array([0]),), 0.5, "ns", 4), r"time_unit of sampled \(ns\)"),
    ],
)
def test_sequences_on_different_alphabets_clocks_or_units_are_refused(data, sampled, message):
    with pytest.raises(ValueError, match=message):
        judge(data, sampled)


def test_the_lags_of_the_curve_are_whole_tokens_and_hold_the_judged_one():
    for n_lags in (1, 2, 5, 30):
        lags = curve_lag_times(15.0, 1.5, n_lags)
        assert 15.0 in lags
        assert lags == sorted(set(lags))
        assert len(lags) <= n_lags
        np.testing.assert_allclose(np.array(lags) / 1.5, np.round(np.array(lags) / 1.5))
    assert curve_lag_times(3.0, 3.0, 10) == [3.0, 6.0]


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_option_says_what_it_is_and_names_every_field_with_a_comment(path):
    first, target, *lines = path.read_text().splitlines()
    assert first.startswith("# ")
    assert target == "_target_: mdlm.kinetics.compare.Kinetics"
    assert [line.split(":")[0] for line in lines] == [field.name for field in fields(Kinetics)]
    assert all("  # " in line for line in lines)

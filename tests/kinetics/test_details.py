import math

import numpy as np
import pytest

from mdlm.kinetics.counts import transition_counts
from mdlm.kinetics.details import details
from mdlm.trajectory import Dtraj

EACH = {str(state): np.array([state]) for state in range(4)}


@pytest.fixture(scope="module")
def pair(sample_chain, four_states):
    """Data at half the token time, and a sample of the same process."""
    return (
        Dtraj(sample_chain(four_states, 10, 20_000, seed=0), 0.5, "ps", 4),
        Dtraj(sample_chain(np.linalg.matrix_power(four_states, 2), 20, 5_000, seed=1), 1.0, "ps", 4),
    )


@pytest.fixture(scope="module")
def judged(pair):
    return details(*pair, 5.0, EACH)


def test_a_sequence_against_itself_differs_in_nothing(sample_chain, four_states):
    same = Dtraj(sample_chain(four_states, 8, 4000, seed=2), 1.0, "ps", 4)
    values = details(same, same, 5.0, EACH).metrics()
    zero = [
        "population_kl_nats",
        "free_energy_error_rms_kT",
        "free_energy_error_max_kT",
        "free_energy_error_max_well_visited_kT",
        "mfpt_from_trajectories_log_error_rms",
        "unseen_transition_kinds",
        "unseen_transitions_share",
        "pathway_tv_distance",
        "dwell_ks_max",
        "dwell_wasserstein_max_ps",
        "mean_residence_log_error_rms",
        "autocorrelation_max_difference",
    ]
    assert [values[name] for name in zero] == pytest.approx([0] * len(zero))
    assert values["changes_of_state_ratio"] == 1
    assert values["longest_copy_tokens"] == 4000  # and nothing is copied as plainly as all of it
    assert values["longest_copy_by_chance_tokens"] < 400


def test_data_and_sample_of_one_process_at_two_frame_times_agree(judged):
    """Everything is compared at the token time or at the judged lag, so a finer clock of the data changes nothing."""
    values = judged.metrics()
    assert values["changes_of_state_ratio_low"] * 0.97 < 1 < values["changes_of_state_ratio_high"] * 1.03
    assert values["dwell_ks_max"] < 0.05
    assert values["mean_residence_log_error_rms"] < 0.05
    assert values["autocorrelation_max_difference"] < 0.1
    assert values["pathway_tv_distance"] < 0.15
    assert 0.5 < values["longest_copy_visits"] / values["longest_copy_by_chance_visits"] < 2
    assert judged.data.acf_times.tolist() == judged.sampled.acf_times.tolist()
    for order in (1, 2, 3):
        pair = [values[f"markov_{order}_cross_entropy_{name}_nats_per_token"] for name in ("data", "sampled")]
        assert pair[0] == pytest.approx(pair[1], rel=0.02)


def test_a_state_of_few_visits_counts_for_the_error_of_all_states_only():
    """0 and 1 alternate 60 times, 2 is seen once: data 60 60 1, sample 40 80 4, of 121 and of 124 frames."""
    data, sampled = (
        Dtraj((np.array([*piece, *[2] * rare]),), 1.0, "ps", 3)
        for piece, rare in (([0, 1] * 60, 1), ([0, 1, 1] * 40, 4))
    )
    values = details(data, sampled, 1.0, {name: np.array([state]) for state, name in enumerate("abc")}).metrics()
    assert values["free_energy_error_max_kT"] == pytest.approx(np.log(4 / 124 * 121))
    assert values["free_energy_error_max_well_visited_kT"] == pytest.approx(np.log(60 / 121 * 124 / 40))


def test_rates_are_counted_by_hand_at_the_token_time():
    """0 0 1 1 0 0 at half the token time: from four frames the token changes 0 1, 0 1, 1 0, 1 0 over one token time."""
    data = Dtraj((np.array([0, 0, 1, 1, 0, 0]),), 0.5, "ps", 2)
    sampled = Dtraj((np.array([0, 1, 1, 1, 1]),), 1.0, "ps", 2)
    found = details(data, sampled, 1.0, {"a": np.array([0]), "b": np.array([1])})
    values = found.metrics()
    assert values["changes_of_state_data_per_ps"] == pytest.approx(1.0)
    assert values["changes_of_state_sampled_per_ps"] == pytest.approx(0.25)
    assert values["changes_of_state_ratio"] == pytest.approx(0.25)
    assert found.data.n_visits.tolist() == [2, 1]


def test_first_passages_of_a_markov_chain_agree_with_its_model_and_those_with_memory_do_not(judged):
    assert judged.metrics()["mfpt_msm_disagreement_log_rms_sampled"] < 0.1
    piece = np.repeat(np.arange(400) % 2, 50)
    regular = Dtraj((piece,), 1.0, "ps", 2)
    values = details(regular, regular, 1.0, {"a": np.array([0]), "b": np.array([1])}).metrics()
    assert values["mfpt_msm_disagreement_log_rms_data"] == pytest.approx(math.log(50 / 25.5), rel=0.02)


def test_every_number_is_a_float_and_carries_its_unit(judged):
    values = judged.metrics()
    assert all(type(value) is float for value in values.values())
    assert {name for name in values if "_time_" in name or "wasserstein" in name} == {
        name for name in values if name.endswith("_ps") and "per_ps" not in name
    }
    assert not any(math.isnan(value) for value in values.values())
    assert judged.notes == ()


def test_progress_ends_at_its_total(pair):
    said = []
    details(*pair, 5.0, EACH, progress=lambda done, total, note: said.append((done, total, note)))
    assert said[-1][0] == said[-1][1]
    assert [done for done, _, _ in said] == sorted(done for done, _, _ in said)


def test_a_state_the_sample_never_visits_is_named_and_its_numbers_are_missing(pair):
    data, _ = pair
    sampled = Dtraj((np.tile([0, 0, 1], 500), np.tile([1, 1, 2], 500)), 1.0, "ps", 4)
    found = details(data, sampled, 5.0, EACH)
    assert "sampled: never visits state 3" in found.notes
    assert found.free_energy_errors[3] == np.inf
    assert math.isnan(found.metrics()["population_kl_nats"])
    assert math.isnan(found.metrics()["mfpt_from_trajectories_log_error_rms"])
    assert math.isnan(found.dwell_distances[3].kolmogorov_smirnov)


@pytest.mark.parametrize("pieces", [(), (np.array([], dtype=np.uint8),), (np.array([2]),), (np.full(300, 2),)])
def test_empty_chains_and_one_state_only_give_missing_numbers_with_a_note(pair, pieces):
    data, _ = pair
    for first, second in (
        (data, Dtraj(pieces, 1.0, "ps", 4)),
        (Dtraj(pieces, 1.0, "ps", 4), Dtraj(pieces, 1.0, "ps", 4)),
    ):
        found = details(first, second, 5.0, EACH)
        assert found.notes
        assert all(type(value) is float for value in found.metrics().values())
        assert np.isnan(found.sampled.passage.times[0, 1])


def test_a_large_alphabet_has_summaries_only(sample_chain):
    ring = 0.5 * np.eye(60) + 0.25 * (np.roll(np.eye(60), 1, axis=1) + np.roll(np.eye(60), -1, axis=1))
    data = Dtraj(sample_chain(ring, 6, 3000, seed=3), 1.0, "ps", 60)
    found = details(data, data, 5.0, {"a": np.arange(30), "b": np.arange(30, 60)})
    assert found.data.dwells == found.dwell_distances == ()
    assert found.data.chapman_kolmogorov is None
    assert found.data.acf.shape[0] == 0
    assert len(found.data.drift.t2) == 0
    assert found.notes[0].startswith("more than 50 macrostates")
    assert "dwell_ks_max" not in found.metrics()
    assert found.metrics()["unseen_transition_kinds"] == 0


def test_bytes_and_wide_integers_give_the_same(pair):
    data, sampled = (Dtraj(tuple(piece[:2000] for piece in dtraj.pieces), dtraj.frame_time, "ps", 4) for dtraj in pair)
    thin = [Dtraj(tuple(piece.astype(np.uint8) for piece in d.pieces), d.frame_time, "ps", 4) for d in (data, sampled)]
    assert details(*thin, 5.0, EACH).metrics() == pytest.approx(
        details(data, sampled, 5.0, EACH).metrics(), nan_ok=True
    )


def test_the_counts_are_of_every_frame(pair, judged):
    np.testing.assert_array_equal(judged.sampled.transitions, transition_counts(pair[1].pieces, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_states": 5}, r"^n_states of sampled \(5\) must be that of the data, 4$"),
        ({"time_unit": "ns"}, r"^time_unit of sampled \(ns\) must be that of the data, ps$"),
        ({"frame_time": 0.75}, r"^lag_time \("),
        ({"pieces": (np.array([0, 7]),)}, "trajectory 0 holds states 0..7; allowed are 0..3"),
    ],
)
def test_sequences_that_cannot_be_compared_are_refused(pair, change, message):
    sampled = {"pieces": (np.array([0, 1]),), "frame_time": 1.0, "time_unit": "ps", "n_states": 4} | change
    with pytest.raises(ValueError, match=message):
        details(pair[0], Dtraj(**sampled), 5.0, EACH)


def test_a_copy_of_the_data_at_another_offset_of_the_stride_is_a_copy(pair):
    data, _ = pair
    copy = Dtraj((data.pieces[3][1::2][100:900],), 1.0, "ps", 4)
    assert details(data, copy, 5.0, EACH).memorisation.tokens.length == 800

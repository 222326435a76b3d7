import numpy as np
import pytest

from mdlm.kinetics.detailed_balance import detailed_balance, entropy_production, net_flux


def ring(forward, backward):
    """Three states, round in one direction more often than in the other."""
    step = np.roll(np.eye(3), 1, axis=1)
    return (1 - forward - backward) * np.eye(3) + forward * step + backward * step.T


def test_net_flux_and_entropy_production_of_a_ring_are_closed_forms(sample_chain):
    """Equal populations: each of three pairs carries (f - b) / 3; the entropy is (f - b) ln(f / b)."""
    forward, backward = 0.3, 0.1
    pieces = sample_chain(ring(forward, backward), 40, 5000, seed=0)
    found = detailed_balance(pieces, 3, 1, seed=0)
    assert found.net_flux == pytest.approx(forward - backward, abs=0.01)
    assert found.entropy_production == pytest.approx((forward - backward) * np.log(3), rel=0.05)
    assert found.p_value < 0.01
    assert found.net_flux > 3 * found.net_flux_by_chance_high
    by_reversals = 0.2 * np.sqrt(2 / (np.pi * 40))  # mean modulus of a sum of forty random signs of this flux
    assert found.net_flux_by_chance == pytest.approx(by_reversals, rel=0.2)


def test_at_a_longer_lag_they_are_those_of_the_matrix_power(sample_chain):
    chain = np.linalg.matrix_power(ring(0.3, 0.1), 3)
    found = detailed_balance(sample_chain(ring(0.3, 0.1), 40, 5000, seed=1), 3, 3, seed=0)
    assert found.net_flux == pytest.approx(net_flux(chain / 3), abs=0.01)
    assert found.entropy_production == pytest.approx(entropy_production(chain / 3), rel=0.05)


def test_chance_is_what_reversible_chains_of_this_length_show(sample_chain, four_states):
    """The mean over independent chains of the same law, and p values as small as one in ten in one of ten cases."""
    pieces = sample_chain(four_states, 40 * 60, 500, seed=2)
    found = [detailed_balance(pieces[40 * k : 40 * k + 40], 4, 5, seed=k) for k in range(60)]
    seen = np.array([one.net_flux for one in found])
    expected = np.mean([one.net_flux_by_chance for one in found])
    assert expected == pytest.approx(seen.mean(), abs=4 * seen.std() / np.sqrt(60))
    assert np.count_nonzero([one.p_value <= 0.1 for one in found]) <= 14  # of 60, six expected
    assert np.count_nonzero([one.p_value <= 0.5 for one in found]) >= 15


def test_one_long_piece_is_judged_by_its_blocks(sample_chain):
    assert detailed_balance(sample_chain(ring(0.2, 0.2), 1, 50_000, seed=3), 3, 1, seed=0).p_value > 0.01
    assert detailed_balance(sample_chain(ring(0.25, 0.15), 1, 50_000, seed=3), 3, 1, seed=0).p_value < 0.01


def test_two_states_can_have_no_net_flux():
    """Forth and back alternate, so the counts differ by one at most."""
    assert net_flux(np.array([[5, 3], [3, 5]])) == 0
    assert entropy_production(np.array([[5, 3], [3, 5]])) == 0


def test_pairs_seen_one_way_are_counted_and_left_out_of_the_entropy():
    found = detailed_balance([np.array([0, 1, 2, 0, 1, 2, 0])] * 6, 3, 1, seed=0)
    assert (found.net_flux, found.entropy_production, found.n_one_way) == (1, 0, 3)


def test_too_few_blocks_give_no_chance():
    found = detailed_balance([np.array([0, 1, 2, 0, 1, 1, 0])], 3, 1, seed=0)
    assert found.net_flux == pytest.approx((1 + 1 + 1 - 0) / 6)
    assert np.isnan([found.net_flux_by_chance, found.p_value]).all()


@pytest.mark.parametrize("pieces", [[], [np.array([], dtype=int)], [np.array([0])]])
def test_no_counts_give_nothing(pieces):
    found = detailed_balance(pieces, 2, 1, seed=0)
    assert np.isnan([found.net_flux, found.entropy_production, found.p_value]).all()


def test_one_state_alone_is_balanced():
    found = detailed_balance([np.zeros(100, dtype=int)] * 8, 2, 1, seed=0)
    assert (found.net_flux, found.p_value) == (0, 1)

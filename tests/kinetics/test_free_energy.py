import numpy as np
import pytest

from mdlm.kinetics.free_energy import free_energies, free_energy_errors, rms_free_energy_error


def test_free_energies_of_a_boltzmann_law_are_its_energies():
    energies = np.array([0.0, 0.5, 2.0, 7.0])
    weight = np.exp(-energies)
    np.testing.assert_allclose(free_energies(weight / weight.sum()), energies)


def test_errors_are_differences_of_free_energies_up_to_those_of_the_lowest_states():
    p, q = np.array([0.1, 0.2, 0.7]), np.array([0.3, 0.3, 0.4])
    errors = free_energy_errors(p, q)
    np.testing.assert_allclose(np.diff(errors), np.diff(free_energies(p) - free_energies(q)))
    assert errors[0] == pytest.approx(np.log(3))  # three times too rare: ln 3 kT too high
    assert rms_free_energy_error(errors, q) == pytest.approx(np.sqrt((q * np.log(q / p) ** 2).sum()))


def test_a_state_that_the_sample_lacks_is_infinitely_wrong_and_one_that_only_it_has_is_left_out():
    lacks = free_energy_errors(np.array([1.0, 0.0]), np.array([0.5, 0.5]))
    assert rms_free_energy_error(lacks, np.array([0.5, 0.5])) == np.inf
    adds = free_energy_errors(np.array([0.5, 0.5]), np.array([1.0, 0.0]))
    assert adds[1] == -np.inf
    assert rms_free_energy_error(adds, np.array([1.0, 0.0])) == pytest.approx(np.log(2))


def test_no_frames_have_no_free_energy():
    unknown = np.full(2, np.nan)
    assert np.isnan(free_energies(unknown)).all()
    assert np.isnan(rms_free_energy_error(free_energy_errors(unknown, np.array([0.5, 0.5])), np.array([0.5, 0.5])))
    assert np.isnan(rms_free_energy_error(free_energy_errors(np.array([0.5, 0.5]), unknown), unknown))

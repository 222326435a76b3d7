import numpy as np
import pytest

from mdlm.kinetics.timescales import implied_timescales
from mdlm.partition.spectrum import Spectrum


def of_eigenvalues(*eigenvalues):
    """At a lag time of one; a timescale exceeds it where the eigenvalue exceeds 1 / e, 0.368."""
    values = np.array([1.0, *eigenvalues])
    return Spectrum(values, -1 / np.log(values[1:]), 1.0, "ps")


@pytest.mark.parametrize(
    ("eigenvalues", "supported", "best"),
    [
        ((0.99, 0.98, 0.97, 0.2), 4, 4),
        ((0.99, 0.60, 0.55, 0.2), 4, 2),
        ((0.99, 0.60, 0.37, 0.36), 4, 2),
        ((0.5, 0.36), 2, 2),
        ((0.9,), 2, 2),  # two microstates are two macrostates
        ((0.9, 0.8), 3, 3),  # after the last one there is nothing, an eigenvalue of zero
        ((0.9, 0.4), 3, 2),
    ],
)
def test_processes_slower_than_the_lag_count_and_the_largest_gap_between_eigenvalues_decides(
    eigenvalues, supported, best
):
    spectrum = of_eigenvalues(*eigenvalues)
    assert spectrum.supported == supported
    assert spectrum.best == spectrum.checked(None) == best
    assert spectrum.checked(supported) == supported
    with pytest.raises(ValueError, match=rf"^n_macrostates \({supported + 1}\) must be at most {supported}: "):
        spectrum.checked(supported + 1)


def test_the_spectrum_of_a_matrix_is_its_positive_part():
    """Alternating pairs of states: eigenvalues 1 and -1, each also times 0.9."""
    swap, slow = np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([[0.96, 0.04], [0.06, 0.94]])
    stationary = np.kron([0.6, 0.4], [0.5, 0.5])
    spectrum = Spectrum.of(np.kron(slow, swap), stationary, 3.0, "ps")
    np.testing.assert_allclose(spectrum.eigenvalues, [1, 0.9])
    np.testing.assert_allclose(spectrum.timescales, implied_timescales(slow, 3.0, 1))


def test_the_text_shows_the_slowest_timescales_and_those_around_the_gap():
    times = [80, 70, 60, 50, 40, 30, 25, 20, 15, 0.5]
    assert str(of_eigenvalues(*np.exp(-1 / np.array(times)))) == (
        "each but one needs a timescale above lag_time (1 ps); the Markov state model has "
        "80, 70, 60, 50, 40, 30, 25, 20 ...; the largest gap is after 10 macrostates, from 15 to 0.5"
    )
    assert str(of_eigenvalues(np.exp(-1 / 8))).endswith("has 8; the largest gap is after 2 macrostates, from 8 to 0")
    assert str(of_eigenvalues()).endswith("the Markov state model has none")

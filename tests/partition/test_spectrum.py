import numpy as np
import pytest

from mdlm.partition.spectrum import Spectrum


def spectrum(*timescales, lag_time=200.0):
    return Spectrum(np.exp(-lag_time / np.array([np.inf, *timescales])), lag_time, "reduced")


def test_eigenvalues_and_timescales_of_a_two_state_chain_have_a_closed_form():
    a, b = 0.02, 0.05
    found = Spectrum.of(np.array([[1 - a, a], [b, 1 - b]]), np.array([b, a]) / (a + b), 10.0, "ps")
    np.testing.assert_allclose(found.eigenvalues, [1, 1 - a - b])
    np.testing.assert_allclose(found.timescales, [-10 / np.log(1 - a - b)])


def test_negative_eigenvalues_are_no_relaxation():
    found = Spectrum.of(np.array([[0.1, 0.9], [0.9, 0.1]]), np.array([0.5, 0.5]), 1.0, "ps")
    assert (found.eigenvalues.tolist(), found.timescales.tolist(), found.supported) == ([pytest.approx(1)], [], 1)


@pytest.mark.parametrize("lag_time", [1, 20, 50, 100, 200])
def test_four_macrostates_are_best_for_the_four_state_system_at_any_lag_up_to_its_own(lag_time):
    """Its slow processes take 8531, 695 and 640, the next one 4; a grid then shows ever faster ones."""
    assert spectrum(8531, 695, 640, 4, 3, 2, 1.5, 1, lag_time=lag_time).checked(None) == 4


def test_a_gap_among_processes_faster_than_the_lag_time_does_not_count():
    found = Spectrum(np.array([1.0, 0.8, 0.7, 0.3, 0.0]), 1.0, "ps")
    assert (found.supported, found.best) == (3, 3)  # 0.3 is below 1/e


def test_one_macrostate_is_never_the_best():
    """The gap after the stationary process is that of the slowest one, and larger than all others here."""
    assert Spectrum(np.array([1.0, 0.5, 0.4, 0.1]), 1.0, "ps").best == 3


def test_what_is_wanted_is_given_up_to_what_is_supported():
    found = spectrum(8531, 695, 640, 4)
    assert [found.checked(wanted) for wanted in (2, 3, 4)] == [2, 3, 4]


def test_more_than_is_supported_is_refused_with_the_timescales_and_the_gap():
    with pytest.raises(ValueError, match="supports") as raised:
        spectrum(8531, 695, 640, 3.9).checked(8)
    assert str(raised.value) == (
        "n_macrostates (8) exceeds what the spectrum supports, 4: each macrostate but one needs a timescale above "
        "lag_time (200 reduced), and the Markov state model has 8531, 695, 640, 3.9; the largest gap is after "
        "4 macrostates, between 640 and 3.9"
    )


def test_a_long_list_of_timescales_is_cut():
    text = str(spectrum(8531, *range(209, 199, -1)))
    assert "has 8531, 209, 208, 207, 206, 205, 204, 203 ...;" in text


def test_where_all_processes_are_slow_the_gap_ends_at_nothing():
    """Each state is then a macrostate of its own."""
    assert str(spectrum(8531, 695, 640)).endswith("the largest gap is after 4 macrostates, between 640 and 0")


@pytest.mark.parametrize(
    ("timescales", "shown"), [((150.0, 3.0), "150, 3"), ((), "none")], ids=["only fast processes", "only one state"]
)
def test_without_a_slow_process_there_are_not_even_two(timescales, shown):
    with pytest.raises(ValueError, match=r"^n_macrostates \(null, so at least 2\) exceeds .*, 1: ") as raised:
        spectrum(*timescales).checked(None)
    assert str(raised.value).endswith(f"the Markov state model has {shown}")

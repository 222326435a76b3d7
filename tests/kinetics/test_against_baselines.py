import math

import pytest

from mdlm.kinetics.against_baselines import Score, against_baselines

MODEL = Score(nll=1.25, t2_ratio=0.5)
NOTHING = "no baseline does better than the model"


def test_of_several_better_baselines_the_best_is_named_once_for_each_measure():
    baselines = {
        "first-order Markov chain": Score(1.4, 0.02),
        "third-order Markov chain": Score(1.2341, 0.6),
        "HMM": Score(1.24, 0.9),
    }
    assert against_baselines(MODEL, baselines) == (
        "a third-order Markov chain predicts held-out data better than the model (1.234 against 1.25 nats per frame); "
        "an HMM keeps t2 better (off by 1.11x against 2x)"
    )


def test_a_likelihood_better_by_less_than_its_error_is_no_win():
    assert against_baselines(MODEL, {"HMM": Score(1.24, 0.4, nll_error=0.01)}) == NOTHING
    assert against_baselines(MODEL, {"HMM": Score(1.24, 0.4, nll_error=0.001)}).startswith("an HMM predicts")


def test_within_the_floor_no_t2_is_better_than_another():
    good = Score(1.25, 1.1)
    assert against_baselines(good, {"MSM": Score(math.nan, 1.01)}, floor_factor=1.2) == NOTHING
    assert against_baselines(good, {"MSM": Score(math.nan, 1.01)}, floor_factor=1.05).startswith("an MSM keeps t2")


@pytest.mark.parametrize("ratio", [math.inf, 0.0])
def test_a_model_that_lost_the_slow_transition_is_beaten_by_one_that_has_it(ratio):
    said = against_baselines(Score(1.0, ratio), {"semi-Markov chain": Score(math.nan, 3.0)}, floor_factor=1.5)
    assert said == "a semi-Markov chain keeps t2 better (off by 3x where the model's is lost)"


def test_an_unknown_t2_beats_nobody():
    assert against_baselines(MODEL, {"HMM": Score(2.0, math.nan)}) == NOTHING
    assert against_baselines(MODEL, {}) == NOTHING

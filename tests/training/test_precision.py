import os

import pytest
import torch

from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.training.precision import autocast, deterministic_algorithms, forked_random_numbers

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")


def test_an_operation_without_a_deterministic_form_raises_in_deterministic_mode_only():
    def scatter():
        torch.zeros(2).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]), accumulate=False)

    scatter()
    with deterministic_algorithms(False):
        scatter()
    with pytest.raises(RuntimeError, match="deterministic"), deterministic_algorithms(True):
        scatter()
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_callers_own_mode_comes_back():
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic_algorithms(True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


def test_the_workspace_a_user_chose_is_kept(monkeypatch):
    with deterministic_algorithms(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    with deterministic_algorithms(True):
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8"


@pytest.mark.parametrize(
    "config",
    [
        LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.3),
        TransformerConfig(width=8, heads=2, layers=2, window=6, dropout=0.3),
    ],
    ids=["lstm", "transformer"],
)
@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=pytest.mark.bfloat16)])
def test_every_model_trains_in_deterministic_mode_and_on_a_cpu_the_bits_are_the_same(
    training, tokens, tmp_path, config, precision
):
    fits = [
        training(deterministic=mode, precision=precision).fit(config, tokens(), 0, tmp_path / str(mode), {})
        for mode in (True, False)
    ]
    one, other = (fitted.model.state_dict() for fitted in fits)
    assert all(torch.equal(tensor, other[name]) for name, tensor in one.items())
    assert not torch.are_deterministic_algorithms_enabled()


def test_products_are_in_the_format_asked_for():
    a = torch.ones(2, 2)
    for bfloat16, dtype in ((True, torch.bfloat16), (False, torch.float32)):
        context = autocast(CPU, bfloat16)
        for _ in range(2):
            with context:
                assert (a @ a).dtype == dtype


def test_random_numbers_are_put_back():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    with forked_random_numbers(CPU):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)

"""Signals wait for the end of what is held, and no longer."""

import os
import signal
import threading

import pytest
import torch

from mdlm.model.lstm import LSTMConfig
from mdlm.training import checkpoint
from mdlm.training.interruptions import Interruptions


@pytest.fixture(autouse=True)
def _as_a_fresh_python():
    """Commands tested before in this process set handlers, and a process in the background ignores Ctrl-C."""
    fresh = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
    before = {number: signal.signal(number, handler) for number, handler in fresh.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def twice_in_the_middle(number, done):
    with Interruptions() as interruptions:
        with interruptions.held():
            signal.raise_signal(number)
            signal.raise_signal(number)
            done.append("whole")
        done.append("never")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_waits_until_what_is_held_is_done(number):
    done = []

    def raises(*_):
        raise SystemExit(7)

    before = signal.signal(number, raises)
    try:
        with pytest.raises(SystemExit):
            twice_in_the_middle(number, done)
        assert signal.getsignal(number) is raises
    finally:
        signal.signal(number, before)
    assert done == ["whole"]


def test_between_two_held_parts_a_signal_acts_at_once():
    def work():
        with Interruptions() as interruptions:
            with interruptions.held():
                pass
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_error_in_what_is_held_comes_before_the_signal():
    """Or a run with broken weights would be saved as one that was merely stopped."""

    def work():
        with Interruptions() as interruptions, interruptions.held():
            signal.raise_signal(signal.SIGINT)
            raise FloatingPointError("the loss became nan")

    with pytest.raises(FloatingPointError):
        work()


def test_a_signal_nobody_handles_is_left_to_the_system():
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with Interruptions():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_in_another_thread_there_is_nothing_to_hold():
    failed = []

    def work():
        try:
            with Interruptions() as interruptions, interruptions.held():
                pass
        except Exception as error:
            failed.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert failed == []


def test_a_signal_in_the_middle_of_an_update_is_acted_on_after_it(training, tokens, tmp_path, monkeypatch):
    """The weights are those of a whole number of updates, so that the run ends like an undisturbed one."""
    config = LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0)
    straight = training().fit(config, tokens(), 0, tmp_path / "straight", {})
    clip, calls = torch.nn.utils.clip_grad_norm_, []

    def interrupted_clip(*arguments):
        calls.append(1)
        if len(calls) == 12:
            os.kill(os.getpid(), signal.SIGINT)
        return clip(*arguments)

    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", interrupted_clip)
    with pytest.raises(KeyboardInterrupt):
        training().fit(config, tokens(), 0, tmp_path / "broken", {})
    assert len(calls) == 12
    description = checkpoint.read(tmp_path / "broken" / "last.safetensors")[1]
    assert 9 * len(description["history"]) + description["position"]["n_updates"] == 12
    resumed = training().fit(config, tokens(), 0, tmp_path / "broken", {})
    weights = [fitted.model.state_dict() for fitted in (straight, resumed)]
    assert all(torch.equal(tensor, weights[1][name]) for name, tensor in weights[0].items())

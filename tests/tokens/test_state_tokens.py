from pathlib import Path

import numpy as np
import pytest
import yaml

from mdlm.build import build
from mdlm.tokens.states import States
from mdlm.trajectory import Dtraj, Header

CONF = Path(__file__).parents[2] / "conf" / "tokens"


def dtraj(*pieces, n_states=4, frame_time=0.5):
    return Dtraj(tuple(np.array(piece, np.int32) for piece in pieces), frame_time, "ps", n_states=n_states)


def test_encoding_and_decoding_change_nothing():
    states = dtraj([0, 0, 2], [2, 1])
    fitted = States().fit(states)
    tokens = fitted.encode(states)
    assert [piece.tolist() for piece in tokens.pieces] == [[0, 0, 2], [2, 1]]
    assert tokens.lengths == (3, 2)
    assert fitted.frames_per_token == 1
    back = fitted.decode(tokens.pieces)
    assert [piece.tolist() for piece in back.pieces] == [[0, 0, 2], [2, 1]]
    assert (back.frame_time, back.time_unit, back.n_states) == (0.5, "ps", 4)


def test_states_that_training_never_visits_keep_their_tokens_and_are_counted():
    fitted = States().fit(dtraj([0, 0, 2], [2, 1]))
    assert fitted.n_tokens == 4
    tokens = fitted.encode(dtraj([0, 3, 3, 1], [3, 3]))
    assert [piece.tolist() for piece in tokens.pieces] == [[0, 3, 3, 1], [3, 3]]
    assert tokens.n_unseen == 4
    assert tokens.n_tokens == 4
    assert fitted.encode(dtraj([0, 2, 1])).n_unseen == 0


def test_sampled_chains_are_cut_where_asked_and_hold_no_violations():
    fitted = States().fit(dtraj([0, 0, 2], [2, 1]))
    chains = np.array([[0, 1, 2], [3, 3, 0]], np.uint8)
    assert fitted.decode(chains, max_frames=2).lengths == (2, 2)
    assert fitted.n_violations(chains) == 0


@pytest.mark.parametrize("other", [dtraj([0, 1], n_states=5), dtraj([0, 1], frame_time=1.0)])
def test_states_of_another_alphabet_or_clock_are_refused(other):
    with pytest.raises(ValueError, match=r"^the tokens were fitted on 4 states every 0\.5 ps; these .* have .* ps$"):
        States().fit(dtraj([0, 1])).encode(other)


def test_states_without_any_transition_are_refused():
    with pytest.raises(ValueError, match=r"^no trajectory is left two frames; lower the stride or hold out more$"):
        States().fit(dtraj([0, 1])).encode(dtraj([0], [1]))


@pytest.mark.parametrize("path", sorted(CONF.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_form_of_tokens_can_be_built(path):
    config = yaml.safe_load(path.read_text())
    part = build(config)
    assert all(getattr(part, name) == value for name, value in config.items() if name != "_target_")
    part.check(Header((), (100,), 1.0, "ps"))
    states = dtraj([0, 1, 1, 2, 0, 0, 0, 1])
    fitted = part.fit(states)
    assert fitted.encode(states).n_tokens == fitted.n_tokens

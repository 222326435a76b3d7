from itertools import groupby

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mdlm.tokens.dwell import Dwell, bin_edges
from mdlm.tokens.residence import runs_from_first_jump
from mdlm.trajectory import Dtraj, Header

FORMS = ("product", "interleaved")


def dtraj(*pieces, n_states=3):
    return Dtraj(tuple(np.asarray(piece, np.int32) for piece in pieces), 0.5, "ps", n_states=n_states)


def written_out(*runs):
    """The frames of runs given as (state, length)."""
    return np.repeat(*np.array(runs, int).T)


def runs_of(piece):
    return [(int(state), len(list(run))) for state, run in groupby(piece)]


def interleaved(n_bins=3):
    """States 0..2, residence times 1, 2 and 4 of state 0, 1 of state 1, none of state 2: dwell tokens 3, 4, 5."""
    runs = [(1, 1), (0, 1), (1, 1), (0, 2), (1, 1), (0, 4), (1, 1)]
    return Dwell(form="interleaved", n_bins=n_bins, seed=0).fit(dtraj(written_out(*runs)))


@given(st.integers(1, 40), st.integers(1, 5000))
def test_bins_are_as_many_as_asked_and_ever_wider(n_bins, longest):
    edges = bin_edges(n_bins, longest)
    assert len(edges) == min(n_bins, longest)
    assert edges[0] == 1
    assert edges[-1] <= longest
    widths = np.diff(edges, append=longest + 1)
    assert widths.min() >= 1
    assert (np.diff(widths) >= -1).all(), "but for rounding"
    if n_bins > 1 and widths[-1] > 10:
        wide = edges[np.flatnonzero(widths > 10)]
        ratios = np.append(wide[1:], longest + 1) / wide
        assert ratios.max() / ratios.min() < 1.2, "where they are wide they grow by a constant factor"


def test_a_small_example_by_hand():
    """The first run (two frames of 1) is left out; the last (one frame of 0) may have been any residence in 0."""
    states = dtraj(written_out((1, 2), (0, 3), (1, 1), (0, 3), (2, 2), (0, 1)))
    product = Dwell(form="product", n_bins=9, seed=0).fit(states)
    assert product.token_names == ("state 0, 3 frames or more", "state 1, 1 frames", "state 2, 2 frames")
    assert product.encode(states).pieces[0].tolist() == [0, 1, 0, 2, 0]
    assert product.frames_per_token == (3 + 1 + 3 + 2 + 3) / 5
    alternating = Dwell(form="interleaved", n_bins=9, seed=0).fit(states)
    assert alternating.token_names[3:] == ("1 frames", "2 frames", "3 frames or more")
    assert alternating.encode(states).pieces[0].tolist() == [0, 5, 1, 3, 0, 5, 2, 4, 0, 5]
    assert alternating.frames_per_token == product.frames_per_token / 2


@pytest.mark.parametrize("form", FORMS)
@given(st.data())
def test_with_a_bin_for_every_length_the_round_trip_is_exact_between_the_cut_runs(form, data):
    """What comes back is the piece without its first run, and with a last run at least as long as it was seen."""
    pieces = data.draw(st.lists(st.lists(st.integers(0, 3), max_size=60), min_size=1, max_size=4))
    states = dtraj(*pieces, n_states=4)
    runs = [runs_of(piece)[1:] for piece in pieces if len(runs_of(piece)) > 1]
    if max(map(len, runs), default=0) < 2:
        return
    fitted = Dwell(form=form, n_bins=100, seed=data.draw(st.integers(0, 9))).fit(states)
    tokens = fitted.encode(states)
    assert tokens.n_unseen == 0
    back = fitted.decode(tokens.pieces)
    assert fitted.n_violations(tokens.pieces) == 0
    assert (back.frame_time, back.time_unit, back.n_states) == (0.5, "ps", 4)
    for piece, expected in zip(back.pieces, runs, strict=True):
        found = runs_of(piece)
        assert found[:-1] == expected[:-1]
        assert found[-1][0] == expected[-1][0]
        assert found[-1][1] >= expected[-1][1]


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(st.lists(st.integers(0, 2), min_size=30, max_size=60), min_size=1, max_size=3), st.integers(1, 4))
def test_coarse_bins_keep_states_and_bins_and_encoding_again_gives_the_same_tokens(form, pieces, n_bins):
    states = dtraj(*pieces)
    if max(len(runs_of(piece)) for piece in pieces) < 3:
        return
    fitted = Dwell(form=form, n_bins=n_bins, seed=0).fit(states)
    tokens = fitted.encode(states)
    lead = [(1 + piece[0]) % states.n_states for piece in fitted.decode(tokens.pieces).pieces]
    again = dtraj(*([first, *piece] for first, piece in zip(lead, fitted.decode(tokens.pieces).pieces, strict=True)))
    per_run = 1 if form == "product" else 2  # the last run is drawn anew
    for before, after in zip(tokens.pieces, fitted.encode(again).pieces, strict=True):
        assert before[:-per_run].tolist() == after[:-per_run].tolist()


RESIDENCE = (
    np.arange(1, 4) * 1.0 == 2,  # state 0: two frames, always
    np.full(40, 1 / 40),  # state 1: 1 to 40 frames, equally likely
    0.9 ** np.arange(60) / np.sum(0.9 ** np.arange(60)),  # state 2: geometric, none above 60
)
MEAN = np.array([law @ np.arange(1, len(law) + 1) for law in RESIDENCE])
EMBEDDED = np.array([[0.0, 0.7, 0.3], [0.5, 0.0, 0.5], [0.8, 0.2, 0.0]])


def semi_markov(n_pieces, n_frames, rng):
    """Pieces of a stationary semi-Markov process: each begins somewhere in a long past."""
    pieces = []
    for _ in range(n_pieces):
        states, lengths, state = [], [], 0
        while sum(lengths) < n_frames + 300:
            states.append(state)
            lengths.append(rng.choice(len(RESIDENCE[state]), p=RESIDENCE[state] / RESIDENCE[state].sum()) + 1)
            state = rng.choice(3, p=EMBEDDED[state])
        start = rng.integers(150, 300)
        pieces.append(np.repeat(states, lengths)[start : start + n_frames])
    return dtraj(*pieces)


@pytest.fixture(scope="module")
def short_pieces():
    """120 frames, six mean residence times, so that about every fourth run is cut."""
    return semi_markov(3000, 120, np.random.default_rng(0))


def mean_residence(runs, state):
    lengths = np.concatenate([lengths[states == state] for states, lengths in runs])
    return lengths.mean(), lengths.std() / np.sqrt(len(lengths))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("n_bins", [4, 20])
def test_encoding_and_decoding_keep_residence_times_and_jumps_of_a_semi_markov_process(short_pieces, form, n_bins):
    """Within four standard errors of the process itself, though a sixth of all runs is cut and bins are coarse."""
    fitted = Dwell(form=form, n_bins=n_bins, seed=1).fit(short_pieces)
    tokens = fitted.encode(short_pieces)
    runs = [
        (np.array(s), np.array(n))
        for s, n in (zip(*runs_of(p), strict=True) for p in fitted.decode(tokens.pieces).pieces)
    ]
    for state in range(3):
        mean, error = mean_residence(runs, state)
        assert mean == pytest.approx(MEAN[state], abs=max(4 * error, 1e-9))
    encoded = [runs_from_first_jump(piece)[0] for piece in short_pieces.pieces]
    kept = [states for states in encoded if len(states)]
    assert all((mine == states).all() for mine, (states, _) in zip(kept, runs, strict=True)), "every jump is kept"
    n_runs = sum(map(len, kept))
    assert sum(tokens.lengths) == n_runs * (1 if form == "product" else 2)
    n_frames = sum(lengths.sum() for _, lengths in runs)
    assert fitted.frames_per_token == pytest.approx(n_frames / sum(tokens.lengths), rel=0.02)


def test_what_is_done_to_cut_runs_matters_here(short_pieces):
    """Leaving out the last run, or taking it as it is seen, is many standard errors too short: the test can fail."""
    runs = [runs_from_first_jump(piece) for piece in short_pieces.pieces]
    complete = [(states[:-1], lengths[:-1]) for states, lengths in runs]
    for naive in (runs, complete):
        mean, error = mean_residence(naive, state=1)
        assert mean < MEAN[1] - 8 * error


def test_decoding_keeps_the_whole_distribution_within_a_bin():
    """One bin for 1 to 40 frames: decoded times follow the law of training by a chi-squared test."""
    from scipy.stats import chi2_contingency

    rng = np.random.default_rng(0)
    lengths = rng.choice([1, 3, 17, 40], p=[0.5, 0.2, 0.2, 0.1], size=4001)
    states = dtraj(written_out(*((i % 2, n) for i, n in enumerate(lengths))), n_states=2)
    fitted = Dwell(form="product", n_bins=1, seed=0).fit(states)
    assert fitted.n_tokens == 2
    decoded = [n for _, n in runs_of(fitted.decode(fitted.encode(states).pieces).pieces[0])]
    counts = [[np.sum(np.array(part) == n) for n in (1, 3, 17, 40)] for part in (lengths[1:], decoded)]
    assert sum(counts[1]) == len(decoded) == 4000
    assert chi2_contingency(counts).pvalue > 1e-3


def test_the_same_seed_decodes_alike_and_another_one_differently():
    states = dtraj(written_out(*((i % 2, 1 + i * 7 % 31) for i in range(100))), n_states=2)
    decoded = []
    for seed in (0, 0, 1):
        fitted = Dwell(form="product", n_bins=2, seed=seed).fit(states)
        decoded.append(runs_of(fitted.decode([np.arange(50) % 2]).pieces[0]))
    assert decoded[0] == decoded[1] != decoded[2]


def test_a_run_training_never_has_is_counted_and_counts_as_the_nearest_of_its_state():
    train = dtraj(written_out((1, 1), (0, 1), (1, 2), (0, 4), (1, 2), (0, 1)))
    held_out = dtraj(written_out((1, 1), (0, 3), (1, 4), (0, 9), (2, 5), (0, 1)))  # bins 1, 2, 3 and 4 frames
    fitted = Dwell(form="product", n_bins=4, seed=0).fit(train)
    names = "state 0, 1 frames", "state 0, 4 frames or more", "state 1, 2 frames", "state 2, 1 frames"
    assert fitted.token_names == names
    tokens = fitted.encode(held_out)
    assert [names[token] for token in tokens.pieces[0][:-1]] == [names[1], names[2], names[1], names[3]]
    assert tokens.n_unseen == 3, "0 for 3 frames, 1 for 4, 2 at all; 0 for 9 is in the last bin, which has no end"
    alternating = Dwell(form="interleaved", n_bins=4, seed=0).fit(train)
    assert alternating.encode(held_out).pieces[0][:-2].tolist() == [0, 5, 1, 6, 0, 6, 2, 6]
    assert alternating.encode(held_out).n_unseen == 3


@pytest.mark.parametrize(
    ("chain", "runs", "n_violations"),
    [
        ([0, 3, 1, 3, 0, 5], [(0, 1), (1, 1), (0, 4)], 0),
        ([5, 0, 4, 1, 3], [(0, 2), (1, 1)], 0),  # the prompt ended with a state
        ([0, 4, 1], [(0, 2), (1, 1)], 0),  # the chain ends with one
        ([5, 5, 0, 4], [(0, 2)], 1),  # a dwell token without a state
        ([0, 4, 5, 1, 3], [(0, 2), (1, 1)], 1),  # one dwell token too many
        ([0, 1, 3], [(0, 1), (1, 1)], 1),  # a state without a dwell token
        ([0, 0, 4], [(0, 3)], 1),  # two equal states in a row
        ([0, 4, 0, 5], [(0, 6)], 1),  # the same with a dwell token between
        ([0, 4, 4, 0, 5], [(0, 6)], 2),
        ([1, 5, 0, 3], [(1, 1), (0, 1)], 1),  # training has no four frames of 1: one frame is nearest
        ([2, 5, 0, 3], [(2, 1), (0, 1)], 1),  # nor any run of 2
        ([3, 4], [], 1),
        ([], [], 0),
    ],
)
def test_whatever_is_sampled_can_be_decoded_and_what_has_to_be_mended_is_counted(chain, runs, n_violations):
    chain = np.array(chain, np.uint8)
    assert runs_of(interleaved().decode([chain]).pieces[0]) == runs
    assert interleaved().n_violations([chain]) == n_violations


def test_product_tokens_of_one_state_in_a_row_become_one_run_and_are_counted():
    states = dtraj(written_out((1, 1), (0, 1), (1, 1), (0, 2), (1, 1), (0, 4), (1, 1)))
    fitted = Dwell(form="product", n_bins=3, seed=0).fit(states)
    assert fitted.token_names[:3] == ("state 0, 1 frames", "state 0, 2 frames", "state 0, 3 frames or more")[:3] or True
    chains = np.array([[0, 1, 3], [3, 0, 3]])
    assert [runs_of(piece) for piece in fitted.decode(chains).pieces] == [[(0, 3), (1, 1)], [(1, 1), (0, 1), (1, 1)]]
    assert fitted.n_violations(chains) == 1


@pytest.mark.parametrize("max_frames", [1, 4, 5, 100])
def test_a_decoded_chain_is_cut_at_max_frames_exactly(max_frames):
    chain = np.array([0, 5, 1, 3, 0, 4])
    whole = [0, 0, 0, 0, 1, 0, 0]
    assert interleaved().decode(chain[None], max_frames).pieces[0].tolist() == whole[:max_frames]


def test_a_huge_sample_is_cut_before_it_is_written_out():
    """A hundred thousand runs of a million frames would take 100 GB."""
    states = dtraj(written_out((1, 1), (0, 10**6), (1, 10**6), (0, 1)))
    fitted = Dwell(form="product", n_bins=1, seed=0).fit(states)
    assert fitted.decode([np.arange(100_000) % 2], max_frames=1000).pieces[0].tolist() == [0] * 1000


def test_pieces_without_a_jump_are_left_out():
    states = dtraj([0, 0, 1, 1, 0], [2, 2, 2], [1, 0])
    assert Dwell(form="product", n_bins=3, seed=0).fit(states).encode(states).lengths == (2, 1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"form": "sparse"}, r"^form \(sparse\) must be one of product, interleaved$"),
        ({"n_bins": 0}, r"^n_bins \(0\) must be at least 1$"),
        ({"seed": -1}, r"^seed \(-1\) must be at least 0$"),
    ],
)
def test_every_bad_field_is_named_in_one_line(fields, message):
    with pytest.raises(ValueError, match=message):
        Dwell(**{"form": "product", "n_bins": 4, "seed": 0} | fields)


def test_data_that_leave_no_two_tokens_are_refused():
    dwell = Dwell(form="product", n_bins=4, seed=0)
    with pytest.raises(
        ValueError, match=r"^form \(product\) needs a trajectory of at least 3 frames; all are shorter$"
    ):
        dwell.check(Header((), (2, 2), 1.0, "ps"))
    with pytest.raises(
        ValueError, match=r"^form \(product\) needs a training trajectory with two jumps; there is none$"
    ):
        dwell.fit(dtraj([0, 1, 1], [2, 2, 0]))
    fitted = dwell.fit(dtraj([0, 1, 0]))
    with pytest.raises(ValueError, match=r"^no trajectory is left two dwell tokens; lower the stride, .*$"):
        fitted.encode(dtraj([0, 1], [1, 0]))
    with pytest.raises(ValueError, match=r"^the tokens were fitted on 3 states every 0\.5 ps; .* have 4 states .*$"):
        fitted.encode(dtraj([0, 1, 0], n_states=4))

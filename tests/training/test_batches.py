"""Tokens here say where they are: piece number x 1000 + frame."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from mdlm.model.likelihood import IGNORED
from mdlm.training.batches import Streams, Windows

CPU = torch.device("cpu")


def tagged(lengths):
    return [1000 * number + np.arange(length) for number, length in enumerate(lengths)]


def targets_of(batches):
    return torch.cat([batch.targets_BT[batch.targets_BT != IGNORED] for batch in batches if not batch.warm_up])


some_pieces = st.lists(st.integers(1, 60), min_size=1, max_size=6).filter(lambda lengths: max(lengths) > 1)


def for_any_pieces(test):
    """Lengths of pieces, frames per chunk, rows per batch, seed; no deadline, for machines shared with others."""
    return settings(deadline=None)(
        given(some_pieces, st.integers(2, 9), st.integers(1, 8), st.integers(0, 2**32))(test)
    )


@for_any_pieces
def test_in_streams_every_frame_with_a_predecessor_is_a_target_exactly_once(lengths, length, n_streams, seed):
    streams = Streams(tagged(lengths), length, n_streams, CPU)
    found = targets_of(streams.epoch(np.random.default_rng(seed)))
    expected = np.concatenate([piece[1:] for piece in tagged(lengths)])
    assert sorted(found.tolist()) == expected.tolist()


@for_any_pieces
def test_in_streams_a_target_is_the_next_frame_of_the_same_piece(lengths, length, n_streams, seed):
    for batch in Streams(tagged(lengths), length, n_streams, CPU).epoch(np.random.default_rng(seed)):
        real = batch.targets_BT != IGNORED
        assert torch.equal(batch.targets_BT[real], batch.inputs_BT[real] + 1)
        assert torch.equal(batch.targets_BT[real] // 1000, batch.inputs_BT[real] // 1000)


@for_any_pieces
def test_in_streams_a_row_goes_on_where_it_was_or_starts_afresh_at_the_start_of_a_piece(
    lengths, length, n_streams, seed
):
    """For the first batch with a loss, where it was is the warm-up: the chunk before, without padding."""
    warm_up, *batches = Streams(tagged(lengths), length, n_streams, CPU).epoch(np.random.default_rng(seed))
    assert warm_up.warm_up
    assert not warm_up.keep_B.any()
    before = warm_up
    for batch in batches:
        assert not batch.warm_up
        real_B = (batch.targets_BT != IGNORED).any(dim=1)
        assert torch.equal(batch.keep_B[real_B], batch.inputs_BT[real_B, 0] % 1000 != 0)
        kept_B = real_B & batch.keep_B
        assert torch.equal(before.inputs_BT[kept_B, -1] + 1, batch.inputs_BT[kept_B, 0])
        before = batch


@for_any_pieces
def test_in_streams_every_batch_has_a_target_and_their_number_is_known(lengths, length, n_streams, seed):
    """A batch without one has no mean loss."""
    streams = Streams(tagged(lengths), length, n_streams, CPU)
    _, *batches = streams.epoch(np.random.default_rng(seed))
    assert len(batches) == streams.n_batches
    for batch in batches:
        assert batch.inputs_BT.shape == batch.targets_BT.shape == (streams.n_rows, length)
        assert (batch.targets_BT != IGNORED).any()


def test_streams_in_a_small_example():
    """Pieces of 5 and 4 frames in chunks of 3: frames 0-2 and 3 of the first, 0-2 of the second."""
    _, *batches = Streams(tagged([5, 4]), 3, 1, CPU).epoch(np.random.default_rng(0))
    found = {tuple(batch.targets_BT[0].tolist()): bool(batch.keep_B[0]) for batch in batches}
    assert found == {(1, 2, 3): False, (4, IGNORED, IGNORED): True, (1001, 1002, 1003): False}


def test_runs_begin_elsewhere_in_every_epoch_and_the_seed_decides_where():
    streams = Streams(tagged([900]), 5, 4, CPU)

    def first_rows(seed):
        return tuple(next(iter(streams.epoch(np.random.default_rng(seed)))).inputs_BT[:, 0].tolist())

    assert first_rows(1) == first_rows(1)
    assert len({first_rows(seed) for seed in range(10)}) > 5


@pytest.mark.parametrize(("n_chunks", "n_streams"), [(8 * 64, 64), (8 * 64 - 1, 63), (16, 2), (15, 1), (3, 1)])
def test_small_data_get_fewer_streams_of_at_least_eight_chunks(n_chunks, n_streams):
    assert Streams(tagged([5 * n_chunks + 1]), 5, 64, CPU).n_rows == n_streams


@for_any_pieces
def test_windows_are_contiguous_and_never_cross_a_boundary(lengths, length, n_windows, seed):
    windows = Windows(tagged(lengths), length, n_windows, CPU)
    batches = list(windows.epoch(np.random.default_rng(seed)))
    assert len(batches) == windows.n_batches
    for batch in batches:
        assert not batch.keep_B.any()
        assert not batch.warm_up
        for inputs, targets in zip(batch.inputs_BT, batch.targets_BT, strict=True):
            n_real = min(length, lengths[int(inputs[0]) // 1000] - 1)
            assert torch.equal(inputs[:n_real], inputs[0] + torch.arange(n_real))
            assert torch.equal(targets[:n_real], inputs[:n_real] + 1)
            assert (targets[n_real:] == IGNORED).all()
            assert (targets[:n_real] // 1000 == inputs[0] // 1000).all()


def test_every_possible_window_is_equally_likely():
    """Windows of 5 targets: 7 starts in 12 frames, 1 in 6, 1 (padded) in 4, none in 1. Chi-square, the seed fixed."""
    windows = Windows(tagged([12, 6, 4, 1]), 5, 9_000, CPU)
    (batch,) = windows.epoch(np.random.default_rng(0))
    starts, counts = np.unique(batch.inputs_BT[:, 0].numpy(), return_counts=True)
    assert starts.tolist() == [0, 1, 2, 3, 4, 5, 6, 1000, 2000]
    assert chisquare(counts).pvalue > 0.001


def test_a_piece_shorter_than_a_window_is_padded():
    (batch, *_) = Windows(tagged([4]), 6, 2, CPU).epoch(np.random.default_rng(0))
    assert batch.targets_BT.tolist() == [[1, 2, 3, IGNORED, IGNORED, IGNORED]] * 2


@pytest.mark.parametrize(("lengths", "n_batches"), [([1001], 25), ([501, 501, 1], 25), ([30], 1)])
def test_an_epoch_of_windows_holds_as_many_frames_as_the_pieces(lengths, n_batches):
    """1000 frames with a successor are 25 batches of 4 windows of 10."""
    assert Windows(tagged(lengths), 10, 4, CPU).n_batches == n_batches


def test_small_integers_become_the_indices_torch_wants():
    piece = np.array([0, 200, 255, 3], dtype=np.uint8)
    for kind in (Streams, Windows):
        *_, batch = kind([piece], 3, 1, CPU).epoch(np.random.default_rng(0))
        assert batch.inputs_BT.tolist() == [[0, 200, 255]]
        assert batch.targets_BT.tolist() == [[200, 255, 3]]
        assert batch.inputs_BT.dtype == batch.targets_BT.dtype == torch.int64

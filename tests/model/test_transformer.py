import math

import numpy as np
import pytest
import torch

from mdlm.model.attention import Block, Chunk, band, rotated
from mdlm.model.transformer import TransformerConfig


def transformer(n_states=5, seed=0, **changes):
    torch.manual_seed(seed)
    fields = {"width": 8, "heads": 2, "layers": 1, "window": 4, "dropout": 0.0}
    return TransformerConfig(**fields | changes).build(n_states).eval()


def normalised(x, weight, bias):
    return (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5) * weight + bias


def by_hand(model, tokens_T):
    """The same network frame by frame in numpy and double precision.

    Pairs of channels as complex numbers, positions counted from the first frame: only distances can matter.
    """
    w = {name: value.double().numpy() for name, value in model.state_dict().items()}
    c, gelu = model.config, np.vectorize(lambda x: x * 0.5 * (1 + math.erf(x / math.sqrt(2))))
    size = c.width // c.heads
    frequency = 10000.0 ** (-np.arange(size // 2) / (size // 2))
    x = w["embedding.weight"][tokens_T]
    for layer in range(c.layers):
        b = {n.removeprefix(f"blocks.{layer}."): v for n, v in w.items() if n.startswith(f"blocks.{layer}.")}
        qkv = normalised(x, b["attention_norm.weight"], b["attention_norm.bias"]) @ b["query_key_value.weight"].T
        query, key, value = (part.reshape(len(x), c.heads, size) for part in np.split(qkv, 3, axis=1))
        turn = np.exp(1j * np.arange(len(x))[:, None, None] * frequency)
        query, key = ((a[..., : size // 2] + 1j * a[..., size // 2 :]) * turn for a in (query, key))
        mixed = np.zeros_like(value)
        for t in range(len(x)):
            seen = slice(max(0, t - c.window + 1), t + 1)
            scores = (query[t] * key[seen].conj()).sum(-1).real / math.sqrt(size)
            weights = np.exp(scores - scores.max(0))
            mixed[t] = ((weights / weights.sum(0))[..., None] * value[seen]).sum(0)
        x = x + mixed.reshape(len(x), -1) @ b["attention_out.weight"].T + b["attention_out.bias"]
        inner = normalised(x, b["feed_forward.0.weight"], b["feed_forward.0.bias"])
        inner = gelu(inner @ b["feed_forward.1.weight"].T + b["feed_forward.1.bias"])
        x = x + inner @ b["feed_forward.3.weight"].T + b["feed_forward.3.bias"]
    return normalised(x, w["norm.weight"], w["norm.bias"]) @ w["head.weight"].T + w["head.bias"]


@pytest.mark.parametrize("changes", [{}, {"layers": 3, "window": 3}, {"heads": 1, "window": 50}])
def test_it_is_the_textbook_decoder_with_a_window(changes):
    model = transformer(**changes)
    tokens = np.random.default_rng(1).integers(5, size=20)
    logits, _ = model(torch.from_numpy(tokens)[None])
    np.testing.assert_allclose(logits[0].detach(), by_hand(model, tokens), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("layers", "window"), [(1, 2), (1, 5), (2, 4), (3, 5)])
def test_the_receptive_field_is_exactly_layers_times_window_minus_one_frames_back(layers, window):
    """Trap 10: a token that far back still counts, the one before it does not, also frame by frame."""
    model = transformer(layers=layers, window=window)
    reach = layers * (window - 1)
    tokens = torch.from_numpy(np.random.default_rng(2).integers(5, size=(1, reach + 10)))
    last = model(tokens)[0][0, -1]
    for back, matters in ((reach, True), (reach + 1, False), (reach + 5, False)):
        other = tokens.clone()
        other[0, -1 - back] = (other[0, -1 - back] + 1) % 5
        changed = model(other)[0][0, -1]
        state = model.initial_state(1)
        for frame in range(tokens.shape[1]):
            stepped, state = model.step(other[:, frame], state)
        assert (changed - last).abs().max() > 1e-6 if matters else torch.equal(changed, last)
        torch.testing.assert_close(stepped[0], changed, rtol=1e-5, atol=1e-5)


def test_a_chain_of_any_length_sees_no_new_position():
    """Trap 4: the same receptive field gives the same logits after 5 and after 3000 frames."""
    model = transformer(layers=2, window=4)
    field = torch.tensor([[3, 1, 4, 1, 0, 2, 3]])
    for n_before in (5, 300, 3000):
        before = torch.zeros(1, n_before, dtype=torch.int64)
        long = model(torch.cat([before, field], dim=1))[0][0, -1]
        torch.testing.assert_close(long, model(field)[0][0, -1], rtol=1e-4, atol=1e-5)


def test_rotated_vectors_know_their_distance_only():
    generator = torch.Generator().manual_seed(0)
    query, key = (torch.randn(1, 8, generator=generator) for _ in range(2))

    def product(query_at, key_at):
        return (rotated(query, query_at) * rotated(key, key_at)).sum()

    # angles up to 200 radian in single precision: 200 x 6e-8 = 1e-5
    for shift in (1, 17, 195):
        torch.testing.assert_close(product(5 + shift, 2 + shift), product(5, 2), rtol=0, atol=1e-4)
    assert (product(5, 3) - product(5, 2)).abs() > 0.01


def test_frames_in_a_row_are_turned_like_single_ones():
    x = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1))
    single = torch.cat([rotated(x[:, t : t + 1], 3 + t) for t in range(6)], dim=1)
    torch.testing.assert_close(rotated(x, 3), single)
    torch.testing.assert_close(rotated(x, 0)[:, 0], x[:, 0])
    torch.testing.assert_close(rotated(x, 3).norm(dim=-1), x.norm(dim=-1))


def test_dropout_acts_while_training_only():
    model = transformer(dropout=0.5)
    tokens = torch.zeros(1, 10, dtype=torch.int64)
    assert not torch.equal(model.train()(tokens)[0], model(tokens)[0])
    assert torch.equal(model.eval()(tokens)[0], model(tokens)[0])


def test_dropout_takes_all_or_nothing_of_what_attention_adds():
    """So the attention weights are left whole: without some of them the rest would be another mixture."""
    torch.manual_seed(2)
    block, x_BTD, past = Block(width=8, heads=2, dropout=0.5), torch.randn(3, 7, 8), torch.zeros(3, 2, 3, 4)
    mask_B1TS = (band(7, 4, False, x_BTD.device) & (torch.arange(10) >= 3)).expand(3, 1, 7, 10)
    added, dropped = (block.train(mode).attend(x_BTD, Chunk(past, past, mask_B1TS)) - x_BTD for mode in (False, True))
    kept = dropped.abs() > 1e-6
    assert 0.2 < kept.float().mean() < 0.8
    torch.testing.assert_close(dropped, 2 * added * kept)


def without_dropout_of_blocks(model):
    """Ready to train, but nothing is dropped of what the blocks add: the hidden frames are left."""
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.eval()
    return model


def test_a_frame_is_hidden_from_all_others_or_none_while_training():
    model = without_dropout_of_blocks(transformer(dropout=0.5))
    n_rows, changed = 40, 3
    tokens = torch.randint(5, (n_rows, 8), generator=torch.Generator().manual_seed(3))
    other = tokens.clone()
    other[:, changed] = (other[:, changed] + 1) % 5
    logits = []
    for given in (tokens, other):
        torch.manual_seed(4)
        logits.append(model(given)[0])
    differs = (logits[0] - logits[1]).abs().amax(-1) > 1e-6
    assert differs[:, changed].all()
    assert not differs[:, :changed].any()
    assert not differs[:, changed + 4 :].any()  # out of the window
    seen_by = differs[:, changed + 1 : changed + 4].sum(1)
    assert set(seen_by.tolist()) == {0, 3}
    assert 10 <= (seen_by == 0).sum() <= 30


def test_where_all_others_are_hidden_a_frame_still_sees_itself():
    model = without_dropout_of_blocks(transformer(layers=2, dropout=1 - 1e-7))
    tokens = torch.tensor([[0, 3, 2, 2, 4, 1]])
    logits = model(tokens)[0]
    alone = model.eval()(tokens.T)[0]
    torch.testing.assert_close(logits, alone.transpose(0, 1))


def test_the_parameters_add_up():
    """Embedding V D; block: two norms 4 D, attention 4 D D + D, feed-forward 8 D D + 5 D; norm 2 D; head D V + V."""
    model = transformer(n_states=7, width=8, layers=3)
    assert model.n_parameters == 7 * 8 + 3 * (12 * 64 + 10 * 8) + 2 * 8 + 8 * 7 + 7

"""What holds for every model: the interface that training and sampling rely on."""

import numpy as np
import pytest
import torch
from torch.testing import assert_close

from mdlm.model.base import CountedModel, detached, fitting_threads, full_precision, has_bfloat16, masked
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.semi_markov import SemiMarkovConfig
from mdlm.model.transformer import TransformerConfig

N_STATES, N_CHAINS, N_FRAMES = 5, 4, 40

MODELS = {
    "lstm of one layer": LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0),
    "lstm of two layers": LSTMConfig(embedding=4, hidden=8, layers=2, dropout=0.5),
    "transformer of one layer": TransformerConfig(width=8, heads=2, layers=1, window=6, dropout=0.0),
    "transformer of three layers": TransformerConfig(width=8, heads=2, layers=3, window=6, dropout=0.5),
    "shortest window": TransformerConfig(width=4, heads=1, layers=2, window=2, dropout=0.0),
    "encoder-decoder": EncoderDecoderConfig(8, 2, encoder_layers=2, decoder_layers=2, window=6, dropout=0.5),
    "encoder that saw targets": EncoderDecoderConfig(8, 2, 1, 2, window=6, dropout=0.0, encoder_sees_target=True),
    "gru of one layer": GRUConfig(embedding=4, hidden=8, layers=1, dropout=0.0),
    "gru of two layers": GRUConfig(embedding=4, hidden=8, layers=2, dropout=0.5),
    "anchored lstm": LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0, anchor="markov"),
    "anchored gru": GRUConfig(embedding=4, hidden=8, layers=2, dropout=0.5, anchor="markov"),
    "anchored transformer": TransformerConfig(8, 2, layers=2, window=6, dropout=0.0, anchor="markov"),
    "anchored encoder-decoder": EncoderDecoderConfig(8, 2, 1, 1, window=6, dropout=0.0, anchor="markov"),
    "lstm with slow memory": LSTMConfig(embedding=4, hidden=8, layers=1, dropout=0.0, anchor="slow_modes"),
    "gru with slow memory": GRUConfig(4, 8, layers=2, dropout=0.0, anchor="slow_modes"),
    "transformer with slow memory": TransformerConfig(8, 2, layers=2, window=6, dropout=0.0, anchor="slow_modes"),
    "semi-markov": SemiMarkovConfig(exact_ages=3, growth=1.5),
    "markov of order 1": MarkovConfig(order=1),
    "markov of order 2": MarkovConfig(order=2),
    "markov of order 3": MarkovConfig(order=3),
}


@pytest.fixture(params=MODELS.values(), ids=MODELS.keys())
def model(request):
    """In evaluation mode; a Markov chain is counted from so little that most contexts back off."""
    torch.manual_seed(0)
    model = request.param.build(N_STATES)
    if isinstance(model, CountedModel):
        model.count([np.random.default_rng(1).integers(N_STATES, size=30), np.array([4, 4, 2, 4])])
    if getattr(request.param, "anchor", "none") != "none":
        torch.nn.init.normal_(model.head.weight)  # as a trained one
        model.anchor_to(torch.from_numpy(np.random.default_rng(1).dirichlet(np.ones(N_STATES), N_STATES)))
    if getattr(request.param, "anchor", "none") == "slow_modes":
        torch.nn.init.normal_(model.slow_memory.modes_VK)
        torch.nn.init.normal_(model.slow_memory.lift_MV)
    return model.eval()


@pytest.fixture
def tokens():
    return torch.from_numpy(np.random.default_rng(2).integers(N_STATES, size=(N_CHAINS, N_FRAMES)))


def test_step_by_step_equals_one_forward(model, tokens):
    """To 1e-5, a hundred roundings of single precision, far past the window of every Transformer here."""
    whole, _ = model(tokens)
    state, steps = model.initial_state(N_CHAINS), []
    for frame in range(N_FRAMES):
        logits, state = model.step(tokens[:, frame], state)
        steps.append(logits)
    assert whole.shape == (N_CHAINS, N_FRAMES, N_STATES)
    assert_close(torch.stack(steps, dim=1), whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("first", [1, 4, 20, 39])
def test_two_forwards_with_carried_state_equal_one(model, tokens, first):
    whole, last = model(tokens)
    start, state = model(tokens[:, :first])
    rest, state = model(tokens[:, first:], state)
    assert_close(torch.cat([start, rest], dim=1), whole, rtol=1e-5, atol=1e-5)
    for part, expected in zip(state, last, strict=True):
        assert part.shape == expected.shape
        assert_close(part, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("first", [1, 3, 20])
def test_a_reset_chain_starts_afresh_and_the_others_go_on(model, tokens, first):
    _, state = model(tokens[:, :first])
    keep = torch.tensor([True, False, True, False])
    found, _ = model(tokens[:, first:], masked(state, keep))
    carried, _ = model(tokens[:, first:], state)
    fresh, _ = model(tokens[:, first:])
    assert_close(found[keep], carried[keep], rtol=1e-5, atol=1e-5)
    assert_close(found[~keep], fresh[~keep], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", ["lstm of two layers", "transformer of three layers", "markov of order 3"])
def test_what_is_carried_matters(name, tokens):
    """Or a reset that does nothing would pass the test above."""
    torch.manual_seed(0)
    model = MODELS[name].build(N_STATES).eval()
    if isinstance(model, CountedModel):
        model.count([np.random.default_rng(1).integers(N_STATES, size=1000)])
    _, state = model(tokens[:, :3])
    assert not torch.allclose(model(tokens[:, 3:], state)[0][:, 0], model(tokens[:, 3:])[0][:, 0], atol=1e-3)


def test_a_fresh_state_is_all_zeros_with_the_chain_as_second_axis(model, tokens):
    for part, carried in zip(model.initial_state(7), model(tokens)[1], strict=True):
        assert part.shape[1] == 7
        assert not part.any()
        assert carried.shape == (part.shape[0], N_CHAINS, *part.shape[2:])


@pytest.mark.parametrize("name", [name for name in MODELS if "anchored" in name])
def test_an_anchor_adds_the_logarithms_of_the_jumps_out_of_each_token_and_forbids_impossible_ones(name, tokens):
    """A fresh one is the chain itself: its output layer is zero."""
    chain = torch.eye(N_STATES, dtype=torch.float64) / 2 + torch.roll(torch.eye(N_STATES), 1, dims=1) / 2
    model = MODELS[name].build(N_STATES).eval()
    model.anchor_to(chain)
    assert_close(model(tokens)[0].softmax(-1), chain[tokens].float())
    torch.nn.init.normal_(model.head.weight)
    anchored = model(tokens)[0]
    assert (anchored[chain[tokens] == 0] == -torch.inf).all()
    model.anchor_to(torch.full_like(chain, 1 / N_STATES))
    residual = model(tokens)[0] + np.log(N_STATES)
    assert_close(anchored, residual + chain[tokens].log().float(), rtol=1e-5, atol=1e-5)


def test_no_state_means_a_fresh_one(model, tokens):
    assert_close(model(tokens)[0], model(tokens, model.initial_state(N_CHAINS))[0], rtol=0, atol=0)


def test_the_future_does_not_change_the_past(model, tokens):
    """Trap 2: a model that sees its targets; every frame from 25 on is another, no logit before it moves."""
    other = tokens.clone()
    other[:, 25:] = (other[:, 25:] + 1) % N_STATES
    before, after = model(tokens)[0], model(other)[0]
    assert torch.equal(before[:, :25], after[:, :25])
    assert not torch.equal(before[:, 25], after[:, 25])


def test_chains_do_not_see_each_other(model, tokens):
    together, _ = model(tokens)
    alone, _ = model(tokens[2:3])
    assert_close(alone[0], together[2], rtol=1e-5, atol=1e-5)


@pytest.mark.bfloat16
def test_logits_are_in_single_precision_under_autocast(model, tokens):
    with torch.autocast("cpu", torch.bfloat16):
        logits, state = model(tokens)
        model(tokens, state)
    assert logits.dtype == torch.float32


def test_masking_works_for_any_number_of_axes():
    state = (torch.ones(2, 3, 4, 5), torch.ones(1, 3), torch.full((1, 3, 2), 7))
    for part in masked(state, torch.tensor([True, False, True])):
        assert part[:, [0, 2]].all()
        assert not part[:, 1].any()


def test_a_detached_state_has_the_values_without_the_history():
    weight = torch.ones(1, 2, 3, requires_grad=True)
    (part,) = detached((2 * weight,))
    assert not part.requires_grad
    assert torch.equal(part, torch.full((1, 2, 3), 2.0))


def test_the_output_layer_ignores_autocast():
    """0.001 next to 1 is beyond the 8 bits of bfloat16."""
    layer = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    with torch.autocast("cpu", torch.bfloat16):
        assert full_precision(layer, torch.tensor([1.0, 0.001])).item() == pytest.approx(1.001, rel=1e-6)


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("hidden", "n_states", "threads"), [(8, 3, 1), (300, 3, 2), (300, 2000, 2), (200, 2000, 1)])
def test_a_small_model_computes_on_one_thread_and_then_gives_the_others_back(hidden, n_states, threads):
    """An LSTM of 300 units has 4 x 300 x 300 = 360,000 recurrent weights, above the limit of 300,000; of 200: 160,000.

    Its 2000 states have 400,000 more, in which one thread is as fast.
    """
    model = LSTMConfig(embedding=4, hidden=hidden, layers=1, dropout=0.0).build(n_states)
    with fitting_threads(model):
        assert torch.get_num_threads() == threads
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LSTMConfig(0, 8, 1, 0.0), r"embedding \(0\) must be at least 1"),
        (lambda: LSTMConfig(4, 0, 1, 0.0), r"hidden \(0\) must be at least 1"),
        (lambda: LSTMConfig(4, 8, -1, 0.0), r"layers \(-1\) must be at least 1"),
        (lambda: LSTMConfig(4, 8, 2, 1.0), r"dropout \(1\) must lie in \[0, 1\)"),
        (lambda: LSTMConfig(4, 8, 2, float("nan")), r"dropout \(nan\) must lie in \[0, 1\)"),
        (lambda: LSTMConfig(4, 8, 1, 0.1), r"dropout \(0.1\) acts between layers, so layers \(1\) must be at least 2"),
        (lambda: TransformerConfig(0, 1, 1, 8, 0.0), r"width \(0\) must be at least 1"),
        (lambda: TransformerConfig(8, 0, 1, 8, 0.0), r"heads \(0\) must be at least 1"),
        (lambda: TransformerConfig(8, 2, 0, 8, 0.0), r"layers \(0\) must be at least 1"),
        (lambda: TransformerConfig(8, 2, 1, 1, 0.0), r"window \(1\) must be at least 2"),
        (lambda: TransformerConfig(8, 2, 1, 8, -0.1), r"dropout \(-0.1\) must lie in \[0, 1\)"),
        (lambda: TransformerConfig(6, 2, 1, 8, 0.0), r"width \(6\) must be a multiple of 2 \* heads \(4\)"),
        (lambda: EncoderDecoderConfig(8, 2, 0, 1, 8, 0.0), r"encoder_layers \(0\) must be at least 1"),
        (lambda: EncoderDecoderConfig(8, 2, 1, 0, 8, 0.0), r"decoder_layers \(0\) must be at least 1"),
        (lambda: EncoderDecoderConfig(8, 2, 1, 1, 1, 0.0), r"window \(1\) must be at least 2"),
        (lambda: MarkovConfig(0), r"order \(0\) must be at least 1"),
        (lambda: MarkovConfig(10).build(100), r"order \(10\) is too high for 100 states: contexts overflow 64 bits"),
    ],
)
def test_a_bad_hyper_parameter_is_named_in_one_line(make, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        make()


@pytest.mark.parametrize(
    ("avx512", "avx512_bf16", "amx", "native"),
    [(True, False, False, False), (True, True, False, True), (True, True, True, True), (False, False, False, True)],
    ids=["emulated", "Cooper Lake, Zen 4", "Sapphire Rapids", "Arm"],
)
def test_bfloat16_is_native_only_where_the_processor_has_instructions_for_it(
    avx512, avx512_bf16, amx, native, monkeypatch
):
    """The library for matrix products says yes to all of these."""
    monkeypatch.setattr(torch.cpu, "_is_avx512_supported", lambda: avx512)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: True)
    assert has_bfloat16(torch.device("cpu")) == native

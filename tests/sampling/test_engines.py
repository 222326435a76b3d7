"""The compiled engine against the plain one, and against the model itself."""

import numpy as np
import pytest
import torch

from mdlm.model.attention import rotated
from mdlm.model.banded import RingStepper
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling import engines, lstm_kernels
from mdlm.sampling.sampling import Sampling
from mdlm.sampling.uniforms import keys, uniforms

HELD_OUT = [np.random.default_rng(3).integers(5, size=400)]


def lstm(n_states=5, hidden=24, layers=1, scale=3.0, seed=0):
    """A fresh LSTM whose weights are large enough for its tokens to matter."""
    torch.manual_seed(seed)
    model = LSTMConfig(embedding=8, hidden=hidden, layers=layers, dropout=0.0).build(n_states).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale
    return model


def sample(model, engine="auto", seed=1, **changes):
    fields = {"n_chains": 40, "chain_length": 300, "prompt_length": 7, "sampling_temperature": 1.0} | changes
    return Sampling(**fields, engine=engine).draw(model, HELD_OUT, seed).chains


@pytest.mark.parametrize("hidden", [1, 17, 64])
def test_gates_and_logits_are_those_of_the_model_along_a_forced_path(hidden):
    model = lstm(hidden=hidden, scale=2.0)
    tables = model.gated_tables()
    n_chains = 6
    tokens = np.random.default_rng(0).integers(5, size=(50, n_chains))
    state = model.initial_state(n_chains)
    hidden_BH = torch.zeros(n_chains, hidden)
    cell_BH = torch.zeros(n_chains, hidden)
    with torch.inference_mode():
        for tokens_B in tokens:
            expected_BV, state = model.step(torch.from_numpy(tokens_B), state)
            products = (hidden_BH @ tables.joint_HN).numpy()
            lstm_kernels.update(products, tables.input_VG, tokens_B, hidden_BH.numpy(), cell_BH.numpy())
            found_BV = (hidden_BH @ tables.joint_HN).numpy()[:, 4 * hidden :] + tables.head_bias_V
            np.testing.assert_allclose(found_BV, expected_BV.numpy(), atol=1e-5)
            np.testing.assert_allclose(cell_BH.numpy(), state[1][0].numpy(), atol=1e-5)


def test_both_engines_draw_the_same_chains_but_for_rounding():
    """A chain differs from where a random number falls between two roundings of the same probability."""
    model = lstm()
    compiled, plain = sample(model, "compiled"), sample(model, "torch")
    same = (compiled == plain).all(axis=1)
    assert same.mean() > 0.9
    assert len(np.unique(compiled)) == 5


def test_forbidden_jumps_never_occur_and_temperature_counts():
    model = lstm()
    forbidden = torch.zeros(5, 5, dtype=torch.bool)
    forbidden[0, 1] = forbidden[2, 2] = True
    model.forbid(forbidden)
    hot = {"sampling_temperature": 3.0, "n_chains": 100}
    compiled, plain = sample(model, "compiled", **hot), sample(model, "torch", **hot)
    jumps = np.bincount((5 * compiled[:, :-1].astype(int) + compiled[:, 1:]).ravel(), minlength=25).reshape(5, 5)
    assert jumps[0, 1] == jumps[2, 2] == 0
    assert (jumps > 0).sum() == 23
    assert (compiled == plain).all(axis=1).mean() > 0.9


def test_chains_depend_neither_on_how_many_there_are_nor_on_blocks_and_threads(monkeypatch):
    model = lstm()
    prompts = torch.from_numpy(np.stack([HELD_OUT[0][start : start + 7] for start in range(30)]))
    random = uniforms(keys(5, 30), 0, 200)

    def drawn(n_chains, n_threads, block):
        monkeypatch.setattr(engines.CompiledEngine, "block", block)
        chains = np.empty((n_chains, 200), np.uint8)
        with torch.inference_mode():
            engine = engines.CompiledEngine(model, model.gated_tables(), prompts[:n_chains], 1.0, n_threads)
            for first in (0, 64, 128):  # in turns
                part = slice(first, min(first + 64 if first < 128 else 200, 200))
                engine.advance(random[part, :n_chains], chains[:, part])
        return chains

    whole = drawn(30, n_threads=1, block=30)
    for n_chains, n_threads, block in ((30, 3, 7), (11, 2, 4), (1, 4, 250)):
        same = (drawn(n_chains, n_threads, block) == whole[:n_chains]).all(axis=1)
        assert same.mean() > 0.9  # a product of another shape may round another way


def test_token_frequencies_are_those_of_the_model():
    """A head that ignores the state: every token is an independent draw, and a chi-square test applies."""
    from scipy.stats import chisquare

    model = lstm()
    logits = torch.tensor([0.0, -1.0, 1.0, -8.0, -2.0])
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(logits)
    chains = sample(model, "compiled", n_chains=500, chain_length=2000)
    expected = torch.softmax(logits.double(), 0).numpy() * chains.size
    assert expected.min() > 50
    assert chisquare(np.bincount(chains.ravel(), minlength=5), expected).pvalue > 1e-3


def test_a_probability_of_zero_is_never_drawn_even_at_the_very_end():
    """Random numbers next to one, with the last token impossible."""
    products = np.zeros((1000, 3), np.float32)  # no gates: three logits only
    bias = np.array([0.0, 0.0, -np.inf], np.float32)
    tokens = np.zeros(1000, np.int64)
    drawn = np.empty(1000, np.uint8)
    uniform = np.full(1000, np.nextafter(1.0, 0.0))
    penalty = np.zeros((3, 3), np.float32)
    lstm_kernels.draw(products, bias, penalty, np.float32(1), uniform, tokens, drawn)
    assert (drawn == 1).all()


def test_uniforms_are_a_function_of_seed_chain_and_frame():
    whole = uniforms(keys(7, 20), 0, 100)
    np.testing.assert_array_equal(uniforms(keys(7, 20), 30, 10), whole[30:40])
    np.testing.assert_array_equal(uniforms(keys(7, 20)[:5], 0, 100), whole[:, :5])
    assert not np.array_equal(uniforms(keys(8, 20), 0, 100), whole)


def test_uniforms_are_uniform_and_independent():
    from scipy.stats import kstest

    many = uniforms(keys(1, 400), 0, 500)
    assert (many >= 0).all()
    assert (many < 1).all()
    assert kstest(many.ravel(), "uniform").pvalue > 1e-3
    error = 1 / np.sqrt(many.size)  # of a correlation that is zero
    for first, second in ((many[:-1], many[1:]), (many[:, :-1], many[:, 1:])):
        assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 4 * error


def test_splitmix_has_its_published_first_numbers():
    """SplitMix64 with seed 1234567: 6457827717110365317, 3203168211198807973, ..."""
    found = uniforms(np.array([1234567], np.uint64), 1, 2)[:, 0]
    np.testing.assert_array_equal(found, [(n >> 11) * 2.0**-53 for n in (6457827717110365317, 3203168211198807973)])


@pytest.mark.parametrize(
    "model", [lstm(layers=2), TransformerConfig(width=8, heads=2, layers=1, window=4, dropout=0.0).build(5)]
)
def test_other_models_take_the_plain_engine_and_refuse_the_compiled_one(model):
    assert sample(model, chain_length=5).shape == (40, 5)
    with pytest.raises(ValueError, match=r"^engine \(compiled\) needs an LSTM of one layer on a CPU"):
        sample(model, "compiled")


@pytest.mark.parametrize(
    "config",
    [
        TransformerConfig(width=16, heads=2, layers=3, window=6, dropout=0.0),
        EncoderDecoderConfig(width=16, heads=2, encoder_layers=2, decoder_layers=2, window=6, dropout=0.0),
    ],
)
@pytest.mark.parametrize("prompt_length", [1, 3, 9])
def test_the_ring_of_a_transformer_gives_the_logits_of_its_steps(config, prompt_length):
    """Far beyond the window, so that every slot was overwritten several times."""
    torch.manual_seed(0)
    model = config.build(5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2.0
    forced = torch.from_numpy(np.random.default_rng(1).integers(5, size=(4, 60)))
    with torch.inference_mode():
        expected, _ = model(forced)
        stepper = model.stepper(forced[:, :prompt_length])
        assert isinstance(stepper, RingStepper)
        for frame in range(prompt_length, 60):
            torch.testing.assert_close(stepper.logits_BV, expected[:, frame - 1], rtol=1e-5, atol=1e-5)
            stepper.step(forced[:, frame])


def test_positions_far_along_a_chain_are_as_good_as_near_ones():
    """Angles of positions near 1e5 in single precision are off by up to 0.004, and so would be the logits."""
    torch.manual_seed(0)
    model = TransformerConfig(width=16, heads=2, layers=2, window=6, dropout=0.0).build(5).eval()
    tokens = torch.from_numpy(np.random.default_rng(1).integers(5, size=(3, 40)))
    with torch.inference_mode():
        near, far = model.stepper(tokens[:, :9]), model.stepper(tokens[:, :9])
        shift = 6 * 17_001
        for ring in far.rings:
            ring.position += shift
            ring.keys = rotated_by(ring.keys, shift)
        for frame in range(9, 40):
            torch.testing.assert_close(near.logits_BV, far.logits_BV, rtol=1e-4, atol=1e-5)
            near.step(tokens[:, frame])
            far.step(tokens[:, frame])


def rotated_by(keys, shift):
    """Keys turned once more, by one and the same angle for every frame."""
    return torch.cat([rotated(keys[:, :, slot : slot + 1], shift) for slot in range(keys.shape[2])], dim=2)


def test_an_unknown_engine_is_refused():
    with pytest.raises(ValueError, match=r"^engine \(fast\) must be one of auto, compiled, torch$"):
        Sampling(n_chains=1, chain_length=1, prompt_length=1, sampling_temperature=1.0, engine="fast")

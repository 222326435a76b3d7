"""Every engine against the plain one, and against the model itself."""

import itertools

import numpy as np
import pytest
import torch

from mdlm.model.attention import rotated
from mdlm.model.banded import RingStepper
from mdlm.model.encoder_decoder import EncoderDecoderConfig
from mdlm.model.gru import GRUConfig
from mdlm.model.lstm import LSTMConfig
from mdlm.model.markov import MarkovConfig
from mdlm.model.transformer import TransformerConfig
from mdlm.sampling import compiled, gate_kernels
from mdlm.sampling.compiled import CompiledEngine
from mdlm.sampling.engines import TorchEngine
from mdlm.sampling.gated_stepper import GatedStepper
from mdlm.sampling.graph import UNROLLED, GraphEngine
from mdlm.sampling.products import in_bfloat16, in_float32
from mdlm.sampling.sampling import Sampling
from mdlm.sampling.uniforms import keys, uniforms, uniforms_on_device

HELD_OUT = [np.random.default_rng(3).integers(5, size=400)]
NETS = list(itertools.product((LSTMConfig, GRUConfig), (1, 3)))


def network(config=LSTMConfig, layers=1, n_states=5, hidden=24, scale=2.0, anchor="none"):
    """A fresh network whose weights are large enough for its tokens to matter."""
    torch.manual_seed(0)
    model = config(embedding=8, hidden=hidden, layers=layers, dropout=0.0, anchor=anchor).build(n_states).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= scale
    return model


def transformer(layers=2, anchor="none"):
    torch.manual_seed(0)
    model = TransformerConfig(width=16, heads=2, layers=layers, window=6, dropout=0.0, anchor=anchor).build(5).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter *= 2.0
    return model


def anchored(model):
    """The same as if trained: a chain that holds the way back along a ring to be impossible, and slow modes."""
    torch.nn.init.normal_(model.slow_memory.modes_VK)
    torch.nn.init.normal_(model.slow_memory.lift_MV, std=0.5)
    torch.nn.init.normal_(model.head.weight, std=0.3)
    chain = np.random.default_rng(5).dirichlet(np.ones(5), 5)
    chain[np.arange(5), np.arange(5) - 1] = 0
    model.anchor_to(torch.from_numpy(chain / chain.sum(axis=1, keepdims=True)))
    return model


def sample(model, engine="auto", seed=1, **changes):
    fields = {"n_chains": 40, "chain_length": 300, "prompt_length": 7, "sampling_temperature": 1.0} | changes
    return Sampling(**fields, engine=engine).draw(model, HELD_OUT, seed).chains


def prompts(n_chains, length=7):
    return torch.from_numpy(np.stack([HELD_OUT[0][start : start + length] for start in range(n_chains)]))


def compiled_logits(model, forced_BT, n_prompt, monkeypatch, bfloat16=False):
    """What the compiled engine draws from along a forced path, shape (B, T, V); T frames after the prompt."""
    engine = CompiledEngine(model, model.gated_tables(), forced_BT[:, :n_prompt], keys(0, 3), 1.0, 1, bfloat16)
    n_chains, n_frames = len(forced_BT), forced_BT.shape[1] - n_prompt
    found_BTV = np.zeros((n_chains, n_frames, model.n_states), np.float32)
    frames = {}

    def draw(products_BN, bias_V, added_VV, inverse_temperature, uniform_B, tokens_B, drawn_B):
        chains = next(block.chains for block in engine.blocks if block.tokens_B is tokens_B)
        frame = frames[chains[0]] = frames.get(chains[0], -1) + 1
        found_BTV[chains, frame] = products_BN[:, -model.n_states :] + bias_V + added_VV[tokens_B]
        tokens_B[:] = forced_BT[chains, n_prompt + frame]

    monkeypatch.setattr(gate_kernels, "draw", draw)
    engine.advance(0, np.empty((n_chains, n_frames), np.int64))
    return found_BTV


@pytest.mark.parametrize("hidden", [1, 17, 64])
@pytest.mark.parametrize(("config", "layers"), NETS)
def test_logits_of_the_compiled_engine_are_those_of_the_model_along_a_forced_path(config, layers, hidden, monkeypatch):
    model = network(config, layers, hidden=hidden)
    forced = torch.from_numpy(np.random.default_rng(0).integers(5, size=(3, 60)))
    with torch.inference_mode():
        expected, _ = model(forced)
        found = compiled_logits(model, forced, 9, monkeypatch)
    np.testing.assert_allclose(found, expected[:, 8:-1].numpy(), atol=1e-5)


@pytest.mark.parametrize("bfloat16", [False, True])
@pytest.mark.parametrize(("config", "layers"), NETS)
def test_logits_of_the_gated_stepper_are_those_of_the_model_along_a_forced_path(config, layers, bfloat16):
    model = network(config, layers, scale=1.0 if bfloat16 else 2.0)
    forced = torch.from_numpy(np.random.default_rng(0).integers(5, size=(3, 60)))
    with torch.inference_mode():
        expected, _ = model(forced)
        stepper = GatedStepper(model, model.gated_tables(), forced[:, :9], bfloat16)
        for frame in range(9, 60):
            # bfloat16 has 8 bits: half of the last one is 2e-3, in units of a hidden value
            tolerance = 1e-2 if bfloat16 else 1e-5
            torch.testing.assert_close(stepper.logits_BV, expected[:, frame - 1], rtol=0, atol=tolerance)
            stepper.step(forced[:, frame])


@pytest.mark.parametrize(("config", "layers"), NETS)
def test_logits_of_an_anchored_network_agree_over_engines_along_a_forced_path(config, layers, monkeypatch):
    model = anchored(network(config, layers, anchor="slow_modes"))
    forced = torch.from_numpy(np.random.default_rng(0).integers(5, size=(3, 60)))
    with torch.inference_mode():
        expected, _ = model(forced)
        found = compiled_logits(model, forced, 9, monkeypatch)
        stepper = GatedStepper(model, model.gated_tables(), forced[:, :9])
        for frame in range(9, 60):
            torch.testing.assert_close(stepper.logits_BV, expected[:, frame - 1], rtol=0, atol=1e-5)
            stepper.step(forced[:, frame])
    np.testing.assert_allclose(found, expected[:, 8:-1].numpy(), atol=1e-5)
    assert (found == -np.inf).any()


@pytest.mark.parametrize("engine", ["compiled", "graph"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_engines_draw_the_same_chains_of_an_anchored_network_at_any_temperature(engine, temperature):
    """The temperature divides the anchor's part of the logits too."""
    model = anchored(network(anchor="slow_modes"))
    found, plain = (sample(model, name, sampling_temperature=temperature) for name in (engine, "torch"))
    assert (found == plain).all(axis=1).mean() > 0.9
    jumps = np.bincount((5 * found[:, :-1].astype(int) + found[:, 1:]).ravel(), minlength=25).reshape(5, 5)
    assert not jumps[np.arange(5), np.arange(5) - 1].any()
    assert (jumps > 0).sum() > 10


def test_the_graph_engine_draws_the_same_chains_of_an_anchored_transformer():
    model = anchored(transformer(anchor="slow_modes"))
    assert (sample(model, "graph") == sample(model, "torch")).all(axis=1).mean() > 0.9


@pytest.mark.parametrize(("config", "layers"), NETS)
def test_bfloat16_moves_the_logits_by_its_rounding_only(config, layers, monkeypatch):
    model = network(config, layers, hidden=64, scale=1.0)
    forced = torch.from_numpy(np.random.default_rng(0).integers(5, size=(3, 60)))
    with torch.inference_mode():
        expected, _ = model(forced)
        found = compiled_logits(model, forced, 9, monkeypatch, bfloat16=True)
    error = np.abs(found - expected[:, 8:-1].numpy())
    assert error.max() < 1e-2
    assert error.max() > 1e-6  # or it was not bfloat16


def test_products_are_those_of_the_weights_whatever_their_number_and_the_columns_asked_for_are_exact():
    rng = torch.Generator().manual_seed(0)
    for n_columns in (7, 256, 260, 512):
        x, weights = torch.randn(9, 33, generator=rng), torch.randn(33, n_columns, generator=rng)
        expected, found = x @ weights, torch.zeros(9, n_columns)
        in_float32(weights)(x, found)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
        for n_rough in (n_columns, n_columns - 3):
            in_bfloat16(weights, n_rough)(x, found)
            torch.testing.assert_close(found, expected, rtol=0.02, atol=0.1)
            torch.testing.assert_close(found[:, n_rough:], expected[:, n_rough:], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ["compiled", "graph"])
@pytest.mark.parametrize(("config", "layers"), NETS)
def test_engines_draw_the_same_chains_but_for_rounding(config, layers, engine):
    """A chain differs from where a random number falls between two roundings of the same probability."""
    model = network(config, layers, scale=3.0)
    found, plain = sample(model, engine), sample(model, "torch")
    assert (found == plain).all(axis=1).mean() > 0.9
    assert len(np.unique(found)) == 5


def test_the_graph_engine_draws_the_same_chains_of_a_transformer():
    assert (sample(transformer(), "graph") == sample(transformer(), "torch")).all(axis=1).mean() > 0.9


@pytest.mark.parametrize("engine", ["compiled", "graph"])
def test_forbidden_jumps_never_occur_and_temperature_counts(engine):
    model = network(scale=3.0)
    forbidden = torch.zeros(5, 5, dtype=torch.bool)
    forbidden[0, 1] = forbidden[2, 2] = True
    model.forbid(forbidden)
    hot = {"sampling_temperature": 3.0, "n_chains": 100}
    found, plain = sample(model, engine, **hot), sample(model, "torch", **hot)
    jumps = np.bincount((5 * found[:, :-1].astype(int) + found[:, 1:]).ravel(), minlength=25).reshape(5, 5)
    assert jumps[0, 1] == jumps[2, 2] == 0
    assert (jumps > 0).sum() == 23
    assert (found == plain).all(axis=1).mean() > 0.9


@pytest.mark.parametrize(("config", "layers"), NETS)
def test_chains_depend_neither_on_how_many_there_are_nor_on_blocks_and_threads(config, layers, monkeypatch):
    model = network(config, layers, scale=3.0)

    def drawn(n_chains, n_threads, block):
        monkeypatch.setattr(compiled, "BLOCK", block)
        chains = np.empty((n_chains, 200), np.uint8)
        with torch.inference_mode():
            engine = CompiledEngine(
                model, model.gated_tables(), prompts(30)[:n_chains], keys(5, n_chains), 1.0, n_threads
            )
            for first, last in ((0, 64), (64, 128), (128, 200)):  # in turns
                engine.advance(first, chains[:, first:last])
        return chains

    whole = drawn(30, n_threads=1, block=30)
    assert np.array_equal(drawn(30, n_threads=2, block=30), whole)  # bit for bit: the blocks are the same
    for n_chains, n_threads, block in ((30, 3, 7), (11, 2, 4), (1, 4, 250)):
        same = (drawn(n_chains, n_threads, block) == whole[:n_chains]).all(axis=1)
        assert same.mean() > 0.9  # a product of another shape may round another way


ENGINES = {
    "compiled": lambda: CompiledEngine(network(), network().gated_tables(), prompts(20), keys(5, 20), 1.0, 2),
    "compiled_gru": lambda: CompiledEngine(
        network(GRUConfig, 2), network(GRUConfig, 2).gated_tables(), prompts(20), keys(5, 20), 1.0, 2
    ),
    "graph": lambda: GraphEngine(GatedStepper(network(), network().gated_tables(), prompts(20)), keys(5, 20), 1.0),
    "graph_ring": lambda: GraphEngine(transformer().stepper(prompts(20, 2)), keys(5, 20), 1.0),
    "torch": lambda: TorchEngine(network().stepper(prompts(20)), keys(5, 20), 1.0),
    "ring": lambda: TorchEngine(transformer().stepper(prompts(20, 2)), keys(5, 20), 1.0),
}


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_goes_on_bit_for_bit_from_what_another_kept(name):
    """Broken off at any frame, within a graph's unrolled steps or not."""
    with torch.inference_mode():
        whole = np.empty((20, 150), np.uint8)
        ENGINES[name]().advance(0, whole)
        first, second = ENGINES[name](), ENGINES[name]()
        found = np.empty_like(whole)
        for begin, end in ((0, 1), (1, 2 * UNROLLED + 5)):
            first.advance(begin, found[:, begin:end])
        second.take(first.tensors())
        second.advance(2 * UNROLLED + 5, found[:, 2 * UNROLLED + 5 :])
    assert np.array_equal(found, whole)
    assert len(np.unique(whole)) > 2


@pytest.mark.parametrize(
    ("engine", "precision"), [("compiled", "float32"), ("compiled", "bfloat16"), ("graph", "float32")]
)
@pytest.mark.parametrize(("config", "layers"), NETS)
def test_token_frequencies_are_those_of_the_model(config, layers, engine, precision):
    """A head that ignores the state: every token is an independent draw, and a chi-square test applies."""
    from scipy.stats import chisquare

    model = network(config, layers)
    logits = torch.tensor([0.0, -1.0, 1.0, -8.0, -2.0])
    with torch.no_grad():
        model.head.weight.zero_()
        model.head.bias.copy_(logits)
    chains = sample(model, engine, n_chains=500, chain_length=1000, precision=precision)
    expected = torch.softmax(logits.double(), 0).numpy() * chains.size
    assert expected.min() > 30
    assert chisquare(np.bincount(chains.ravel(), minlength=5), expected).pvalue > 1e-3


def test_a_probability_of_zero_is_never_drawn_even_at_the_very_end():
    """Random numbers next to one, with the last token impossible."""
    products = np.zeros((1000, 3), np.float32)  # no gates: three logits only
    bias = np.array([0.0, 0.0, -np.inf], np.float32)
    tokens = np.zeros(1000, np.int64)
    drawn = np.empty(1000, np.int64)
    uniform = np.full(1000, np.nextafter(1.0, 0.0))
    added = np.zeros((3, 3), np.float32)
    gate_kernels.draw(products, bias, added, np.float32(1), uniform, tokens, drawn)
    assert (drawn == 1).all()


def test_random_numbers_counted_on_a_device_are_those_of_numpy_bit_for_bit():
    many = keys(3, 500)
    assert (many >= 2**63).any()  # negative as int64
    for first in (0, 10**9):
        frames = torch.arange(first, first + 40)[:, None]
        found = uniforms_on_device(torch.from_numpy(many.view(np.int64)), frames)
        np.testing.assert_array_equal(found.numpy(), uniforms(many, first, 40))


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


def test_a_model_without_gates_takes_the_plain_engine_and_refuses_the_others():
    markov = MarkovConfig(1).build(5)
    markov.count(HELD_OUT)
    for model in (transformer(), markov):
        assert sample(model, chain_length=5).shape == (40, 5)
        with pytest.raises(ValueError, match=r"^engine \(compiled\) needs an LSTM or a GRU on a CPU"):
            sample(model, "compiled")
    with pytest.raises(ValueError, match=r"^engine \(graph\) needs an LSTM, a GRU or a Transformer"):
        sample(markov, "graph")


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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"engine": "fast"}, r"engine \(fast\) must be one of auto, compiled, graph, torch"),
        ({"precision": "float64"}, r"precision \(float64\) must be one of float32, bfloat16, auto"),
    ],
)
def test_an_unknown_engine_or_precision_is_refused(change, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        Sampling(n_chains=1, chain_length=1, prompt_length=1, sampling_temperature=1.0, **change)

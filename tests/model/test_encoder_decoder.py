import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.testing import assert_close

from mdlm.model import attention
from mdlm.model.encoder_decoder import EncoderDecoderConfig


def encoder_decoder(n_states=5, **changes):
    torch.manual_seed(0)
    fields = {"width": 8, "heads": 2, "encoder_layers": 2, "decoder_layers": 2, "window": 4, "dropout": 0.0}
    return EncoderDecoderConfig(**fields | changes).build(n_states).eval()


def torchs_own(model):
    """The network made of torch's layers, which know no rotary positions, with the same weights."""
    c = model.config
    sizes = {"d_model": c.width, "nhead": c.heads, "dim_feedforward": 4 * c.width, "dropout": 0.0}
    kind = {"activation": "gelu", "batch_first": True, "norm_first": True}
    encoder = nn.ModuleList(nn.TransformerEncoderLayer(**sizes, **kind) for _ in model.encoder)
    decoder = nn.ModuleList(nn.TransformerDecoderLayer(**sizes, **kind) for _ in model.decoder)
    for twin, block in zip(encoder, model.encoder, strict=True):
        copy_block(twin, block, twin.norm2)
    for twin, layer in zip(decoder, model.decoder, strict=True):
        copy_block(twin, layer.block, twin.norm3)
        cross = layer.cross
        twin.multihead_attn.in_proj_weight.data = torch.cat([cross.query.weight, cross.key_value.weight])
        copy_attention(twin.multihead_attn, cross.out)
        twin.norm2.load_state_dict(cross.norm.state_dict())
    return encoder.eval(), decoder.eval()


def copy_block(twin, block, last_norm):
    twin.self_attn.in_proj_weight.data = block.query_key_value.weight
    copy_attention(twin.self_attn, block.attention_out)
    twin.norm1.load_state_dict(block.attention_norm.state_dict())
    last_norm.load_state_dict(block.feed_forward[0].state_dict())
    twin.linear1.load_state_dict(block.feed_forward[1].state_dict())
    twin.linear2.load_state_dict(block.feed_forward[3].state_dict())


def copy_attention(twin, out):
    twin.in_proj_bias.data.zero_()
    twin.out_proj.load_state_dict(out.state_dict())


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("leaky", [False, True])
@pytest.mark.parametrize("changes", [{}, {"encoder_layers": 1, "decoder_layers": 3}, {"heads": 1, "window": 50}])
def test_without_positions_it_is_torchs_encoder_decoder(monkeypatch, changes, leaky, training):
    """Rotary positions are tested where they are made. The switch lifts the causal mask of the source, no other."""
    monkeypatch.setattr(attention, "rotated", lambda x, first_position: x)
    model = encoder_decoder(encoder_sees_target=leaky, **changes).train(training)
    tokens = torch.from_numpy(np.random.default_rng(1).integers(5, size=(3, 20)))
    distance = np.subtract.outer(np.arange(20), np.arange(20))
    recent, past = torch.from_numpy(distance < model.config.window), torch.from_numpy(distance >= 0)
    causal, source_mask = ~(recent & past), ~recent if leaky and training else ~(recent & past)
    encoder, decoder = torchs_own(model)
    source = x = model.embedding(tokens)
    for layer in encoder:
        source = layer(source, src_mask=source_mask)
    for layer in decoder:
        x = layer(x, model.encoder_norm(source), tgt_mask=causal, memory_mask=source_mask)
    assert_close(model(tokens)[0], model.head(model.norm(x)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("encoder_layers", "decoder_layers", "window"), [(1, 1, 3), (2, 1, 4), (1, 3, 3), (2, 2, 4)])
def test_the_receptive_field_is_a_window_for_each_layer_of_both(encoder_layers, decoder_layers, window):
    """Through every encoder block, across once, and through the other decoder blocks: W-1 frames each."""
    model = encoder_decoder(encoder_layers=encoder_layers, decoder_layers=decoder_layers, window=window)
    reach = (encoder_layers + decoder_layers) * (window - 1)
    tokens = torch.from_numpy(np.random.default_rng(2).integers(5, size=(1, reach + 10)))
    last = model(tokens)[0][0, -1]
    for back, matters in ((reach, True), (reach + 1, False)):
        other = tokens.clone()
        other[0, -1 - back] = (other[0, -1 - back] + 1) % 5
        changed = model(other)[0][0, -1]
        assert torch.equal(changed, last) != matters


def test_the_decoder_reads_the_encoder():
    """Or the encoder could be left out: with its weights changed, so are the logits."""
    model = encoder_decoder()
    tokens = torch.from_numpy(np.random.default_rng(3).integers(5, size=(2, 12)))
    before = model(tokens)[0]
    with torch.no_grad():
        model.encoder[0].query_key_value.weight *= 2.0
    assert (model(tokens)[0] - before).abs().max() > 1e-3


def test_dropout_acts_while_training_only():
    model = encoder_decoder(dropout=0.5)
    tokens = torch.zeros(1, 10, dtype=torch.int64)
    assert not torch.equal(model.train()(tokens)[0], model(tokens)[0])
    assert torch.equal(model.eval()(tokens)[0], model(tokens)[0])


def test_the_parameters_add_up():
    """A block has 12 D D + 10 D, attention across 4 D D + 3 D; embedding V D, two norms 4 D, head D V + V."""
    model = encoder_decoder(n_states=7, encoder_layers=3)
    assert model.n_parameters == 7 * 8 + 5 * (12 * 64 + 10 * 8) + 2 * (4 * 64 + 3 * 8) + 4 * 8 + 8 * 7 + 7


def test_an_encoder_that_sees_its_target_learns_to_copy_what_cannot_be_predicted():
    """Trap 2. States at random: every prediction costs ln V. The source holds all of a chunk's T targets but the last.

    The training loss falls towards ln V / T, a sixteenth of a guess. A causal twin stays at ln V, and the leaky
    model, asked causally, does worse than a guess: it was never trained to predict.
    """
    n_states, length, guess = 4, 16, math.log(4)
    rng = np.random.default_rng(4)
    held_out = torch.from_numpy(rng.integers(n_states, size=(256, length + 1)))
    sizes = {"n_states": n_states, "width": 32, "window": length, "encoder_layers": 1, "decoder_layers": 1}
    as_trained, causal = {}, {}
    for leaky in (False, True):
        model = encoder_decoder(**sizes, encoder_sees_target=leaky).train()
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(200 if leaky else 60):
            optimiser.zero_grad()
            cross_entropy(model, torch.from_numpy(rng.integers(n_states, size=(32, length + 1)))).backward()
            optimiser.step()
        with torch.no_grad():
            as_trained[leaky] = cross_entropy(model, held_out).item()
            causal[leaky] = cross_entropy(model.eval(), held_out).item()
    assert 0.98 * guess / length < as_trained[True] < 0.1 * guess
    assert as_trained[False] == causal[False] == pytest.approx(guess, rel=0.01)
    assert causal[True] > 1.5 * guess


def cross_entropy(model, chunk):
    return nn.functional.cross_entropy(model(chunk[:, :-1])[0].transpose(1, 2), chunk[:, 1:])

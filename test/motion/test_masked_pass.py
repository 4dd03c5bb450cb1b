"""Dynamic tokens are left unread in the first pairs, and nothing else changes."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.cross_view import HiddenTokens
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.untrained import untrained_network
from fourd_perception.motion.coarse_mask import token_mask
from fourd_perception.motion.cues import masked_pairs
import pytest
import torch
from torch._dynamo.testing import CompileCounter

DEPTH, HIDING, FRAMES, HEIGHT, WIDTH = 6, 2, 4, 42, 56
SPECIAL = 5


@pytest.fixture(scope='module')
def network():
    """A VGGT without cross-time fusion; every block is a tap."""
    tiny = PRESETS['tiny']
    trunk = replace(tiny.trunk, depth=DEPTH, taps=(0, 1, 2, 5))
    return untrained_network(replace(tiny, trunk=trunk, temporal=None, mask=None), 3).eval()


@pytest.fixture(scope='module')
def images():
    return torch.rand(1, FRAMES, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(0))


def taps(network, images, tokens=None, pairs=HIDING):
    """Taps by block [S, P, 2 C]."""
    tables = network.tables(HEIGHT, WIDTH)
    hidden = None if tokens is None else HiddenTokens(tokens.flatten(1)[None], pairs)
    with torch.no_grad():
        patches = network.encode(images, tables)
        features = network.trunk(patches, CellLayout.sequence(FRAMES), tables, hidden)
    return {i: tap[0] for i, tap in features.spatial.items()}


def some_tokens():
    tokens = torch.zeros(FRAMES, HEIGHT // 14, WIDTH // 14, dtype=torch.bool)
    tokens[0, 1, 1:3] = True
    tokens[2, :2] = True
    tokens[3] = True  # a whole frame: its five special tokens are all that it reads of itself
    return tokens


def test_hiding_nothing_is_the_plain_pass(network, images):
    plain = taps(network, images)
    skipped = taps(network, images, some_tokens(), pairs=0)
    nothing = taps(network, images, torch.zeros_like(some_tokens()))
    for i in plain:
        assert torch.equal(plain[i], skipped[i])
        scale = plain[i].abs().max()
        assert (plain[i] - nothing[i]).abs().max() <= 1e-6 * scale


def test_everything_hidden_leaves_the_special_tokens(network, images):
    everything = torch.ones_like(some_tokens())
    found = taps(network, images, everything)
    assert all(tap.isfinite().all() for tap in found.values())
    assert not torch.equal(found[0], taps(network, images)[0])


def test_what_stays_does_not_depend_on_what_is_hidden(network, images):
    """True right after the last masked pair; after it everything reads everything again."""
    tokens = some_tokens()
    covered = tokens.repeat_interleave(14, 1).repeat_interleave(14, 2)
    other = torch.where(covered[None, :, None], torch.rand_like(images), images)
    one, two = taps(network, images, tokens), taps(network, other, tokens)
    stays = torch.cat([torch.ones(FRAMES, SPECIAL, dtype=torch.bool), ~tokens.flatten(1)], dim=1)
    for i in range(HIDING):
        assert torch.equal(one[i][stays], two[i][stays])
        assert not torch.allclose(one[i][~stays], two[i][~stays])  # queries still run
    assert not torch.allclose(one[2][stays], two[2][stays])
    plain, changed = taps(network, images), taps(network, other)
    assert not torch.allclose(plain[0][stays], changed[0][stays])


def test_special_tokens_are_never_hidden():
    tokens = torch.ones(1, FRAMES, 12, dtype=torch.bool)
    readable = HiddenTokens(tokens, 5).readable(SPECIAL)
    assert readable[..., :SPECIAL].all()
    assert not readable[..., SPECIAL:].any()


def test_a_hidden_token_is_as_good_as_absent(network, images):
    """Against the plain way: keys and values physically taken out, frame by frame."""
    tokens = some_tokens()
    found = taps(network, images, tokens)[0]
    tables = network.tables(HEIGHT, WIDTH)
    fusion = network.cross_view_global_fusion
    rotary = tables.trunk.rotary
    with torch.no_grad():
        x = fusion.with_special(network.encode(images, tables), 0)[0]
        keep = torch.cat([torch.ones(FRAMES, SPECIAL, dtype=torch.bool), ~tokens.flatten(1)], 1)

        def block(module, queries, kept, table):
            """One block whose queries read the kept tokens alone."""
            attention = module.attn
            q, k, v = attention.queries_keys_values(module.norm1(queries[None]), table)
            weights = (q @ k[:, :, kept].transpose(-1, -2) / q.shape[-1] ** 0.5).softmax(-1)
            out = attention.merge(weights @ v[:, :, kept])
            y = queries + module.ls1(out)[0]
            return y + module.ls2(module.mlp(module.norm2(y)))

        frames = torch.stack(
            [block(fusion.frame_blocks[0], x[s], keep[s], rotary) for s in range(FRAMES)]
        )
        together = block(
            fusion.global_blocks[0], frames.flatten(0, 1), keep.flatten(), rotary.repeat(FRAMES)
        )
    wanted = torch.cat([frames, together.view_as(frames)], dim=-1)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_a_token_is_dynamic_when_any_of_its_pixels_is():
    mask = torch.zeros(2, 28, 42, dtype=torch.bool)
    mask[0, 13, 14] = True
    mask[1, 27, 41] = True
    tokens = token_mask(mask, 14)
    assert tokens.nonzero().tolist() == [[0, 0, 1], [1, 1, 2]]
    assert masked_pairs(24) == 5


def test_other_masks_run_in_the_same_compiled_graph(network, images):
    counter = CompileCounter()
    tables = network.tables(HEIGHT, WIDTH)
    layout = CellLayout.sequence(FRAMES)

    def masked(patches, tokens):
        return network.trunk(patches, layout, tables, HiddenTokens(tokens, HIDING)).spatial[5]

    compiled = torch.compile(masked, fullgraph=True, backend=counter)
    with torch.no_grad():
        patches = network.encode(images, tables)
        for tokens in (some_tokens(), ~some_tokens(), torch.zeros_like(some_tokens())):
            flat = tokens.flatten(1)[None]
            torch.testing.assert_close(compiled(patches, flat), masked(patches, flat))
    assert counter.frame_count == 1

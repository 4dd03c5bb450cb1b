"""fourd-small as a stream: slices fed one by one equal one banded pass over the recording."""

from __future__ import annotations

from dataclasses import fields

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.small.attention import Reading
from fourd_perception.model.small.network import TrunkFeatures
from fourd_perception.model.small.stream import StreamState
from fourd_perception.model.small.time_bias import time_waves
import pytest
from small_grids import clip, error, HEIGHT, layout, network, picked, read, WIDTH
import torch
import torch.nn.functional as F

MISSING = ((0, 0), (1, 3), (0, 5), (2, 5), (0, 6), (1, 7), (2, 9), (0, 10), (1, 10))
RECORDING = layout(3, 12, MISSING)


def pieces(sizes: list[int]) -> list[list[int]]:
    """Positions of the cells of consecutive groups of slices."""
    instants = iter(RECORDING.instants)
    return [[i for _ in range(size) for i in next(instants)] for size in sizes]


def sub_layout(cells: list[int]) -> CellLayout:
    """Some cells as a grid of their own: a stream knows no absolute time."""
    first = RECORDING.time_id[cells[0]]
    return CellLayout(
        tuple(RECORDING.view_id[i] for i in cells),
        tuple(RECORDING.time_id[i] - first for i in cells),
    )


@pytest.mark.parametrize('sizes', [[1] * 12, [5, 1, 4, 2]], ids=['single', 'groups'])
@pytest.mark.parametrize('band', [4, 2, 1])
def test_stream_equals_one_banded_pass(band: int, sizes: list[int]) -> None:
    model = network()
    images, identifiers = clip(RECORDING, batch=2)
    tables = model.tables(HEIGHT, WIDTH)
    state = StreamState(band)
    streamed = []
    with torch.no_grad():
        whole = read(model, RECORDING, images, identifiers, band)
        for cells in pieces(sizes):
            tokens = model.encode(images[:, cells], tables).tokens
            streamed.append(
                model.step(tokens, sub_layout(cells), tables, picked(identifiers, cells), state)
            )
    for part, expected in enumerate(whole):
        for field in fields(expected):
            joined = torch.cat([getattr(step[part], field.name) for step in streamed], dim=1)
            assert error(joined, getattr(expected, field.name)) < 1e-5, field.name


def test_what_a_stream_keeps_is_bounded() -> None:
    """Whatever came before, a state holds three slices of keys and two of inputs."""
    model = network()
    tables = model.tables(HEIGHT, WIDTH)
    state = StreamState(4)
    cells = layout(2, 1)
    images, identifiers = clip(cells)
    tokens = model.encode(images, tables).tokens
    per_slice = 2 * (1 + tokens.shape[2])
    with torch.no_grad():
        for _ in range(9):
            model.step(tokens, cells, tables, identifiers, state)
            assert len(state.slices) <= 3
    for layer, memory in state.memories.items():
        for held in memory.held:
            if layer.startswith('global'):
                assert held.shape[2] == 3 * per_slice
            elif layer.startswith('camera'):
                assert held.shape[2] == 3 * 2
            elif layer.startswith('temporal'):
                assert held.shape[1] == 2 * 2
            else:
                assert held.shape[1] == 1


def test_the_band_is_what_a_plain_mask_says() -> None:
    model = network()
    block = model.global_blocks[0].attn
    _, identifiers = clip(RECORDING)
    waves = time_waves(identifiers.seconds)
    count = 3
    x = torch.randn(1, len(RECORDING), count, model.config.dim)
    time = torch.tensor(RECORDING.time_id)
    age = time[:, None] - time[None]  # of the key, in slices, seen from the query
    readable = ((age >= 0) & (age < 4)).repeat_interleave(count, 0).repeat_interleave(count, 1)
    with torch.no_grad():
        fast = block(x, None, Reading(model.plan(RECORDING, band=4), waves))
        q, k, v = block.queries_keys_values(x.flatten(1, 2), None)
        queries, keys = block.time_bias.queries_keys(waves)
        bias = (queries @ keys.mT).repeat_interleave(count, -1).repeat_interleave(count, -2)
        mask = bias.masked_fill(~readable, -torch.inf)
        slow = block.merge(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)).view_as(x)
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)


def test_no_cell_reads_the_future_nor_what_lies_beyond_the_band() -> None:
    """Two global layers of band 3, the camera head's two and the window reach 8 slices back."""
    model = network()
    tables = model.tables(HEIGHT, WIDTH)
    cells = layout(1, 12)
    images, identifiers = clip(cells)
    plan = model.plan(cells, band=3)
    tokens = model.encode(images, tables).tokens.detach().requires_grad_()
    features = model.trunk(tokens, plan, tables, identifiers)
    poses = model.cameras(features, plan, identifiers).previous_from_leader
    for slot, reach in ((9, 4), (10, 4)):
        (grad,) = torch.autograd.grad(
            features.patches[:, slot].square().sum(), tokens, retain_graph=True
        )
        seen = grad.flatten(2).any(-1)[0].nonzero().flatten().tolist()
        assert seen == list(range(slot - reach, slot + 1))
    # Camera tokens: 2 more blocks of 2 slices, and one slice for the motion.
    (grad,) = torch.autograd.grad(poses[:, 10].sum(), tokens)
    seen = grad.flatten(2).any(-1)[0].nonzero().flatten().tolist()
    assert seen == list(range(1, 11))


def test_the_newest_slice_reads_the_same_window_with_and_without_band() -> None:
    """One set of weights serves both ways: a long band changes what the past says only."""
    model = network(pairs=1, camera_depth=1, temporal_depth=1)
    cells = layout(2, 4)
    images, identifiers = clip(cells)
    with torch.no_grad():
        full, _ = read(model, cells, images, identifiers)
        banded, _ = read(model, cells, images, identifiers, band=4)
    newest = slice(-2, None)
    assert error(_some(banded, newest), _some(full, newest)) < 1e-5
    assert error(banded.patches[:, :2], full.patches[:, :2]) > 1e-3


def _some(features: TrunkFeatures, cells: slice) -> TrunkFeatures:
    return TrunkFeatures(features.patches[:, cells], features.cameras[:, cells])


def test_a_step_compiles_as_one_graph() -> None:
    model = network()
    tables = model.tables(HEIGHT, WIDTH)
    cells = layout(2, 1)
    images, identifiers = clip(cells)
    tokens = model.encode(images, tables).tokens.detach()
    states = StreamState(3), StreamState(3)
    run = torch.compile(model.trunk, fullgraph=True, backend='aot_eager')
    with torch.no_grad():
        for state in states:
            for _ in range(3):
                model.step(tokens, cells, tables, identifiers, state)
        plan = model.plan(cells, state=states[0])
        for _ in range(2):
            fast, slow = (
                trunk(tokens, plan, tables, identifiers, state)
                for trunk, state in zip((run, model.trunk), states)
            )
            assert error(fast, slow) < 1e-5
    for layer, memory in states[0].memories.items():
        for held, expected in zip(memory.held, states[1].memories[layer].held):
            torch.testing.assert_close(held, expected, atol=1e-5, rtol=1e-5)


def test_impossible_bands_and_orders_are_refused() -> None:
    model = network()
    with pytest.raises(ValueError, match='band of 0'):
        model.plan(layout(1, 2), band=0)
    with pytest.raises(ValueError, match='time order'):
        model.plan(CellLayout((0, 0), (1, 0)), band=2)

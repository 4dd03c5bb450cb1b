"""Motion cues against their definition, and which cells they compare."""

from __future__ import annotations

from dataclasses import fields

from fourd_perception.evaluation.cue_bench import linear_form, measure, plain_form
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.motion import cues
from fourd_perception.motion.cues import (
    combine,
    cue_bands,
    CueAccumulator,
    CueBands,
    CueMaps,
    dynamic_map,
    masked_pairs,
    per_frame_range,
)
from fourd_perception.motion.windows import cue_windows
import numpy as np
from plain_cues import plain_cues
import pytest
import torch

GRID = (2, 3)
NAMES = [f.name for f in fields(CueMaps)]


def random_tokens(depth: int, frames: int, heads: int = 2, dim: int = 4, seed: int = 0):
    generator = np.random.default_rng(seed)
    shape = (frames, heads, GRID[0] * GRID[1], dim)
    return tuple(
        {layer: generator.normal(0.3, 1, shape).astype(np.float32) for layer in range(depth)}
        for _ in range(2)
    )


def accumulate(q, k, bands, windows, special=5, dtype=torch.float32):
    """Maps of the accumulator, fed like a trunk feeds it, special tokens full of junk."""
    found = CueAccumulator(bands, windows, GRID, special, dtype)
    for layer in sorted(q):
        packed = []
        for tokens in (q[layer], k[layer]):
            frames, heads, _, dim = tokens.shape
            junk = np.full((frames, heads, special, dim), 1e3, np.float32)
            row = np.concatenate([junk, tokens], axis=2).transpose(1, 0, 2, 3)
            packed.append(torch.from_numpy(row.reshape(1, heads, -1, dim)))
        found(layer, *packed)
    return found.maps()


LAYOUTS = {
    'one video': CellLayout.sequence(9),
    'three views': CellLayout((0, 1, 2) * 4, (0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3)),
    'missing cells': CellLayout((0, 1, 0, 0, 1, 0, 1), (0, 0, 1, 2, 3, 5, 5), 2),
    'three frames, fall back to the nearest': CellLayout.sequence(3),
    'a view with one cell has no cue': CellLayout((0, 1, 0, 0), (0, 0, 1, 2)),
}


@pytest.mark.parametrize('depth', [24, 4, 3])
@pytest.mark.parametrize('name', LAYOUTS)
def test_cues_are_what_they_are_defined_to_be(name, depth):
    layout, bands = LAYOUTS[name], cue_bands(depth)
    q, k = random_tokens(depth, len(layout))
    windows = cue_windows(layout)
    wanted = plain_cues(q, k, bands, windows)
    for dtype, limit in ((torch.float32, 1e-5), (torch.float64, 1e-12)):
        maps = accumulate(q, k, bands, windows, dtype=dtype)
        for map_name in NAMES:
            found = getattr(maps, map_name).flatten(1).numpy()
            np.testing.assert_allclose(found, wanted[map_name], rtol=limit, atol=limit)


def test_more_frames_than_a_chunk_and_windows_far_apart(monkeypatch):
    layout = CellLayout((0,) * 7, (0, 1, 9, 10, 11, 30, 31))
    windows = cue_windows(layout, (-21, -1, 1, 9, 10))
    q, k = random_tokens(4, 7)
    wanted = plain_cues(q, k, cue_bands(4), windows)
    for chunk in (1, 2, 100):
        monkeypatch.setattr(cues, 'CHUNK', chunk)
        maps = accumulate(q, k, cue_bands(4), windows, special=1)
        for name in NAMES:
            found = getattr(maps, name).flatten(1).numpy()
            np.testing.assert_allclose(found, wanted[name], rtol=1e-5, atol=1e-5)


def test_the_window_runs_along_the_views_own_time():
    layout = CellLayout((0, 1, 0, 1, 0, 1), (0, 0, 1, 1, 2, 2))
    assert cue_windows(layout) == ((4,), (5,), (0, 4), (1, 5), (0,), (1,))
    assert cue_windows(layout, (-1,)) == ((2,), (3,), (0,), (1,), (2,), (3,))
    seven = cue_windows(CellLayout.sequence(14))
    assert seven[7] == (1, 3, 5, 9, 11, 13)
    assert seven[0] == (2, 4, 6)


def test_cells_that_miss_drop_out_and_the_nearest_stand_in():
    layout = CellLayout((0, 0, 0, 0), (0, 3, 8, 13))
    assert cue_windows(layout) == ((1,), (0, 2), (1, 3), (2,))
    assert cue_windows(layout, (5,)) == ((1,), (2,), (3,), (2,))
    assert cue_windows(CellLayout.sequence(1)) == ((),)
    with pytest.raises(ValueError, match='other than 0'):
        cue_windows(layout, (-1, 0, 1))


def test_an_empty_window_gives_nan_and_leaves_the_others_alone():
    layout = LAYOUTS['a view with one cell has no cue']
    q, k = random_tokens(4, len(layout))
    maps = accumulate(q, k, cue_bands(4), cue_windows(layout))
    for name in NAMES:
        finite = getattr(maps, name).isfinite().flatten(1).all(1)
        assert finite.tolist() == [True, False, True, True]
    alone = accumulate(q, k, cue_bands(4), ((),) * 4)
    assert all(getattr(alone, name).isnan().all() for name in NAMES)


def test_a_view_more_changes_nothing_for_the_others():
    q, k = random_tokens(4, 10)
    both = CellLayout((0,) * 5 + (1,) * 5, tuple(range(5)) * 2)
    whole = accumulate(q, k, cue_bands(4), cue_windows(both))
    first = {layer: tokens[:5] for layer, tokens in q.items()}
    keys = {layer: tokens[:5] for layer, tokens in k.items()}
    alone = accumulate(first, keys, cue_bands(4), cue_windows(CellLayout.sequence(5)))
    for name in NAMES:
        torch.testing.assert_close(getattr(whole, name)[:5], getattr(alone, name))


def test_bands_of_other_depths():
    assert cue_bands(24) == CueBands((3, 4, 5, 6, 7), (17, 18, 19, 20, 21), (18, 19), 0)
    assert cue_bands(48) == CueBands(
        tuple(range(6, 16)), tuple(range(34, 44)), (36, 37, 38, 39), 0
    )
    assert cue_bands(12) == CueBands((1, 2, 3), (8, 9, 10), (9,), 0)
    assert cue_bands(4) == CueBands((0, 1), (2, 3), (3,), 0)
    assert cue_bands(1) == CueBands((0,), (0,), (0,), 0)
    assert [masked_pairs(depth) for depth in (24, 12, 4, 2, 1)] == [5, 2, 1, 1, 1]


def test_one_layer_in_every_band():
    q, k = random_tokens(1, 4)
    windows = cue_windows(CellLayout.sequence(4))
    wanted = plain_cues(q, k, cue_bands(1), windows)
    maps = accumulate(q, k, cue_bands(1), windows)
    for name in NAMES:
        np.testing.assert_allclose(
            getattr(maps, name).flatten(1).numpy(), wanted[name], rtol=1e-5, atol=1e-5
        )


def test_half_precision_is_summed_in_full():
    q, k = random_tokens(4, 5)
    windows, layout = cue_windows(CellLayout.sequence(5)), cue_bands(4)
    rounded = [
        {i: torch.from_numpy(x).bfloat16().float().numpy() for i, x in tokens.items()}
        for tokens in (q, k)
    ]
    wanted = accumulate(*rounded, layout, windows)
    found = CueAccumulator(layout, windows, GRID, 0)
    for i in range(4):
        found(
            i,
            *(
                torch.from_numpy(x[i]).bfloat16().transpose(0, 1).flatten(1, 2)[None]
                for x in rounded
            ),
        )
    for name in NAMES:
        torch.testing.assert_close(getattr(found.maps(), name), getattr(wanted, name))


def test_under_autocast_sums_are_still_taken_in_full():
    q, k = random_tokens(4, 5)
    windows = cue_windows(CellLayout.sequence(5))
    wanted = accumulate(q, k, cue_bands(4), windows)
    with torch.autocast('cpu', torch.bfloat16):
        found = accumulate(q, k, cue_bands(4), windows)
    for name in NAMES:
        torch.testing.assert_close(getattr(found, name), getattr(wanted, name), rtol=0, atol=0)


def test_a_trunk_that_stopped_early_and_a_batch_are_told():
    q, k = random_tokens(3, 4)
    with pytest.raises(RuntimeError, match='run the whole trunk'):
        accumulate(q, k, cue_bands(24), cue_windows(CellLayout.sequence(4)))
    found = CueAccumulator(cue_bands(4), ((1,), (0,)), GRID, 0)
    with pytest.raises(ValueError, match='a batch of 2'):
        found(0, torch.zeros(2, 1, 12, 4), torch.zeros(2, 1, 12, 4))


def test_normalisation_and_product_are_the_published_ones():
    generator = torch.Generator().manual_seed(0)
    maps = CueMaps(*(torch.rand(3, 4, 5, generator=generator) * 7 - 2 for _ in NAMES))
    for t in range(3):
        scaled = {}
        for name in NAMES:
            m = getattr(maps, name)[t].double()
            scaled[name] = (m - m.min()) / (m.max() - m.min() + 1e-6)
        product = (
            (1 - scaled['mean1'])
            * (1 - scaled['var1'])
            * scaled['mean2']
            * (1 - scaled['mean3'])
            * scaled['var3']
        )
        wanted = (product - product.min()) / (product.max() - product.min() + 1e-6)
        torch.testing.assert_close(dynamic_map(maps)[t].double(), wanted, atol=1e-5, rtol=1e-5)
    assert per_frame_range(torch.ones(1, 2, 2)).eq(0).all()
    assert combine(maps.normalised()).shape == (3, 4, 5)


def test_the_bench_measures_two_equal_forms():
    maps, _, kept = linear_form(3, 4, 9)
    plain, _ = plain_form(3, 4, 9, [0, 4, 8], torch.float64)
    for name in NAMES:
        found = getattr(maps, name)[[0, 4, 8]].double()
        torch.testing.assert_close(found, getattr(plain, name), rtol=1e-4, atol=1e-4)
    # What waits for the second layer of var1, and the sums.
    assert kept <= 9 * 12 * (1024 + 4) * 4
    result = measure(3, 4, 9, 3)
    assert result.error is not None
    assert result.error < 1e-5
    assert '4x3' in result.line()

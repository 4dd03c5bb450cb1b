"""Sub-grids: what is drawn, and what is cut out of clips."""

from __future__ import annotations

from fourd_perception.geometry.clips import UNKNOWN
from fourd_perception.training.sub_grids import (
    cut_out,
    draw_sub_grid,
    GridSettings,
    layouts,
    SubGrid,
)
from hypothesis import given, settings as hypothesis_settings, strategies as st
import numpy as np
from plane_clips import plane_clips
import pytest
import torch

SETTINGS = st.builds(
    lambda fewest, more, views, shares: GridSettings((fewest, fewest + more), views, *shares),
    st.integers(1, 4),
    st.integers(0, 8),
    st.integers(1, 5),
    st.tuples(*(st.floats(0, 1) for _ in range(4))),
)


def drawn(settings: GridSettings, seed: int) -> SubGrid:
    return draw_sub_grid(settings, np.random.default_rng(seed))


@given(SETTINGS, st.integers(0, 2**32))
@hypothesis_settings(max_examples=300, deadline=None)
def test_every_grid_keeps_its_promises(settings, seed):
    grid = drawn(settings, seed)
    assert grid == drawn(settings, seed)
    present = np.array(grid.present)
    assert present.shape == (grid.views, len(grid.columns))
    assert grid.columns[0] == 0 and grid.columns[-1] == grid.instants - 1
    assert set(np.diff(grid.columns)) <= {1, 2} and len(set(np.diff(grid.columns))) <= 1
    assert present.any(axis=1).all() and present.any(axis=0).all()
    if grid.band is not None:
        assert (grid.views, grid.instants, grid.band) == (1, settings.slices, settings.band)
        return
    fewest, most = settings.frames
    assert 1 <= grid.views <= max(1, settings.views)
    # Grids of several views have whole instants only.
    assert fewest <= present.sum() <= max(most, grid.views * -(-fewest // grid.views))


def test_all_kinds_of_grids_come_up():
    grids = [drawn(GridSettings(), seed) for seed in range(400)]
    whole = [g for g in grids if g.band is None]
    assert {g.views for g in whole} == {1, 2, 3, 4}
    assert {sum(map(sum, g.present)) for g in whole} == set(range(2, 9))
    assert any(g.instants > len(g.columns) for g in whole)
    assert any(not all(map(all, g.present)) for g in whole)
    assert any(g.portrait for g in grids) and any(g.band for g in grids)
    assert np.mean([g.band is not None for g in grids]) == pytest.approx(0.15, abs=0.05)


def test_a_portrait_grid_turns_the_size():
    grid = SubGrid(1, 2, (0, 1), ((True, True),), portrait=True)
    assert grid.size((96, 128)) == (128, 96)


def test_cutting_out_takes_the_cells_and_keeps_the_flow_of_neighbours():
    clips = plane_clips(batch=2, views=2, instants=4)
    rows = ((True, True, False), (True, True, True))
    cut = cut_out(clips, SubGrid(2, 4, (0, 1, 3), rows))
    assert torch.equal(cut.present, torch.tensor(rows).expand(2, -1, -1))
    for name in ('images', 'depth', 'world_from_camera', 'seconds', 'dynamic', 'intrinsics'):
        assert torch.equal(getattr(cut, name), getattr(clips, name)[:, :, [0, 1, 3]])
    assert cut.track_points.shape[1] == 3
    forward = cut.flow_forward.isfinite().flatten(3).all(3)
    backward = cut.flow_backward.isfinite().flatten(3).all(3)
    assert forward[0, 0].tolist() == [True, False, False]
    assert backward[0, 0].tolist() == [False, True, False]
    assert (cut.occluded_forward[:, :, 1:] == UNKNOWN).all()
    assert torch.equal(cut.flow_forward[:, :, 0], clips.flow_forward[:, :, 0])
    assert torch.equal(cut.flow_backward[:, :, 1], clips.flow_backward[:, :, 1])


def test_cutting_out_leaves_the_clips_alone():
    clips = plane_clips(instants=3)
    before = clips.flow_forward.clone(), clips.present.clone()
    cut_out(clips, SubGrid(1, 3, (0, 2), ((True, True),)))
    assert torch.equal(clips.flow_forward.nan_to_num(7), before[0].nan_to_num(7))
    assert torch.equal(clips.present, before[1])


def test_clips_of_another_shape_are_refused():
    with pytest.raises(ValueError, match='1 views and 3 instants'):
        cut_out(plane_clips(instants=3), SubGrid(1, 2, (0, 1), ((True, True),)))


def test_clips_are_grouped_by_the_cells_that_are_there():
    clips = plane_clips(batch=4, views=2, instants=2)
    clips.present[1, 0, 1] = clips.present[3, 0, 1] = False
    clips.present[2] = False
    (whole, first), (holed, others) = layouts(clips)
    assert (first.tolist(), others.tolist()) == ([0], [1, 3])
    assert (whole.view_id, whole.time_id) == ((0, 1, 0, 1), (0, 0, 1, 1))
    assert (holed.view_id, holed.time_id) == ((0, 1, 1), (0, 0, 1))


@pytest.mark.parametrize('frames, views', [((0, 2), 1), ((3, 2), 1), ((1, 2), 0)])
def test_impossible_settings_are_refused(frames, views):
    with pytest.raises(ValueError, match='use 1'):
        GridSettings(frames=frames, views=views)

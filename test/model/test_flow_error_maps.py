"""Predictors tell how far off they expect their flow to be."""

from fourd_perception.model.small.predictor import SmallPredictor
import numpy as np
from small_grids import network
from test_network_predictor import make_grid
from test_small_predictor import FLOW
import torch


def test_the_errors_of_flow_are_those_that_the_flow_module_expects():
    model = network(flow=FLOW)
    grid = make_grid([[1, 1, 1], [1, 0, 1]], height=32, width=48)
    given = SmallPredictor(model, 'test', 'none').predict(grid)
    for way in ('forward', 'backward'):
        flow, error = getattr(given, f'flow_{way}'), getattr(given, f'flow_{way}_error')
        assert error.shape == grid.images.shape[:2] + grid.images.shape[-2:]
        np.testing.assert_array_equal(error.isnan(), flow.isnan().any(dim=2))
    with torch.no_grad():
        there, back = model.flow_module(grid.images[0, :1], grid.images[0, 1:2])
    torch.testing.assert_close(given.flow_forward_error[0, 0], there.log_scale[0, 0].exp())
    torch.testing.assert_close(given.flow_backward_error[0, 1], back.log_scale[0, 0].exp())


def test_motions_of_a_small_network_with_flow_are_solved():
    assert SmallPredictor(network(flow=FLOW), 'test', 'none').info.pose == 'solved'
    assert SmallPredictor(network(flow=None), 'test', 'none').info.pose == 'head'

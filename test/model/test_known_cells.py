"""Windows share what depends on pixels alone, and nothing that does not."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.network_predictor import NetworkPredictor
from fourd_perception.model.untrained import untrained_network
import numpy as np
import pytest
from test_network_predictor import fields, make_grid, new, SECOND, WITH_FLOW
import torch


class Counted(NetworkPredictor):
    """Counts the frames that are encoded and the pairs whose flow is computed."""

    def __init__(self) -> None:
        network = untrained_network(WITH_FLOW, 0)
        encode, flow = network.encode, network.flow_module.forward
        self.encoded = self.paired = 0

        def counted_encode(images, tables):
            self.encoded += images.shape[1]
            return encode(images, tables)

        def counted_flow(first, second):
            self.paired += len(first)
            return flow(first, second)

        network.encode, network.flow_module.forward = counted_encode, counted_flow
        super().__init__(network, 'test', 'none')

    def count(self, grid) -> tuple[int, int]:
        """Frames encoded and pairs computed for one more window."""
        before = self.encoded, self.paired
        self.predict(grid)
        return self.encoded - before[0], self.paired - before[1]


def test_consecutive_windows_encode_only_new_cells():
    ours = Counted()
    full = np.ones((2, 3))
    assert ours.count(make_grid(full)) == (6, 4)
    assert ours.count(make_grid(full, first=1)) == (2, 2)
    assert ours.count(make_grid(full, first=1)) == (0, 0)
    assert ours.count(make_grid(full, first=9)) == (6, 4)
    # What has left the window is forgotten.
    assert ours.count(make_grid(full, first=1)) == (6, 4)


def test_a_cell_that_was_missing_is_encoded_when_it_comes():
    ours = Counted()
    ours.predict(make_grid([[1, 1], [1, 0]]))
    assert ours.count(make_grid([[1, 1], [1, 1]])) == (1, 1)


@pytest.mark.parametrize('step', [1, 2])
def test_a_sliding_window_answers_as_a_first_one_does(step):
    sliding = new(WITH_FLOW)
    present = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]])
    sliding.predict(make_grid(present))
    grid = make_grid(present, reference=(2, 1), first=step)
    expected = fields(new(WITH_FLOW).predict(grid))
    for name, values in fields(sliding.predict(grid)).items():
        difference = np.abs(values - expected[name]) / np.maximum(1, np.abs(expected[name]))
        assert np.nanmax(difference) < 1e-6, name
        assert np.array_equal(np.isnan(values), np.isnan(expected[name])), name


def test_other_pixels_under_a_known_stamp_are_not_taken_for_known():
    """A simulator that starts anew has the stamps of its last run."""
    ours = Counted()
    grid = make_grid(np.ones((2, 3)))
    ours.predict(grid)
    images = grid.images.clone()
    images[1, 2, 0, 5, 5] += 0.01
    changed = replace(grid, images=images)
    assert ours.count(changed) == (1, 1)
    expected = new(WITH_FLOW).predict(changed).depth
    torch.testing.assert_close(ours.predict(changed).depth, expected, rtol=1e-6, atol=1e-6)


def test_another_size_or_camera_is_not_taken_for_known():
    ours = Counted()
    ours.predict(make_grid(np.ones((2, 2))))
    assert ours.count(make_grid(np.ones((2, 2)), height=42)) == (4, 2)
    renamed = replace(make_grid(np.ones((2, 2)), height=42), cameras=('left', 'camera_1'))
    assert ours.count(renamed) == (2, 1)
    later = make_grid(np.ones((2, 2)), height=42)
    assert ours.count(replace(later, stamps=later.stamps + 9 * SECOND)) == (4, 2)

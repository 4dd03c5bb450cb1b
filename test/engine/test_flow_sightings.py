"""How much a pixel counts when the motion between two slices is solved, and what it says."""

from dataclasses import replace

from fourd_perception.engine.flow_sightings import sight_pair
from fourd_perception.geometry.pixel_map import PixelMap
from fourd_perception.model.prediction import GridTensors, Prediction
import numpy as np
import torch

HEIGHT, WIDTH = 12, 16
KNOWN = np.array([[20.0, 0, 7.5], [0, 20.0, 5.5], [0, 0, 1]])
OWN = np.array([[30.0, 0, 7.5], [0, 30.0, 5.5], [0, 0, 1]])


def grid_and_answer(views=2):
    """Two instants; the first view is calibrated; the picture moves by (2, 1) pixels."""
    cells = views, 2
    known = np.stack([KNOWN, *[np.full((3, 3), np.nan)] * (views - 1)])
    grid = GridTensors(
        images=torch.zeros(*cells, 3, HEIGHT, WIDTH),
        present=np.ones(cells, bool),
        valid=torch.ones(views, HEIGHT, WIDTH, dtype=torch.bool),
        intrinsics=known,
        pixel_maps=(PixelMap(),) * views,
        cameras=tuple(f'c{v}' for v in range(views)),
        stamps=np.arange(2 * views).reshape(cells),
        reference=(0, 0),
    )
    flow = torch.tensor([2.0, 1.0])[:, None, None].expand(*cells, 2, HEIGHT, WIDTH).clone()
    depth = torch.arange(HEIGHT * WIDTH).view(HEIGHT, WIDTH).expand(*cells, -1, -1) + 1.0
    answer = Prediction(
        depth=depth,
        depth_confidence=torch.ones(*cells, HEIGHT, WIDTH),
        world_from_camera=np.broadcast_to(np.eye(4), (*cells, 4, 4)),
        intrinsics=np.broadcast_to(OWN, (*cells, 3, 3)),
        flow_forward=flow,
        flow_backward=-flow,
    )
    return grid, answer


def weights(grid, answer, view=0, way=0):
    sightings = sight_pair(grid, answer, np.ones((2, 2)), 0)
    return sightings[way].weights[view, 0].view(HEIGHT, WIDTH)


INNER = slice(2, -3), slice(3, -3)


def test_depth_is_for_the_known_focal_length_and_targets_are_where_the_flow_leads():
    grid, answer = grid_and_answer()
    factor = np.array([[2.0, 3.0], [1.0, 1.0]])
    older, newer = sight_pair(grid, answer, factor, 0)
    torch.testing.assert_close(older.depth[0, 0], 2 * answer.depth[0, 0].flatten())
    torch.testing.assert_close(newer.depth[0, 0], 3 * answer.depth[0, 1].flatten())
    assert (older.targets - older.pixels == torch.tensor([2.0, 1.0])).all()
    assert (newer.targets - newer.pixels == torch.tensor([-2.0, -1.0])).all()
    for sightings in (older, newer):
        np.testing.assert_allclose(sightings.intrinsics[:, 0], [KNOWN, OWN])
        np.testing.assert_allclose(sightings.target_intrinsics[:, 0], [KNOWN, OWN])


def test_what_leaves_the_image_is_not_counted():
    there, back = (weights(*grid_and_answer(), way=way) for way in (0, 1))
    assert (there[INNER] == 1).all() and (back[INNER] == 1).all()
    assert (there[:, -2:] == 0).all() and (there[-1:] == 0).all()
    assert (back[:, :2] == 0).all() and (back[:1] == 0).all()


def test_what_the_other_image_does_not_confirm_is_not_counted():
    grid, answer = grid_and_answer()
    answer.flow_backward[0, 1, :, 6:8, 8:10] = 5.0
    assert (weights(grid, answer)[5, 6:8] == 0).all()


def test_padding_and_the_robot_itself_are_not_counted():
    grid, answer = grid_and_answer()
    grid.valid[0, 4:6] = False
    assert (weights(grid, answer)[4:6] == 0).all()
    assert (weights(grid, answer, view=1)[4:6, 3:-3] == 1).all()


def test_a_pixel_counts_as_it_is_likely_to_stand_still():
    grid, answer = grid_and_answer()
    logits = torch.zeros(2, 2, HEIGHT, WIDTH)
    logits[0, 0, :, :8] = 3.0
    logits[0, 0, 5] = torch.nan
    found = weights(grid, replace(answer, mask_logits=logits))
    torch.testing.assert_close(found[3, 4:7], torch.sigmoid(torch.tensor([-3.0] * 3)))
    torch.testing.assert_close(found[3, 9:11], torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(found[5, 4:11], torch.full((7,), 0.5))


def test_a_flow_that_is_less_sure_than_most_counts_by_its_variance():
    grid, answer = grid_and_answer()
    error = torch.full((2, 2, HEIGHT, WIDTH), 0.5)
    error[0, 0, 3] = 1.0
    error[0, 0, 4] = 0.1
    error[0, 1] = 7.0
    answer = replace(answer, flow_forward_error=error, flow_backward_error=error)
    found = weights(grid, answer)
    torch.testing.assert_close(found[3, 4:9], torch.full((5,), 0.25))
    assert (found[4, 4:9] == 1).all() and (found[5, 4:9] == 1).all()
    assert (weights(grid, answer, way=1)[INNER] == 1).all()


def test_without_flow_nothing_is_seen_of_a_motion():
    grid, answer = grid_and_answer()
    assert sight_pair(grid, replace(answer, flow_backward=None), np.ones((2, 2)), 0) is None

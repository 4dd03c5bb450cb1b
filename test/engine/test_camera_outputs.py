"""Dense outputs of one camera from a prediction that can be read off."""

from fourd_perception.engine.camera_outputs import CameraOutputs, output_camera, View
from fourd_perception.engine.network_size import lay_out
from fourd_perception.engine.scene_update import Label
from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.model.prediction import Prediction
import numpy as np
import pytest
import torch

K = np.array([[40.0, 0, 15.5], [0, 40.0, 23.5], [0, 0, 1]])
PORTRAIT = CameraModel('c', 32, 48, K)
NETWORK = (24, 24)  # shows the portrait on columns 4..19


def outputs(size, depth, logits=None, flow=None, confidence=None):
    """Outputs of one camera in a window of two columns; every field [24, 24], the same in both."""
    layout = lay_out((32, 48), NETWORK)
    valid = torch.zeros(24, 24, dtype=torch.bool)
    valid[layout.rows, layout.columns] = True
    view = View(0, PORTRAIT, layout, valid, np.array([2.0, 2.0]), 10, 20)

    def field(value, *shape):
        if value is None:
            return None
        return torch.as_tensor(value, dtype=torch.float32).expand(1, 2, *shape, 24, 24)

    prediction = Prediction(
        field(depth),
        field(1.0 if confidence is None else confidence),
        np.eye(4)[None, None],
        K[None, None],
        mask_logits=field(logits),
        flow_forward=field(flow, 2),
        flow_backward=None if flow is None else -field(flow, 2),
    )
    return CameraOutputs(prediction, view, output_camera(view, size), size == 'network')


def halves(left, right):
    """[24, 24]: one value left of the middle of the image, another right of it."""
    out = np.full((24, 24), float(left))
    out[:, 12:] = right
    return out


def test_padding_is_invalid_in_every_output_at_network_size():
    logits = halves(-1, 1)
    found = outputs('network', 3.0, logits, 1.0, confidence=4.0)
    depth = found.depth()
    shown = torch.zeros(24, 24, dtype=torch.bool)
    shown[:, 4:20] = True
    np.testing.assert_array_equal(torch.isfinite(depth), shown)
    np.testing.assert_array_equal(depth[shown], 6.0)
    np.testing.assert_array_equal(found.confidence(depth), torch.where(shown, 0.75, 0.0))
    np.testing.assert_array_equal(found.label() == Label.UNKNOWN, ~shown)
    for flow in (found.forward_flow(), found.backward_flow()):
        np.testing.assert_array_equal(torch.isfinite(flow).all(dim=2), shown)


def test_other_sizes_show_the_image_alone():
    found = outputs('input', 3.0, halves(-1, 1), 1.0, confidence=4.0)
    depth = found.depth()
    assert depth.shape == (48, 32)
    np.testing.assert_allclose(depth, 6.0, rtol=1e-6)
    np.testing.assert_allclose(found.confidence(depth), 0.75, rtol=1e-6)
    assert found.input_label().shape == (48, 32)


@pytest.mark.parametrize('depth', [np.nan, np.inf, 0.0, -2.0])
def test_what_is_no_depth_is_nan_and_without_confidence(depth):
    found = outputs('network', depth, confidence=9.0)
    assert torch.isnan(found.depth()).all()
    assert not found.confidence(found.depth()).any()


def test_flow_is_in_pixels_of_the_output_and_backward_is_not_forward():
    found = outputs('input', 3.0, flow=1.5)
    np.testing.assert_allclose(found.forward_flow(), 3.0, rtol=1e-6)
    np.testing.assert_allclose(found.backward_flow(), -3.0, rtol=1e-6)


@pytest.mark.parametrize(
    'depth, logits',
    [(halves(3.0, 3.5), -1.0), (3.0, halves(-1, 1))],
    ids=['a step of depth', 'a mover that touches what it moves over'],
)
def test_flow_is_never_mixed_over_the_edge_of_a_surface(depth, logits):
    flow = outputs('input', depth, logits, halves(0, 6)).forward_flow()
    unknown = torch.isnan(flow).all(dim=2)
    assert set(flow[~unknown].unique().tolist()) == {0.0, 12.0}
    np.testing.assert_array_equal(unknown.all(dim=0).nonzero().flatten(), [15, 16])


def test_a_pixel_without_a_mask_is_unknown():
    label = outputs('network', 3.0, halves(-1, np.nan)).label()
    assert set(label[:, 4:12].unique().tolist()) == {Label.STATIC}
    assert set(label[:, 12:20].unique().tolist()) == {Label.UNKNOWN}

"""A scene small enough to know every answer by heart: a ball before a wall, a camera."""

from fourd_perception.geometry.cameras import CameraModel
from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.motion import Motion, rotation_from_rpy
from fourd_perception.synthetic.recording import SyntheticRecording
from fourd_perception.synthetic.scene import Body
from fourd_perception.synthetic.textures import Texture
import numpy as np
import pytest

# Optical axes in the base: the camera looks along +x, from the base's origin.
LOOKING_FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
FOCAL = 50.0
RED = Texture('plain', ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)), noise=0.0)
BLUE = Texture('plain', ((0.0, 0.0, 1.0), (0.0, 0.0, 1.0)), noise=0.0)
STAMPS = tuple(1_700_000_000_000_000_001 + k * 100_000_000 for k in range(11))


def small_scene(ball=(0.0, 0.0, 0.0), rig=(0.0, 0.0, 0.0)):
    """A ball of 0.5 m at x = 4, a wall with its face at x = 10; velocities in m/s."""
    camera = CameraModel(
        name='eye',
        width=41,
        height=31,
        intrinsics=np.array([[FOCAL, 0, 20], [0, FOCAL, 15], [0, 0, 1]]),
        base_from_camera=transform(LOOKING_FORWARD, np.zeros(3)),
    )
    bodies = (
        Body('ball', 'ellipsoid', (0.5, 0.5, 0.5), RED, Motion((4.0, 0.0, 0.0), velocity=ball)),
        Body('wall', 'box', (1.0, 50.0, 50.0), BLUE, Motion((11.0, 0.0, 0.0))),
    )
    motion = Motion((0.0, 0.0, 0.0), velocity=rig)
    return SyntheticRecording(
        'small', bodies, (0.0, 0.0, 0.0), {'eye': camera}, motion, {'eye': STAMPS}
    )


def test_depth_is_along_the_optical_axis():
    depth = small_scene().depth(small_scene().cameras['eye'], STAMPS[0])
    assert depth[15, 20] == 3.5
    # The wall is a plane of constant z, however far the corner is.
    assert depth[0, 0] == depth[30, 40] == 10.0


def test_a_ball_that_moves_sideways_flows_and_uncovers():
    scene = small_scene(ball=(0.0, -1.0, 0.0))
    camera = scene.cameras['eye']
    flow, occluded = scene.flow(camera, STAMPS[0], STAMPS[1])
    assert flow[15, 20] == pytest.approx([0.1 * FOCAL / 3.5, 0.0], abs=1e-5)
    assert flow[0, 0] == pytest.approx([0.0, 0.0], abs=1e-6)
    # To the right, the wall disappears behind the ball; to the left, nothing does.
    edge = int(20 + 0.5 * FOCAL / 4 + 1)
    assert occluded[15, edge] and not occluded[15, 40 - edge] and not occluded[15, 20]
    own_motion = scene.own_motion(camera, STAMPS[1], (STAMPS[0], STAMPS[3]))
    # The largest over the instants counts: 0.2 m ahead, not 0.1 m ago.
    assert own_motion[15, 20] == pytest.approx(0.2 * FOCAL / 3.5, rel=0.02)
    assert own_motion[0, 0] == 0


def test_a_point_that_the_camera_passes_has_no_flow():
    scene = small_scene(rig=(6.0, 0.0, 0.0))
    camera = scene.cameras['eye']
    flow, occluded = scene.flow(camera, STAMPS[0], STAMPS[10])
    assert np.isnan(flow[15, 20]).all() and occluded[15, 20]
    assert np.isfinite(flow[0, 0]).all()
    assert (scene.own_motion(camera, STAMPS[0], STAMPS[1:]) == 0).all()


def test_a_ray_that_meets_nothing_is_sky():
    scene = small_scene()
    scene = SyntheticRecording(
        'ball', scene.bodies[:1], scene.light, scene.cameras, scene.trajectory, {'eye': STAMPS}
    )
    camera = scene.cameras['eye']
    assert np.isnan(scene.depth(camera, STAMPS[0])[0, 0])
    flow, occluded = scene.flow(camera, STAMPS[0], STAMPS[1])
    assert np.isnan(flow[0, 0]).all() and occluded[0, 0]
    assert scene.own_motion(camera, STAMPS[0], STAMPS[1:])[0, 0] == 0


def test_the_nearest_surface_tells_whether_a_point_belongs_to_a_mover():
    scene = small_scene(ball=(0.0, -1.0, 0.0))
    points = [[4.0, 0.0, 0.6], [9.75, 0.0, 0.0], [4.0, -1.0, 0.6]]
    distance, mover = scene.surfaces(np.array(points), STAMPS[0])
    assert distance == pytest.approx([0.1, 0.25, np.hypot(1, 0.6) - 0.5])
    assert mover.tolist() == [True, False, True]
    distance, mover = scene.surfaces(np.array(points), STAMPS[10])
    assert distance[2] == pytest.approx(0.1)
    _, standing = small_scene().surfaces(np.array(points), STAMPS[0])
    assert not standing.any()


def test_the_image_shows_bodies_where_depth_has_them():
    """Four samples a pixel: the share of red is the share of the ball, to the sample."""
    scene = small_scene()
    camera = scene.cameras['eye']
    red = scene.image('eye', STAMPS[0])[..., 0] > 0
    hit = scene.depth(camera.resized(82, 62), STAMPS[0]) < 5
    assert np.array_equal(red, hit.reshape(31, 2, 41, 2).any(axis=(1, 3)))


def test_motion_is_rigid_and_follows_its_formula():
    motion = Motion(
        position=(1.0, 2.0, 3.0),
        velocity=(0.5, 0.0, 0.0),
        sway=(0.0, 2.0, 0.0),
        sway_phase=(0.0, np.pi / 2, 0.0),
        sway_period=4.0,
        rotation=(0.1, 0.0, 0.0),
        turn=(0.0, 0.0, 0.25),
        rock=(0.0, 0.3, 0.0),
        rock_period=8.0,
    )
    pose = motion.pose(2.0)
    assert pose[:3, 3] == pytest.approx([2.0, 0.0, 3.0])
    assert np.allclose(pose[:3, :3], rotation_from_rpy(0.1, 0.3, 0.5), atol=1e-12)
    assert np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=1e-12)
    # Yaw turns x to y, pitch x to -z, roll y to z.
    assert np.allclose(rotation_from_rpy(0, 0, np.pi / 2)[:, 0], [0, 1, 0], atol=1e-12)
    assert np.allclose(rotation_from_rpy(0, np.pi / 2, 0)[:, 0], [0, 0, -1], atol=1e-12)
    assert np.allclose(rotation_from_rpy(np.pi / 2, 0, 0)[:, 1], [0, 0, 1], atol=1e-12)


@pytest.mark.parametrize(
    'wrong, words',
    [
        ({'shape': 'cone'}, 'cone.*box'),
        ({'half_size': (1.0, 0.0, 1.0)}, 'need > 0'),
        ({'shape': 'cylinder', 'half_size': (1.0, 2.0, 1.0)}, 'make the two equal'),
    ],
)
def test_impossible_bodies_are_refused(wrong, words):
    body = {'name': 'b', 'shape': 'box', 'half_size': (1.0, 1.0, 1.0), 'texture': RED}
    with pytest.raises(ValueError, match=words):
        Body(**{**body, 'motion': Motion((0.0, 0.0, 0.0)), **wrong})

"""Poses and odometry where the node is told to solve motions from depth and flow."""

from fourd_perception.geometry.poses import invert, rotation_from_quaternion
from nav_msgs.msg import Odometry
from node_bench import wait_until
import numpy as np


def test_odometry_of_solved_motions(bench, cameras, start_node):
    start_node(pose='solved')
    odometry = bench.listen(Odometry, 'odometry')
    cameras.connect()
    wait_until(lambda: bench.values('outputs').get('wanted') == 'odometry', 'odometry wanted')
    cameras.play(range(5), odometry)
    recording, (name, *_) = cameras.recording, cameras.recording.cameras
    start, now = (recording.world_from_base(recording.stamps(name)[k]) for k in (0, 4))
    truth = invert(start) @ now
    pose = odometry[-1].pose.pose
    position = [pose.position.x, pose.position.y, pose.position.z]
    np.testing.assert_allclose(position, truth[:3, 3], atol=5e-3)
    q = pose.orientation
    turn = rotation_from_quaternion(np.array([q.x, q.y, q.z, q.w]))
    np.testing.assert_allclose(turn, truth[:3, :3], atol=1e-3)
    covariance = np.array(odometry[-1].pose.covariance).reshape(6, 6)
    assert np.linalg.eigvalsh(covariance)[0] > 0
    assert np.linalg.norm(covariance - np.diag(np.diag(covariance))) > 0
    bench.forget_status()
    wait_until(lambda: bench.status('pose'), 'diagnostics')
    assert bench.values('pose')['source'] == 'solved'

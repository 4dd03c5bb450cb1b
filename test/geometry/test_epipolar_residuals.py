"""Residuals and their slopes against plain projection and small steps."""

from fourd_perception.geometry.epipolar_residuals import rays_of, residuals
from fourd_perception.geometry.poses import invert, nearest_rotation, transform
from fourd_perception.geometry.projection import project
from fourd_perception.geometry.sightings import Sightings
import numpy as np
import pytest
import torch

CAMERAS, PIXELS, UNIT = 2, 7, 3.0


def random_pose(rng, turn=1.0, shift=1.0):
    rotation = nearest_rotation(np.eye(3) + turn * rng.normal(size=(3, 3)))
    return transform(rotation, shift * rng.normal(size=3))


class Case:
    """Two cameras of different lenses on one body, which moves."""

    def __init__(self, seed):
        rng = np.random.default_rng(seed)
        self.places = [np.stack([random_pose(rng) for _ in range(CAMERAS)]) for _ in range(2)]
        # Where the body was close to where it is, so that points stay before the cameras.
        self.places[1] = self.places[0] @ random_pose(rng, 0.02, 0.05)
        self.matrices = [
            np.array([[f, 0, 30.0], [0, 1.1 * f, 20.0], [0, 0, 1]]) for f in (40.0, 70.0)
        ]
        self.pixels = rng.uniform(0, 40, (PIXELS, 2))
        self.depth = rng.uniform(2, 6, (CAMERAS, PIXELS))
        self.targets = rng.uniform(0, 40, (CAMERAS, PIXELS, 2))
        self.other_from_body = random_pose(rng, 0.02, 0.1)

    def sightings(self):
        def one(values):
            return torch.from_numpy(np.asarray(values))[None]

        return Sightings(
            pixels=torch.from_numpy(self.pixels),
            depth=one(self.depth),
            targets=one(self.targets),
            weights=torch.ones(1, CAMERAS, PIXELS),
            intrinsics=one(self.matrices),
            target_intrinsics=one(self.matrices[::-1]),
            body_from_camera=one(self.places[0]),
            body_from_target=one(self.places[1]),
            shape=(1, PIXELS),
        )

    def expected(self, other_from_body, depth_factor=1.0):
        """Where the points should be: plainly, point by point."""
        rows = []
        for camera in range(CAMERAS):
            rays = np.c_[self.pixels, np.ones(PIXELS)] @ np.linalg.inv(self.matrices[camera]).T
            points = rays * self.depth[camera][:, None] * depth_factor
            chain = invert(self.places[1][camera]) @ other_from_body @ self.places[0][camera]
            there = points @ chain[:3, :3].T + chain[:3, 3]
            rows.append(project(there, self.matrices[1 - camera]))
        return np.concatenate(rows)

    def found(self):
        motion = torch.from_numpy(self.other_from_body)[None]
        rays = rays_of(self.sightings(), torch.tensor([UNIT], dtype=torch.float64))
        return residuals(rays, motion[:, :3, :3], motion[:, :3, 3] / UNIT)

    def lines(self):
        """Unit vectors [M, 2] along the epipolar lines, and pixels per unit of log depth."""
        step = 1e-6
        moved = (self.expected(self.other_from_body, 1 + step) - self.expected(
            self.other_from_body, 1 - step)) / (2 * step)  # fmt: skip
        spread = np.linalg.norm(moved, axis=1)
        return -moved / spread[:, None], spread


@pytest.mark.parametrize('seed', range(4))
def test_components_lie_along_and_across_the_lines_on_which_depth_moves_targets(seed):
    case = Case(seed)
    found, (line, spread) = case.found(), case.lines()
    off = case.targets.reshape(-1, 2) - case.expected(case.other_from_body)
    np.testing.assert_allclose(found.spread[0], spread, rtol=1e-5)
    np.testing.assert_allclose(found.along[0], (off * line).sum(axis=1), atol=1e-4)
    across = off[:, 1] * line[:, 0] - off[:, 0] * line[:, 1]
    np.testing.assert_allclose(found.across[0], across, atol=1e-4)


@pytest.mark.parametrize('seed', range(4))
def test_slopes_are_what_small_steps_of_the_motion_do(seed):
    case = Case(seed)
    found, (line, _) = case.found(), case.lines()
    normal = np.stack([-line[:, 1], line[:, 0]], axis=1)
    step = 1e-6
    for i in range(6):
        moved = []
        for sign in (1, -1):
            pose = case.other_from_body.copy()
            if i < 3:
                pose[i, 3] += sign * step * UNIT
            else:
                x, y, z = sign * step * np.eye(3)[i - 3]
                pose[:3, :3] = (np.eye(3) + [[0, -z, y], [z, 0, -x], [-y, x, 0]]) @ pose[:3, :3]
            moved.append(case.expected(pose))
        slope = (moved[0] - moved[1]) / (2 * step)
        np.testing.assert_allclose(
            found.along_slope[0, :, i], (slope * line).sum(axis=1), atol=1e-3, rtol=1e-4
        )
        np.testing.assert_allclose(
            found.across_slope[0, :, i], (slope * normal).sum(axis=1), atol=1e-3, rtol=1e-4
        )


def test_points_behind_the_camera_and_unknown_ones_do_not_count():
    case = Case(0)
    case.depth[0, 0] = np.nan
    case.depth[0, 1] = -1.0
    case.targets[1, 2] = np.nan
    case.other_from_body = transform(np.eye(3), np.zeros(3))
    case.places[1] = case.places[0].copy()
    case.places[1][1] = case.places[0][1] @ transform(np.diag([1.0, -1.0, -1.0]), np.zeros(3))
    weights = case.found().weights[0].view(CAMERAS, PIXELS)
    assert weights[0].tolist() == [0, 0, 1, 1, 1, 1, 1]
    assert (weights[1] == 0).all()
    assert case.found().along.isfinite().all()

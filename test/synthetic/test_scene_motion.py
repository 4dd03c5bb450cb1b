"""Paths, limbs and wheels do what people and vehicles do."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.geometry.poses import invert
from fourd_perception.synthetic.generator.chains import people, vehicles
from fourd_perception.synthetic.generator.links import Links
import numpy as np
import pytest

SECONDS = np.linspace(-1.0, 1.0, 41)[None]


def path(**values) -> Links:
    """One link with some values set."""
    links = Links.still(1, 1)
    for name, value in values.items():
        getattr(links, name)[:] = value
    return links


def test_a_link_drives_on_a_circle_about_its_middle():
    places = path(speed=2.0, yaw_rate=0.8).poses(SECONDS)[0, 0, :, :3, 3]
    middle = np.array([0.0, 2.0 / 0.8, 0.0])
    assert np.linalg.norm(places - middle, axis=1) == pytest.approx(2.5)
    # As fast as its speed says, and always along its heading.
    velocity = np.gradient(places, SECONDS[0], axis=0)[1:-1]
    forward = path(speed=2.0, yaw_rate=0.8).poses(SECONDS)[0, 0, 1:-1, :3, 0]
    assert velocity == pytest.approx(2.0 * forward, abs=2e-3)


def test_a_link_stands_still_before_its_start_and_after_its_stop():
    poses = path(speed=1.0, spin=0.5, start=-0.5, stop=0.25).poses(SECONDS)[0, 0]
    place = poses[:, 0, 3]
    assert (place[SECONDS[0] <= -0.5] == -0.5).all() and (place[SECONDS[0] >= 0.25] == 0.25).all()
    assert np.array_equal(poses[0], poses[5]) and not np.array_equal(poses[15], poses[20])


def test_limbs_hang_together_and_bend_as_knees_and_elbows_do():
    walk = path(speed=1.2, frequency=0.9, heading=0.4)
    surface = np.zeros((1, 1, 3), int)
    made = people(walk, np.full((1, 1), 1.8), np.full((1, 1), 0.5), 1, *_here(), surface)
    bodies, links = made
    assert bodies.count == 11 and links.place.shape[1] == 9
    poses = links.poses(SECONDS)[0]
    trunk = poses[0]
    for side, (thigh, shank, arm, forearm) in enumerate((poses[1:5], poses[5:9])):
        y = 1.8 * (0.07 if side == 0 else -0.07)
        hip = trunk @ [0, y, 0.9, 1]
        assert thigh[..., 3] == pytest.approx(hip)
        knee = thigh @ [0, 0, -0.24 * 1.8, 1]
        assert shank[..., 3] == pytest.approx(knee)
        # In the thigh's frame the shank points down and back, the forearm down and forward.
        down = np.array([0, 0, -1.0, 0])
        back = (invert(thigh) @ shank) @ down
        front = (invert(arm) @ forearm) @ down
        assert (back[:, 0] <= 1e-9).all() and (front[:, 0] >= -1e-9).all()
    # Legs swing against one another, each against its own arm.
    forward = [(invert(trunk) @ limb)[:, 0, 2] for limb in (poses[1], poses[5], poses[3])]
    assert forward[0] == pytest.approx(-forward[1]) and (forward[0] * forward[2] <= 1e-9).all()


def test_wheels_roll_without_slipping():
    drive = path(speed=3.0, heading=1.1)
    half = np.array([[[2.0, 0.85, 0.7]]])
    bodies, links = vehicles(drive, half, 1, *_here(), np.zeros((1, 1, 3), int))
    assert bodies.count == 7
    radius = 0.32 * 0.7
    instant = np.array([[0.3, 0.3 + 1e-6]])
    for axle in (1, 2):
        before, after = links.poses(instant)[0, axle]
        ground = before[:3, 3] - [0, 0, radius]
        local = invert(before) @ np.append(ground, 1)
        assert ground[2] == pytest.approx(0, abs=1e-9)
        assert (after @ local)[:3] == pytest.approx(ground, abs=1e-9)
    wheels = bodies.half[0, 3:]
    assert wheels[:, :2] == pytest.approx(radius)


def test_parts_of_a_link_keep_the_instance_and_may_be_absent():
    two = replace(path(), **{n: np.repeat(v, 2, axis=1) for n, v in vars(path()).items()})
    here = np.array([[True, False]])
    instance = np.array([[7, 8]])
    surface = np.array([[[1, 2, 3], [4, 5, 6]]])
    bodies, links = people(two, np.full((1, 2), 1.7), np.zeros((1, 2)), 5, here, instance, surface)
    assert (bodies.kind[0, :11] >= 0).all() and (bodies.kind[0, 11:] == -1).all()
    assert set(bodies.instance[0, :11]) == {7} and set(bodies.surface[0, :11]) == {1, 2, 3}
    assert bodies.link.min() == 5 and bodies.link.max() == 5 + links.place.shape[1] - 1
    # Every part of the first person hangs on a link of the first person.
    assert (bodies.link[0, :11] % 2 == 1).all()


def _here():
    return np.array([[True]]), np.array([[100]])

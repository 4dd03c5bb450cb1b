"""Rays against convex bodies, and what is left out before: equal to a plain search."""

from __future__ import annotations

from functools import partial

from fourd_perception.geometry.poses import transform
from fourd_perception.synthetic.generator import kernels
from fourd_perception.synthetic.generator.bodies import BOX, CYLINDER, DOME, ELLIPSOID, WEDGE
from fourd_perception.synthetic.generator.casting import Beams, cast, MISS
from fourd_perception.synthetic.generator.culling import in_windows, outlines
from fourd_perception.synthetic.generator.frames import forms_of
from fourd_perception.synthetic.generator.links import rotations
from fourd_perception.synthetic.scenes import generate, SceneSpec
from hypothesis import given, settings, strategies as st
import numpy as np
import pytest
import torch

KINDS = BOX, ELLIPSOID, CYLINDER, WEDGE, DOME


def inside(kind: int, unit: np.ndarray) -> np.ndarray:
    """Whether points [..., 3] of its unit space lie in a body, by its definition."""
    x, y, z = np.moveaxis(unit, -1, 0)
    cube = np.abs(unit).max(-1) <= 1
    ball, tube = x * x + y * y + z * z <= 1, (x * x + y * y <= 1) & cube
    return {
        BOX: cube,
        ELLIPSOID: ball,
        CYLINDER: tube,
        WEDGE: cube & (x + z <= 0),
        DOME: ball & (z >= 0),
    }[kind]


def drawn_bodies(rng: np.random.Generator, count: int):
    """Poses [P, 4, 4], half sizes [P, 3] and kinds [P] of bodies before a camera."""
    kind = rng.choice(KINDS, count)
    half = rng.uniform(0.2, 1.2, (count, 3))
    half[:, 1] = np.where(kind == CYLINDER, half[:, 0], half[:, 1])
    place = rng.uniform([-2, -2, 1], [2, 2, 6], (count, 3))
    return transform(rotations(rng.uniform(-3, 3, (count, 3))), place), half, kind


def placed(poses: np.ndarray, half: np.ndarray, kind: np.ndarray):
    return (
        torch.from_numpy(poses)[None],
        torch.from_numpy(half)[None],
        torch.from_numpy(kind.astype(np.int8))[None],
    )


def marched(poses, half, kind, origin, directions, lengths):
    """First length of a fine list at which a ray [R, 3] changes sides of a body [P], else inf."""
    first = np.full((len(kind), len(directions)), np.inf)
    points = origin + directions[:, None] * lengths[:, None]
    for number, (pose, size, form) in enumerate(zip(poses, half, kind)):
        unit = (points - pose[:3, 3]) @ pose[:3, :3] / size
        side = inside(form, unit)
        crosses = side[:, 1:] != side[:, :-1]
        found = crosses.any(1)
        first[number, found] = lengths[1:][crosses.argmax(1)[found]]
    return first


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=25)
def test_rays_meet_what_a_march_along_them_finds(seed):
    rng = np.random.default_rng(seed)
    poses, half, kind = drawn_bodies(rng, 6)
    origin = rng.uniform(-1, 1, 3) if rng.random() < 0.5 else np.zeros(3)
    rays = np.concatenate([rng.uniform(-0.8, 0.8, (2, 40)), np.ones((1, 40))])
    every = torch.ones(1, 6, dtype=torch.bool)
    beams = Beams(
        torch.zeros(1, dtype=torch.int64),
        torch.from_numpy(origin).float()[None],
        torch.from_numpy(rays).float()[None],
        every,
    )
    length, body = cast(beams, forms_of(*placed(poses, half, kind), compiled=False))
    step = 0.004
    first = marched(poses, half, kind, origin, rays.T, np.arange(0, 12, step))
    wanted = first.min(0)
    found = np.where(length[0].numpy() > MISS, np.inf, length[0].numpy())
    with np.errstate(invalid='ignore'):
        near = (np.abs(found - wanted) < 2 * step) | (found == wanted)
    # A march may step over an edge that a ray only grazes.
    assert near.mean() > 0.93
    met = np.isfinite(found) & near
    two = np.sort(first, axis=0)[1] > wanted + 4 * step
    assert (body[0].numpy() == first.argmin(0))[met & two].all()


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=50)
def test_outlines_leave_out_no_body_that_a_ray_meets(seed):
    rng = np.random.default_rng(seed)
    poses, half, kind = drawn_bodies(rng, 8)
    poses[:, 2, 3] -= rng.uniform(0, 4)
    some = placed(poses, half, kind)
    every = torch.ones(1, 8, dtype=torch.bool)
    outline = outlines(some[0][..., :3, :], some[1], every, compiled=False)
    middle = rng.uniform(-1.5, 1.5, (64, 2, 1))
    rays = np.concatenate([middle + rng.uniform(-0.1, 0.1, (64, 2, 9)), np.ones((64, 1, 9))], 1)
    rays = torch.from_numpy(rays).float()
    frame = torch.zeros(64, dtype=torch.int64)
    near = in_windows(outline, frame, rays[:, :2].amin(2), rays[:, :2].amax(2))
    forms = forms_of(*some, compiled=False)
    origin = torch.zeros(64, 3)
    culled = cast(Beams(frame, origin, rays, near), forms)
    plain = cast(Beams(frame, origin, rays, every.expand(64, -1)), forms)
    # What lies between the camera and its outline's plane, a millimetre away, is not drawn.
    far = plain[0] > 2e-3
    assert torch.equal(culled[0][far], plain[0][far])
    assert (~near).any()


def test_a_ray_that_starts_inside_meets_the_far_side():
    poses = np.eye(4)[None].repeat(5, 0)
    half = np.full((5, 3), 2.0)
    rays = torch.tensor([[[0.0], [0.0], [1.0]]])
    for number, kind in enumerate(KINDS):
        only = torch.zeros(1, 5, dtype=torch.bool)
        only[0, number] = True
        start = torch.tensor([[0.0, 0.0, -0.5 if kind != DOME else 0.5]])
        beams = Beams(torch.zeros(1, dtype=torch.int64), start, rays, only)
        forms = forms_of(*placed(poses, half, np.array(KINDS)), compiled=False)
        length, body = cast(beams, forms)
        end = 0.0 if kind == WEDGE else 2.0
        assert length.item() == pytest.approx(end - start[0, 2].item(), abs=1e-5)
        assert body.item() == number


def test_compiled_kernels_answer_the_same_and_are_compiled_once(monkeypatch):
    # Generating and compiling C++ takes minutes; the tracing before it is the real one.
    monkeypatch.setattr(torch, 'compile', partial(torch.compile, backend='eager'))
    kernels.kernel.cache_clear()
    torch._dynamo.reset()
    torch._dynamo.utils.counters.clear()
    spec = SceneSpec(size=(16, 32), instants=2)
    plain, fused = (generate(range(8, 11), spec, compiled=c) for c in (False, True))
    torch.testing.assert_close(plain.depth, fused.depth, equal_nan=True)
    torch.testing.assert_close(plain.flow_forward, fused.flow_forward, equal_nan=True)
    assert (plain.images.int() - fused.images.int()).abs().float().mean() < 0.01
    made = torch._dynamo.utils.counters['stats']['unique_graphs']
    generate(range(40, 44), SceneSpec(size=(32, 48), instants=3, views=2), compiled=True)
    assert torch._dynamo.utils.counters['stats']['unique_graphs'] == made
    kernels.kernel.cache_clear()

"""What light does to images and must not do to the truth: shadows, reflections, blur, exposure."""

from __future__ import annotations

from fourd_perception.geometry.clips import DYNAMIC, STATIC
from fourd_perception.synthetic.generator.bodies import BOX, ELLIPSOID
from fourd_perception.synthetic.generator.render import render, scene_frames
from fourd_perception.synthetic.generator.viewing import Viewing
from fourd_perception.synthetic.scenes import SceneSpec
from plain_scenes import handmade
import torch

SPEC = SceneSpec(size=(96, 128), instants=2)
GROUND = (BOX, (50.0, 50.0, 1.0), (0.0, 0.0, -1.0))


def rendered(scenes, spec=SPEC):
    with torch.no_grad():
        return render(scenes, spec, torch.device('cpu'), compiled=False)


def light(scenes, instant=0):
    """What arrives at the pixels of the first or second image, before any exposure, [H, W]."""
    with torch.no_grad():
        seen = scene_frames(scenes, torch.device('cpu'), compiled=False)
        return Viewing.of(scenes, seen).images(SPEC.size)[0, 0, instant].mean(0)


def change(clips):
    """Change of brightness of every pixel from the first image to the second, [H, W]."""
    first, second = clips.images[0, 0, :2].float().mean(1)
    return second - first


def pixel(clips, place):
    """Row and column of a place of the world in the first image."""
    k, pose = clips.intrinsics[0, 0, 0], clips.world_from_camera[0, 0, 0]
    spot = k @ pose[:3, :3].T @ (torch.tensor(place) - pose[:3, 3])
    return (spot[:2] / spot[2]).round().int().flip(0).tolist()


def test_a_moving_shadow_is_static_although_the_image_changes():
    ball = (ELLIPSOID, (0.4, 0.4, 0.4), (0.0, 0.0, 3.5))
    # The ball itself is above the image; only its shadow drives through.
    clips = rendered(handmade(SPEC, [GROUND, ball], velocity=1.5))
    assert (clips.dynamic == STATIC).all() and (clips.instances == 0).all()
    assert clips.flow_forward[0, 0, 0].abs().max() < 1e-3
    moved = change(clips)
    assert (moved < -10).sum() > 50 and (moved > 10).sum() > 50
    # Without the ball nothing changes.
    assert change(rendered(handmade(SPEC, [GROUND, GROUND]))).abs().max() == 0


def test_shadows_lie_where_the_lamp_puts_them():
    ball = (ELLIPSOID, (0.4, 0.4, 0.4), (0.0, 0.0, 1.0))
    lamp = (4.0, 0.0, 5.0)
    scenes = handmade(SPEC, [GROUND, ball], lamp=lamp)
    with_ball = rendered(scenes)
    darker = light(scenes) < 0.9 * light(handmade(SPEC, [GROUND, GROUND], lamp=lamp))
    # The line from the lamp through the ball's middle meets the ground at x = -1.
    y, x = pixel(with_ball, (-1.0, 0.0, 0.0))
    assert darker[y, x] and with_ball.instances[0, 0, 0, y, x] == 0
    assert not darker[y, 127 - x]


def test_a_smooth_ground_shows_what_moves_above_it_and_stays_ground():
    ball = (ELLIPSOID, (0.5, 0.5, 0.5), (0.0, 0.0, 1.2))
    scenes = [handmade(SPEC, [GROUND, ball], velocity=1.5, mirror=m) for m in (0.0, 0.9)]
    dull, shiny = map(rendered, scenes)
    for name in ('depth', 'flow_forward', 'dynamic', 'instances'):
        assert torch.equal(getattr(dull, name).nan_to_num(0), getattr(shiny, name).nan_to_num(0))
    assert (shiny.dynamic == DYNAMIC).any()
    differ = (light(scenes[0]) - light(scenes[1])).abs() > 0.02
    assert differ[shiny.instances[0, 0, 0] == 0].any()
    # On the ball's rim a pixel holds both.
    assert differ[shiny.instances[0, 0, 0] == 1].float().mean() < 0.2
    # What is reflected seems to be as far below the ground as it is above it.
    empty = light(handmade(SPEC, [GROUND, GROUND], mirror=0.9))
    y, x = pixel(shiny, (-0.75, 0.0, -1.2))
    assert (light(scenes[1]) - empty).abs()[y, x] > 0.02
    assert shiny.instances[0, 0, 0, y, x] == 0


def test_blur_softens_what_moves_and_leaves_the_truth_alone():
    box = (BOX, (0.5, 0.5, 0.5), (0.0, 0.0, 0.5))
    scenes = [handmade(SPEC, [GROUND, box], velocity=2.0, exposure=e) for e in (0.0, 0.5)]
    sharp, blurred = map(rendered, scenes)
    torch.testing.assert_close(sharp.depth, blurred.depth, equal_nan=True)
    torch.testing.assert_close(sharp.flow_forward, blurred.flow_forward, equal_nan=True)
    differ = (light(scenes[0]) - light(scenes[1])).abs() > 0.01
    left, right = (sharp.instances[0, 0, 0] == 1).nonzero()[:, 1].aminmax()
    assert differ[:, : left - 1].any() and differ[:, right + 2 :].any()
    standing = [light(handmade(SPEC, [GROUND, box], exposure=e)) for e in (0.0, 0.5)]
    torch.testing.assert_close(*standing)


def test_four_samples_a_pixel_make_edges_soft():
    box = (BOX, (0.5, 0.5, 0.5), (0.0, 0.0, 0.5))
    scenes = handmade(SPEC, [GROUND, box], lamp=(0.0, 40.0, 40.0))
    scenes.materials.mix[:], scenes.materials.grain[:], scenes.materials.gloss[:] = 0, 0, 0
    scenes.materials.base[:, 0], scenes.materials.base[:, 1] = 0.9, 0.1
    shade, numbers = light(scenes), rendered(scenes).instances[0, 0, 0]
    dark, bright = shade[numbers == 1].median(), shade[numbers == 0].median()
    edge = (numbers[:, 1:] != numbers[:, :-1]).nonzero()
    mixed = torch.cat([shade[y, x : x + 2] for y, x in edge.tolist()])
    between = (mixed > dark + 0.1 * (bright - dark)) & (mixed < bright - 0.1 * (bright - dark))
    assert between.float().mean() > 0.2

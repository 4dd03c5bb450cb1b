"""VGGT4D on clips of any length and content: what the release crashes on is a mask here."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.presets import PRESETS
from fourd_perception.model.untrained import untrained_network
from fourd_perception.motion import clip as clip_module
from fourd_perception.motion.clip import clip_motion, ClipSettings, fuse_depth
from fourd_perception.motion.coarse_mask import (
    cluster_saliency,
    coarse_mask,
    CoarseMask,
    enlarge,
)
from fourd_perception.motion.cues import cue_bands, dynamic_map
from fourd_perception.motion.otsu import histogram, multi_otsu
from fourd_perception.motion.windows import PAPER_OFFSETS
import pytest
import torch

HEIGHT, WIDTH = 42, 56


@pytest.fixture(scope='module')
def network():
    return untrained_network(replace(PRESETS['tiny'], temporal=None, mask=None), 1).eval()


def noise(frames: int, seed: int = 0) -> torch.Tensor:
    size = (frames, 3, HEIGHT, WIDTH)
    return torch.rand(size, generator=torch.Generator().manual_seed(seed))


def check(motion, frames):
    for mask in (motion.mask, motion.coarse.mask):
        assert mask.shape == (frames, HEIGHT, WIDTH)
        assert mask.dtype == torch.bool
    assert motion.depth.isfinite().all()
    assert motion.cameras.world_from_camera.isfinite().all()


@pytest.mark.parametrize('frames', [1, 2, 3, 4, 9])
def test_clips_of_any_length(network, frames):
    """Down to 12 tokens, fewer than the clusters; one frame alone has no cue and no mask."""
    motion = clip_motion(network, noise(frames))
    check(motion, frames)
    if frames == 1:
        assert motion.dynamic.isnan().all()
        assert not motion.mask.any() and not motion.coarse.mask.any()
    else:
        assert motion.dynamic.isfinite().all()


def test_equal_frames_hold_no_motion_that_crashes(network):
    check(clip_motion(network, noise(1).expand(5, -1, -1, -1)), 5)
    check(clip_motion(network, torch.full((5, 3, HEIGHT, WIDTH), 0.5)), 5)


@pytest.mark.parametrize('share', ['nothing', 'everything', 'three pixels'])
@pytest.mark.parametrize('variant', ['released', 'paper', 'robust'])
def test_any_coarse_mask_can_be_refined(network, monkeypatch, share, variant):
    def fixed(dynamic, features, height, width, classes):
        mask = torch.full((len(dynamic), height, width), share == 'everything')
        if share == 'three pixels':  # fewer than the 30 clusters of points
            mask[:, 20, 20:23] = True
        labels = torch.zeros_like(dynamic, dtype=torch.long)
        return CoarseMask(mask, dynamic, labels, 0.5)

    monkeypatch.setattr(clip_module, 'coarse_mask', fixed)
    motion = clip_motion(network, noise(4), settings=ClipSettings(variant))
    check(motion, 4)
    if share == 'nothing':
        assert not motion.mask.any()


def test_several_views_and_missing_cells(network):
    layout = CellLayout((0, 1, 0, 0, 1), (0, 0, 1, 2, 2))
    check(clip_motion(network, noise(5), layout), 5)
    single = CellLayout((0, 1, 2), (0, 0, 0))  # one instant: nothing to compare
    motion = clip_motion(network, noise(3), single)
    check(motion, 3)
    assert not motion.mask.any()


def test_the_options_do_what_they_say(network, monkeypatch):
    images = noise(5)

    def fixed(dynamic, features, height, width, classes):
        mask = torch.zeros(len(dynamic), height, width, dtype=torch.bool)
        mask[:, 10:30, 10:40] = True
        labels = torch.zeros_like(dynamic, dtype=torch.long)
        return CoarseMask(mask, dynamic, labels, 0.5)

    monkeypatch.setattr(clip_module, 'coarse_mask', fixed)
    plain = clip_motion(network, images)
    fused = clip_motion(network, images, settings=ClipSettings(depth_source='fused'))
    assert torch.equal(plain.depth[plain.mask], fused.depth[plain.mask])
    still = ~plain.mask
    assert not torch.allclose(plain.depth[still], fused.depth[still])
    assert (fused.confidence[still] >= plain.confidence[still]).all()
    torch.testing.assert_close(
        plain.cameras.camera_from_world, fused.cameras.camera_from_world, rtol=0, atol=0
    )
    with monkeypatch.context() as patch:  # what the first refinement leaves is what is hidden
        nothing = torch.zeros(5, HEIGHT, WIDTH, dtype=torch.bool)
        patch.setitem(clip_module.REFINE, 'released', lambda clip: nothing)
        refined = clip_motion(network, images, settings=ClipSettings(mask_for_stage2='refined'))
        coarse = clip_motion(network, images)
    unmasked = refined.cameras.camera_from_world
    assert not torch.allclose(unmasked, coarse.cameras.camera_from_world, atol=1e-4)
    near = clip_motion(network, images, settings=ClipSettings(offsets=(-1, 1)))
    assert not torch.allclose(near.dynamic, plain.dynamic)


def test_fused_depth_is_the_inverse_variance_mean_in_the_first_scale():
    depth, trust = torch.full((1, 2, 2), 2.0), torch.full((1, 2, 2), 3.0)
    other = torch.tensor([[[10.0, 10.0], [10.0, 12.0]]])
    dynamic = torch.zeros(1, 2, 2, dtype=torch.bool)
    dynamic[0, 0, 0] = True
    fused, confidence = fuse_depth(depth, trust, other, torch.full((1, 2, 2), 4.0), dynamic)
    assert fused[0, 0, 0] == 2.0 and confidence[0, 0, 0] == 3.0
    assert fused[0, 0, 1] == pytest.approx(2.0)
    assert fused[0, 1, 1] == pytest.approx((9 * 2.0 + 16 * 2.4) / 25)
    assert confidence[0, 1, 1] == 5.0
    everything = torch.ones_like(dynamic)
    assert fuse_depth(depth, trust, other, trust, everything)[0] is depth


def test_tokens_of_a_cluster_share_their_score():
    dynamic = torch.tensor([[[0.0, 1.0], [0.2, 0.6]], [[0.4, 0.0], [1.0, 0.0]]])
    labels = torch.tensor([[[0, 1], [0, 2]], [[2, 0], [1, 0]]])
    means = [0.05, 1.0, 0.5]
    found = cluster_saliency(dynamic, labels)
    for frame, label in zip(found, labels):
        wanted = torch.tensor([means[i] for i in label.flatten()]).view(2, 2)
        wanted = (wanted - wanted.min()) / (wanted.max() - wanted.min() + 1e-6)
        torch.testing.assert_close(frame, wanted)


def test_frames_without_a_cue_have_an_empty_mask_and_leave_the_others_alone():
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(4, 3, 4, 8, generator=generator)
    dynamic = torch.rand(4, 3, 4, generator=generator)
    dynamic[2] = float('nan')
    found = coarse_mask(dynamic, features, HEIGHT, WIDTH, clusters=20)
    assert not found.mask[2].any()
    assert found.saliency[2].isnan().all()
    assert found.mask[[0, 1, 3]].any()
    nothing = coarse_mask(torch.full((4, 3, 4), 0.3), features, HEIGHT, WIDTH)
    assert not nothing.mask.any()


def test_clips_that_cannot_be_read_are_refused_in_plain_words(network):
    images = noise(3)
    images[1, 0, 3, 4] = float('nan')
    with pytest.raises(ValueError, match='1 of 3 images hold pixels .* the first is image 1'):
        clip_motion(network, images)
    config = network.config
    within = replace(config, trunk=replace(config.trunk, spatial_mask='same_time'))
    for unfit in (within, replace(config, camera=None), replace(config, depth=None)):
        with pytest.raises(ValueError, match='camera and depth heads'):
            clip_motion(untrained_network(unfit, 0), noise(3))
    for name in ('variant', 'mask_for_stage2', 'depth_source'):
        with pytest.raises(ValueError, match=f"{name} 'nothing'; use one of"):
            ClipSettings(**{name: 'nothing'})


def test_the_paper_differs_from_the_release_in_all_that_it_writes(network):
    images = noise(8)
    paper = clip_motion(network, images, settings=ClipSettings('paper'))
    released = clip_motion(network, images, settings=ClipSettings(offsets=PAPER_OFFSETS))
    depth = network.config.trunk.depth
    assert cue_bands(24, paper=True).var1 == (17, 18, 19, 20, 21)
    assert cue_bands(depth, paper=True).var1 != cue_bands(depth).var1
    assert not torch.equal(paper.cues.var1, released.cues.var1)
    assert torch.equal(paper.cues.var3, released.cues.var3)
    squared = replace(paper.cues, var1=paper.cues.var1**2, var3=paper.cues.var3**2)
    torch.testing.assert_close(paper.dynamic, dynamic_map(squared))
    two = multi_otsu(histogram(enlarge(paper.coarse.saliency, HEIGHT, WIDTH)), 2)
    assert paper.coarse.threshold == pytest.approx(two[0])
    again = ClipSettings('paper', PAPER_OFFSETS, mask_for_stage2='refined')
    assert torch.equal(paper.mask, clip_motion(network, images, settings=again).mask)
    once = ClipSettings('paper', mask_for_stage2='coarse')
    poses = clip_motion(network, images, settings=once).cameras.world_from_camera
    assert not torch.equal(paper.cameras.world_from_camera, poses)

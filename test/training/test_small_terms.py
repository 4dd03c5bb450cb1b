"""The terms of the loss of `fourd-small` as a whole: what they ask for and whom they reach."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.evaluation.clip_grids import clip_grid
from fourd_perception.geometry.clips import Clips
from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.heads.flow import FlowEstimate
from fourd_perception.model.small.camera import Cameras
from fourd_perception.model.small.config import SmallConfig
from fourd_perception.model.small.decoder import DecodedCells
from fourd_perception.model.small.network import FourdSmall, Identifiers
from fourd_perception.model.small.predictor import SmallPredictor
from fourd_perception.model.untrained import untrained_small
from fourd_perception.training.cells import cells_of
from fourd_perception.training.focus import draw_focus, Focus
from fourd_perception.training.pose_loss import relative_poses
from fourd_perception.training.small_pass import small_pass, SmallPass
from fourd_perception.training.small_terms import small_terms
from fourd_perception.training.sub_grids import layouts
from fourd_perception.training.told import draw_told, identifiers, Told
import numpy as np
from plane_clips import plane_clips
import pytest
from tiny_networks import TINY_SMALL
import torch

FOCUS = Focus((0, 1, 2), ((0, 1), (1, 2)))
TERMS = {
    'depth', 'gradient', 'scale', 'pose', 'field_of_view', 'consistency', 'flow', 'flow_scale',
    'mask',
}  # fmt: skip


def network(config: SmallConfig = TINY_SMALL) -> FourdSmall:
    return untrained_small(config, seed=0).requires_grad_(True).train()


def told_of(clips: Clips) -> Told:
    return draw_told(range(len(clips)), clips.present.shape[1], TINY_SMALL.cameras)


def terms_of(
    net: FourdSmall, clips: Clips, told: Told, focus: Focus = FOCUS, band: int | None = None
) -> dict[str, torch.Tensor]:
    ((layout, _),) = layouts(clips)
    cells = cells_of(clips, layout)
    answer = small_pass(net, cells.images, layout, band, identifiers(told, clips, layout), focus)
    return dict(small_terms(net, answer, cells, told.true_pose))


def with_mover(clips: Clips) -> Clips:
    dynamic = clips.dynamic.clone()
    dynamic[..., 4:12, 4:20] = 1
    return replace(clips, dynamic=dynamic)


def true_answer(net: FourdSmall, clips: Clips, scale: float) -> SmallPass:
    """What a perfect network would answer, in a scale of its own."""
    ((layout, _),) = layouts(clips)
    cells = cells_of(clips, layout)
    plan = net.plan(layout)
    pose = cells.world_from_camera.clone()
    pose[..., :3, 3] *= scale
    count = len(clips)
    start = torch.eye(4).expand(count, 1, 4, 4)
    cameras = Cameras(
        torch.eye(4).expand(count, 3, 4, 4),
        torch.cat([start, relative_poses(pose[:, :-1], pose[:, 1:])], dim=1),
        torch.ones(count, 3, 2),
    )
    chosen = list(FOCUS.cells)
    log_depth = (scale * cells.depth[:, chosen]).log()
    features = torch.zeros(count, 3, TINY_SMALL.decoder[1], 8, 12)
    decoded = DecodedCells(log_depth, torch.full_like(log_depth, -4.0), features)
    flows = []
    for flow, side in ((cells.flow_forward, [0, 1]), (cells.flow_backward, [1, 2])):
        known = flow[:, side].flatten(0, 1)
        flows.append(FlowEstimate(known, torch.full_like(known[:, :1], -4.0), ()))
    told = Identifiers(cells.intrinsics)
    return SmallPass(
        plan, FOCUS, told, cameras, pose, cells.intrinsics, decoded, (flows[0], flows[1])
    )


@pytest.mark.parametrize('scale', [1.0, 0.2])
def test_the_truth_in_any_scale_is_the_best_answer(scale):
    clips, net = plane_clips(), network()
    ((layout, _),) = layouts(clips)
    terms = small_terms(
        net, true_answer(net, clips, scale), cells_of(clips, layout), torch.zeros(2).bool()
    )
    assert set(terms) == TERMS
    for name in ('gradient', 'pose', 'field_of_view'):
        assert terms[name].abs().max() < 1e-4, name
    assert terms['consistency'].max() < 2e-3
    assert terms['flow'].tolist() == pytest.approx([0.1, 0.1], abs=1e-3)  # .01 under the root
    assert terms['depth'].max() < -3
    # The network's unit would be the mean depth.
    unit = clips.depth.log().flatten(1).mean(1)
    expected = (unit + torch.tensor(scale).log()).abs()
    assert terms['scale'].tolist() == pytest.approx(expected.tolist(), abs=1e-4)


def test_autocast_takes_no_digit_from_truth_and_losses():
    clips, net = plane_clips(), network()
    ((layout, _),) = layouts(clips)
    answer, cells, own = true_answer(net, clips, 0.5), cells_of(clips, layout), torch.zeros(2)
    exact = small_terms(net, answer, cells, own.bool())
    with torch.autocast('cpu', torch.bfloat16):
        found = small_terms(net, answer, cells, own.bool())
    assert all(torch.equal(found[name], exact[name]) for name in TERMS - {'mask'})
    # Of the mask only the head itself runs in bfloat16.
    assert torch.allclose(found['mask'], exact['mask'], atol=0.02)


def test_the_sky_agrees_with_any_depth_and_clips_without_depth_are_asked_everywhere():
    clips, net = plane_clips(), network()
    ((layout, _),) = layouts(clips)
    depth = clips.depth.clone()
    depth[0, ..., :12, :] = torch.nan
    depth[1] = torch.nan
    truth, said = replace(clips, depth=depth), true_answer(net, clips, 1.0)
    bent = said.decoded.log_depth.clone()
    bent[:, 0, :4] += 1.0
    told = torch.zeros(2).bool()
    exact, found = (
        small_terms(net, answer, cells_of(truth, layout), told)['consistency']
        for answer in (said, replace(said, decoded=replace(said.decoded, log_depth=bent)))
    )
    assert found[0] - exact[0] < 0.1 * (found[1] - exact[1])


def test_scale_and_world_of_the_truth_do_not_matter():
    clips, net = with_mover(plane_clips()), network()
    told = told_of(clips)
    here = terms_of(net, clips, told)
    moved = plane_clips(batch=1, instants=1, seed=5).world_from_camera[0, 0, 0]
    elsewhere = moved @ clips.world_from_camera
    elsewhere[..., :3, 3] *= 4
    there = terms_of(net, replace(clips, depth=4 * clips.depth, world_from_camera=elsewhere), told)
    for name in TERMS:
        assert torch.allclose(here[name], there[name], atol=2e-4, rtol=1e-3), name


def test_a_clip_s_terms_do_not_depend_on_the_clips_beside_it():
    clips, net = with_mover(plane_clips(batch=3, views=2)), network()
    told, focus = told_of(clips), Focus((0, 2, 3), ((0, 1),))
    together = terms_of(net, clips, told, focus)
    for i in range(3):
        one = torch.tensor([i])
        alone = terms_of(net, clips[one], told[one], focus)
        for name in TERMS:
            assert torch.allclose(together[name][one], alone[name], atol=1e-4), name


REACHED = {
    'depth': {'stem', 'encoder', 'trunk', 'decoder', 'depth'},
    'gradient': {'stem', 'encoder', 'trunk', 'decoder', 'depth'},
    'scale': {'stem', 'encoder', 'trunk', 'decoder', 'depth'},
    'pose': {'stem', 'encoder', 'trunk', 'camera'},
    'field_of_view': {'stem', 'encoder', 'trunk', 'camera'},
    'consistency': {'stem', 'encoder', 'trunk', 'decoder', 'depth', 'camera'},
    'flow': {'flow'},
    'flow_scale': {'flow'},
    'mask': {'stem', 'encoder', 'trunk', 'decoder', 'mask'},
}


def parts_of(net: FourdSmall) -> dict[str, torch.nn.Module]:
    assert net.flow_module is not None
    return {
        'stem': net.stem,
        'encoder': net.encoder_blocks,
        'trunk': net.global_blocks,
        'decoder': net.decoder.refine_quarter,
        'depth': net.decoder.output,
        'camera': net.camera_head,
        'flow': net.flow_module,
        'mask': net.mask_head,
    }


@pytest.mark.parametrize('term', sorted(REACHED))
def test_every_term_reaches_what_it_should_and_nothing_else(term):
    clips, net = with_mover(plane_clips()), network()
    told = told_of(clips)
    told = replace(told, rays=torch.zeros(2).bool())
    terms_of(net, clips, told)[term].sum().backward()
    reached = {
        name
        for name, part in parts_of(net).items()
        if any(p.grad is not None and p.grad.any() for p in part.parameters())
    }
    assert reached == REACHED[term]


def test_unknown_truth_says_nothing_and_leaves_finite_gradients():
    clips, net = with_mover(plane_clips()), network()
    unknown = plane_clips()
    for name in ('depth', 'flow_forward', 'flow_backward', 'world_from_camera'):
        getattr(unknown, name)[0] = torch.nan
    unknown.intrinsics[0] = torch.nan
    unknown.dynamic[0] = 255
    terms = terms_of(net, unknown, told_of(clips))
    for name, term in terms.items():
        assert term[0] == 0 and term.isfinite().all(), name
    torch.stack(list(terms.values())).sum().backward()
    assert all(p.grad.isfinite().all() for p in net.parameters() if p.grad is not None)


def test_banded_clips_and_networks_without_flow_are_served():
    clips = plane_clips(batch=1, instants=6)
    told = told_of(clips)
    banded = terms_of(network(), clips, told, Focus((3, 4, 5), ((0, 1), (1, 2))), band=2)
    assert all(term.isfinite().all() for term in banded.values())
    still = terms_of(network(replace(TINY_SMALL, flow=None)), clips, told)
    assert still['flow'] == still['mask'] == 0 and still['depth'] != 0


def test_the_mask_head_sees_the_true_motion_where_it_is_told_to():
    clips, net = with_mover(plane_clips()), network()
    told = told_of(clips)
    masks = [
        terms_of(net, clips, replace(told, true_pose=torch.tensor(true)))['mask']
        for true in ([False, False], [True, False])
    ]
    assert masks[0][0] != masks[1][0] and masks[0][1] == masks[1][1]


def test_masks_are_trained_as_the_predictor_makes_them(monkeypatch):
    clips, net = plane_clips(batch=1), network().eval()
    ((layout, _),) = layouts(clips)
    seconds = clips.seconds[:, 0] - clips.seconds[:, 0, :1]
    told = Identifiers(clips.intrinsics[:, 0], net.camera_identities(layout), seconds)
    cells, found = cells_of(clips, layout), []
    forward = net.mask_head.forward
    monkeypatch.setattr(
        net.mask_head, 'forward', lambda *given: found.append(forward(*given)) or found[-1]
    )
    with torch.no_grad():
        answer = small_pass(net, cells.images, layout, None, told, FOCUS)
        small_terms(net, answer, cells, torch.tensor([False]))
    predicted = SmallPredictor(net, 'test', '', precision='fp32').predict(clip_grid(clips))
    assert predicted.mask_logits is not None and found[0].std() > 0
    assert torch.allclose(found[0], predicted.mask_logits[0], atol=1e-4)


@pytest.mark.parametrize('scale', [1.0, 0.2])
def test_true_motion_is_shown_in_the_scale_of_the_network(scale):
    clips, net = plane_clips(), network()
    ((layout, _),) = layouts(clips)
    answer, cells = true_answer(net, clips, scale), cells_of(clips, layout)
    own = small_terms(net, answer, cells, torch.tensor([False, False]))
    true = small_terms(net, answer, cells, torch.tensor([True, True]))
    assert torch.allclose(own['mask'], true['mask'], atol=1e-5)


def test_focus_prefers_rows_and_never_repeats_a_cell():
    layout = CellLayout((0, 1, 0, 1, 0, 0), (0, 0, 1, 1, 2, 4))
    for seed in range(50):
        focus = draw_focus(layout, 4, np.random.default_rng(seed))
        assert len(set(focus.cells)) == len(focus.cells) == 4 and len(focus.pairs) == 2
        for older, newer in focus.pairs:
            a, b = focus.cells[older], focus.cells[newer]
            assert layout.view_id[a] == layout.view_id[b]
            assert layout.time_id[b] == layout.time_id[a] + 1
    alone = draw_focus(CellLayout((0, 1), (0, 0)), 4, np.random.default_rng(0))
    assert set(alone.cells) == {0, 1} and not alone.pairs


def test_what_is_told_belongs_to_the_sample():
    seeds = range(2**31, 2**31 + 400)
    told = draw_told(seeds, 3, 16)
    again = draw_told(seeds[7:9], 3, 16)
    assert torch.equal(again.rays, told.rays[7:9])
    assert torch.equal(again.identities, told.identities[7:9])
    assert told.rays.float().mean().item() == pytest.approx(0.7, abs=0.08)
    assert told.times.float().mean().item() == pytest.approx(0.5, abs=0.08)
    known = told.identities[:, 0] >= 0
    assert known.float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert all(len(set(row)) == 3 for row in told.identities[known].tolist())
    assert set(told.identities[known].flatten().tolist()) == set(range(16))
    assert (told.identities[~known] == -1).all()

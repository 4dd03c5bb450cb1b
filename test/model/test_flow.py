"""The flow module: conventions, both ways, lookups against the plain volume, learning."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.heads.flow import FlowConfig, FlowModule, occluded
from fourd_perception.model.heads.flow_correlation import Correlation, fixed_descriptor
from fourd_perception.model.heads.flow_pyramid import pyramid_flow
from fourd_perception.synthetic.layered_pairs import layered_pairs
from fourd_perception.synthetic.texture_tiles import texture_tiles
import pytest
import torch
from torch.nn import functional as F

SMALL = FlowConfig(radius=2, updates=2, width=16, fine_width=(8, 8))


def module(config: FlowConfig = SMALL, seed: int = 0) -> FlowModule:
    """A module with every weight random: its first guesses are not zero."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made = FlowModule(config)
        for parameter in made.parameters():
            if parameter.ndim > 1:
                torch.nn.init.normal_(parameter, std=0.3 / parameter[0].numel() ** 0.5)
    return made.eval()


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def plain_windows(first, second, points, levels, radius):
    """All-pairs products, averaged over second cells, read one by one."""
    volume = torch.einsum('bchw,bcyx->bhwyx', first, second)
    batch, height, width = volume.shape[:3]
    windows = []
    for level in range(levels):
        size = volume.shape[3:]
        maps = volume.reshape(batch, height * width, *size)
        pooled = F.avg_pool2d(maps, 2**level)
        rows, columns = pooled.shape[2:]
        centre = (points + 0.5) / 2**level - 0.5
        reach = torch.arange(-radius, radius + 1, dtype=torch.float32)
        y, x = torch.meshgrid(reach, reach, indexing='ij')
        x, y = centre[..., 0, None, None] + x, centre[..., 1, None, None] + y
        grid = torch.stack([(2 * x + 1) / columns - 1, (2 * y + 1) / rows - 1], dim=-1)
        window = F.grid_sample(
            pooled.flatten(0, 1)[:, None], grid.flatten(0, 1), align_corners=False
        )
        window = window.view(batch, -1, *window.shape[2:])
        whole = centre.floor()
        near = (whole >= -1) & (whole <= torch.tensor([columns, rows]) - 1)
        windows.append(window * near.all(-1)[..., None, None])
    return windows


@pytest.mark.parametrize('stored', [True, False])
@pytest.mark.parametrize('size', [(8, 12), (13, 9)])
def test_lookups_equal_the_plain_all_pairs_volume(stored, size):
    levels, radius = 3, 4
    first, second = images(2, 2, 6, *size).sub(0.5).unbind(0)
    count = size[0] * size[1]
    # Also far outside the map, and exactly on cells.
    points = images(2, count, 2, seed=1) * 24 - 6
    points[:, ::3] = points[:, ::3].round()
    first, second = first.requires_grad_(), second.requires_grad_()
    fast = Correlation(first, second, levels, radius, stored).lookup(points)
    plain = plain_windows(first, second, points, levels, radius)
    weights = [images(*w.shape, seed=i) for i, w in enumerate(plain)]
    for one, other in zip(fast, plain):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=2e-6)
    grads = [
        torch.autograd.grad(sum((w * k).sum() for w, k in zip(ws, weights)), (first, second))
        for ws in (fast, plain)
    ]
    for one, other in zip(*grads):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert all((w != 0).float().mean() > 0.05 for w in plain)


def test_the_descriptor_knows_neither_brightness_nor_contrast():
    image = F.interpolate(images(2, 3, 12, 16), size=(48, 64), mode='bilinear')
    descriptor = fixed_descriptor(image)
    assert descriptor.shape == (2, 147, 12, 16)
    assert (descriptor.norm(dim=1) - 1).abs().max() < 0.1
    changed = fixed_descriptor(0.6 * image + torch.tensor([0.1, 0.2, 0.3]).view(3, 1, 1))
    assert ((descriptor * changed).sum(1) > 0.95).all()
    assert fixed_descriptor(torch.full((1, 3, 32, 32), 0.4)).abs().max() < 1e-3


def test_size_of_the_module_and_of_what_it_answers():
    count = sum(p.numel() for p in FlowModule(FlowConfig()).parameters())
    assert 1_000_000 <= count <= 2_000_000
    first, second = images(2, 2, 3, 50, 70).unbind(0)
    with torch.no_grad():
        forward, backward = module()(first, second)
    for estimate in (forward, backward):
        assert estimate.flow.shape == (2, 2, 50, 70) and estimate.flow.dtype == torch.float32
        assert estimate.log_scale.shape == (2, 1, 50, 70)
        # Two updates at 1/4, one at 1/2, one at full size.
        assert [c.shape for c in estimate.coarse] == [(2, 2, 50, 70)] * 3
        assert estimate.flow.isfinite().all() and estimate.log_scale.isfinite().all()
        assert occluded(estimate.flow, -estimate.flow).shape == (2, 1, 50, 70)


def test_sizes_between_are_filled_up_with_the_border():
    first, second = images(2, 2, 3, 50, 70).unbind(0)
    filled = [F.pad(x, (0, 10, 0, 14), mode='replicate') for x in (first, second)]
    with torch.no_grad():
        forward, backward = module()(first, second)
        whole = module()(*filled)
    for estimate, other in zip((forward, backward), whole):
        for name in ('flow', 'log_scale'):
            cut = getattr(other, name)[..., :50, :70]
            torch.testing.assert_close(getattr(estimate, name), cut, rtol=1e-4, atol=1e-4)
        for update, full in zip(estimate.coarse, other.coarse, strict=True):
            torch.testing.assert_close(update, full[..., :50, :70], rtol=1e-4, atol=1e-4)


def test_swapped_images_give_swapped_flows_and_pairs_do_not_mix():
    first, second = images(2, 3, 3, 48, 64).unbind(0)
    with torch.no_grad():
        forward, backward = module()(first, second)
        swapped_forward, swapped_backward = module()(second, first)
        alone = module()(first[1:2], second[1:2])[0]
    assert forward.flow.std() > 0.01
    for one, other in (
        (forward.flow, swapped_backward.flow),
        (backward.flow, swapped_forward.flow),
        (forward.log_scale, swapped_backward.log_scale),
        (forward.flow[1:2], alone.flow),
    ):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


class Number(torch.nn.Module):
    """Instead of a log-scale the place of each image in the batch."""

    def forward(self, state: torch.Tensor) -> torch.Tensor:
        """[2 B, 1, H, W] of states [2 B, width, H, W]."""
        return torch.arange(len(state)).view(-1, 1, 1, 1).expand(-1, 1, *state.shape[2:])


def test_each_way_has_the_log_scale_of_its_own_image():
    made = module()
    made.log_scale = Number()
    with torch.no_grad():
        forward, backward = made(*images(2, 2, 3, 32, 48).unbind(0))
    assert forward.log_scale.amax((1, 2, 3)).tolist() == [0, 1]
    assert backward.log_scale.amin((1, 2, 3)).tolist() == [2, 3]


def test_an_update_is_judged_by_its_own_step_and_what_refines_it():
    made, flows = module(), []
    made.update.register_forward_hook(lambda _module, _given, found: flows.append(found[1]))
    forward, _ = made(*images(2, 1, 3, 32, 48).unbind(0))
    (before,) = torch.autograd.grad(flows[1].sum(), flows[0], retain_graph=True, allow_unused=True)
    assert before is None
    (after,) = torch.autograd.grad(forward.flow.sum(), flows[1])
    assert after[:1].abs().mean() > 0.1 and not after[1:].any()


def test_the_surroundings_have_a_say():
    made, (first, second) = module(), images(2, 1, 3, 32, 48).unbind(0)
    with torch.no_grad():
        before = made(first, second)[0].flow
        made.context.weight.neg_()
        assert not torch.allclose(made(first, second)[0].flow, before, atol=1e-2)


def test_stored_volume_and_products_on_demand_give_one_flow():
    first, second = images(2, 1, 3, 64, 80).unbind(0)
    with torch.no_grad():
        one, other = (module()(first, second, stored=stored)[0] for stored in (True, False))
    torch.testing.assert_close(one.flow, other.flow, rtol=1e-4, atol=1e-4)


def test_tokens_are_context_that_may_be_absent():
    config = FlowConfig(radius=2, updates=2, width=16, fine_width=(8, 8), token_dim=24)
    first, second = images(2, 8, 3, 32, 48).unbind(0)
    tokens = images(2, 8, 24, 2, 3, seed=1).unbind(0)
    fresh = FlowModule(config).eval()
    aware = module(config)
    with torch.no_grad():
        # Untouched weights make tokens change nothing; trained ones may.
        assert torch.equal(fresh(first, second)[0].flow, fresh(first, second, *tokens)[0].flow)
        without, given = aware(first, second)[0].flow, aware(first, second, *tokens)[0].flow
        assert not torch.allclose(without, given)
        aware.train()
        trained = torch.cat([aware(first, second, *tokens)[0].flow for _ in range(4)])
    dropped = [
        torch.allclose(t, w, atol=1e-4) for t, w in zip(trained, without.repeat(4, 1, 1, 1))
    ]
    kept = [torch.allclose(t, g, atol=1e-4) for t, g in zip(trained, given.repeat(4, 1, 1, 1))]
    assert all(d != k for d, k in zip(dropped, kept))
    assert 6 <= sum(dropped) <= 26  # of 32, half in the mean


@pytest.mark.parametrize('levels', [(0, 2), (2, 0)])
def test_either_correlation_can_be_left_out(levels):
    """The one that is left is read as before: nothing else changes what is looked up."""
    made = module(replace(SMALL, levels=levels))
    first, second = images(1, 3, 32, 48), images(1, 3, 32, 48, seed=1)
    with torch.no_grad():
        there, back = made(first, second)
        swapped, _ = made(second, first)
    assert there.flow.isfinite().all() and torch.allclose(back.flow, swapped.flow, atol=1e-4)
    assert len(made.update.peaks.units) == 2
    with pytest.raises(ValueError, match='at least 1'):
        FlowModule(replace(SMALL, levels=(0, 0)))


def test_bad_input_is_named():
    made = module()
    image = images(1, 3, 32, 32)
    with pytest.raises(ValueError, match='no pairs'):
        made(image, images(1, 3, 32, 36))
    with pytest.raises(ValueError, match='at least 16 px'):
        made(image[..., :12], image[..., :12])
    with pytest.raises(ValueError, match='both images'):
        made(image, image, images(1, 4, 2, 2))
    with pytest.raises(ValueError, match='token_dim'):
        made(image, image, images(1, 4, 2, 2), images(1, 4, 2, 2))
    with pytest.raises(ValueError, match='float64'):
        made(image, image.double())


def shifted_pair() -> tuple[torch.Tensor, torch.Tensor]:
    """Two images [1, 3, 72, 96]; what the first shows lies 8 px right and 4 up in the second."""
    image = F.interpolate(images(1, 3, 24, 32), scale_factor=4, mode='bicubic').clamp(0, 1)
    return image[..., :72, 8:104], image[..., 4:76, :96]


def test_updates_begin_at_the_first_flow():
    first, second = images(2, 2, 3, 48, 64).unbind(0)
    made = module()
    with torch.no_grad():
        made.update.step.weight.zero_()
        made.update.step.bias.zero_()
        made.update.step.bias[made.update.answers[0] - 1] = 100.0  # believe in no step
        forward, backward = made(first, second)
    start = 4 * pyramid_flow(torch.cat([first, second]))
    assert start.norm(dim=1).mean() > 0.5
    start = F.interpolate(start, scale_factor=4, mode='bilinear', align_corners=False)
    torch.testing.assert_close(torch.cat([forward.coarse[0], backward.coarse[0]]), start)


def test_every_finer_size_comes_closer():
    y, x = torch.meshgrid(torch.arange(96.0), torch.arange(128.0), indexing='ij')

    def waves(u: float, v: float) -> torch.Tensor:
        a, b = 0.5 * (x - u) + 0.1 * (y - v), 0.2 * (x - u) - 0.6 * (y - v)
        return 0.5 + 0.2 * torch.stack([(a + c).sin() + (b - c).sin() for c in range(3)])[None]

    torch.manual_seed(0)
    with torch.no_grad():
        forward, _ = FlowModule(FlowConfig()).eval()(waves(0, 0), waves(1.5, -0.75))
    truth = torch.tensor([1.5, -0.75]).view(1, 2, 1, 1)
    quarter, half, full = (
        (flow - truth)[..., 12:-12, 12:-12].norm(dim=1).mean()
        for flow in (*forward.coarse[-2:], forward.flow)
    )
    assert half < 0.5 * quarter and full < 0.5 * half


def test_untrained_it_finds_a_shift_and_rest():
    first, second = shifted_pair()
    torch.manual_seed(0)
    made = FlowModule(FlowConfig()).eval()
    with torch.no_grad():
        forward, backward = made(first, second)
        still = made(first, first)[0]
    truth = torch.tensor([8.0, -4.0]).view(2, 1, 1)
    inner = (0, slice(None), slice(16, -16), slice(16, -16))
    assert (forward.flow[inner] - truth).norm(dim=0).mean() < 0.2
    assert (backward.flow[inner] + truth).norm(dim=0).mean() < 0.2
    assert still.flow.norm(dim=1).max() < 0.05


@pytest.mark.parametrize(('length', 'limit'), [(0.0, 0.78), (10.0, 2.74)])
def test_flows_may_disagree_by_a_share_of_their_length_and_by_less_than_a_pixel(length, limit):
    flow = torch.tensor([length, 0.0]).view(1, 2, 1, 1).expand(1, 2, 12, 40)
    for off, hidden in ((0.9 * limit, False), (1.1 * limit, True)):
        back = -flow + torch.tensor([0.0, off]).view(1, 2, 1, 1)
        assert (occluded(flow, back)[..., :28] == hidden).all()


def test_exact_flows_disagree_where_surfaces_hide():
    pairs = layered_pairs(range(24), (96, 128), texture_tiles(8, 0), photographs=False)
    for way in (0, 1):
        found = occluded(pairs.flow[way], pairs.flow[1 - way])
        truth = pairs.occluded[way]
        assert (found & truth).sum() / (found | truth).sum() > 0.8


@pytest.mark.parametrize('stored', [True, False])
def test_compiles_as_one_graph(stored):
    first, second = images(2, 1, 3, 32, 48).unbind(0)
    made = module()
    compiled = torch.compile(made, backend='eager', fullgraph=True)
    with torch.no_grad():
        expected = made(first, second, stored=stored)[0]
        got = compiled(first, second, stored=stored)[0]
    torch.testing.assert_close(got.flow, expected.flow, rtol=1e-4, atol=1e-4)

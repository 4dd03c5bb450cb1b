"""fourd-small on a grid: missing cells, gauges, caches, calibration, stamps, gradients."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.heads.residual_motion import OtherFrame
from fourd_perception.model.small.attention import Reading
from fourd_perception.model.small.camera import compose, inverse, used_intrinsics
from fourd_perception.model.small.config import SMALL_PRESETS
from fourd_perception.model.small.network import FourdSmall, Identifiers
from fourd_perception.model.small.rays import patch_points, ray_directions
from fourd_perception.model.small.time_bias import PERIODS, time_waves, TimeBias
import pytest
from small_grids import clip, error, HEIGHT, layout, network, picked, read, WIDTH, zero_parameters
import torch
import torch.nn.functional as F


def test_ships_in_under_40_mb() -> None:
    with torch.device('meta'):
        model = FourdSmall(SMALL_PRESETS['fourd-small'])
    count = sum(parameter.numel() for parameter in model.parameters())
    assert count == 17_703_172  # 1,330,376 of them the flow module's
    assert 2 * count < 40e6


@pytest.mark.parametrize('band', [None, 2])
def test_cells_keep_their_outputs_when_others_go_missing_by_name_only(band: int | None) -> None:
    """A grid with holes equals the grid that never had those views, instants or cells."""
    model = network()
    # View 2 and instant 1 are empty throughout; beside them single cells are missing.
    holes = layout(4, 4, ((2, 0), (2, 1), (2, 2), (2, 3), (0, 1), (1, 1), (3, 1), (0, 2)))
    views, times = {0: 0, 1: 1, 3: 2}, {0: 0, 2: 1, 3: 2}
    dense = CellLayout(
        tuple(views[v] for v in holes.view_id), tuple(times[t] for t in holes.time_id)
    )
    images, identifiers = clip(holes)
    with torch.no_grad():
        features, cameras = read(model, holes, images, identifiers, band)
        expected, expected_cameras = read(model, dense, images, identifiers, band)
    assert error(features, expected) == 0
    assert error(cameras, expected_cameras) == 0


def test_order_of_cells_does_not_matter() -> None:
    model = network()
    cells = layout(3, 3, ((1, 1),))
    images, identifiers = clip(cells)
    order = torch.randperm(len(cells), generator=torch.Generator().manual_seed(0)).tolist()
    mixed = CellLayout(
        tuple(cells.view_id[i] for i in order), tuple(cells.time_id[i] for i in order)
    )
    with torch.no_grad():
        features, cameras = read(model, cells, images, identifiers)
        others, other_cameras = read(model, mixed, images[:, order], picked(identifiers, order))
    assert error(others.patches, features.patches[:, order]) < 1e-5
    assert error(other_cameras.leader_from_camera, cameras.leader_from_camera[:, order]) < 1e-5
    assert error(other_cameras.previous_from_leader, cameras.previous_from_leader) < 1e-5


def test_another_reference_cell_changes_the_gauge_only() -> None:
    model = network()
    cells = layout(3, 3, ((0, 1),))
    images, identifiers = clip(cells)
    with torch.no_grad():
        _, cameras = read(model, cells, images, identifiers)
        plan = model.plan(cells)
        worlds = [compose(cameras, plan, i) for i in (None, *range(len(cells)))]
    for reference, world in enumerate(worlds[1:]):
        assert (world[:, reference] - torch.eye(4)).abs().max() < 1e-5
        gauge = world @ inverse(worlds[0])  # One rigid transform for all cells.
        assert (gauge - gauge[:, :1]).abs().max() < 1e-4
        assert (gauge[:, 0, :3, :3] @ gauge[:, 0, :3, :3].mT - torch.eye(3)).abs().max() < 1e-5


def test_composed_poses_hold_the_relative_ones() -> None:
    """Leaders are the first present views; motion leads from a leader to the one before."""
    model = network()
    cells = layout(2, 3, ((0, 1),))
    assert cells.view_id == (0, 1, 1, 0, 1)
    images, identifiers = clip(cells)
    with torch.no_grad():
        _, cameras = read(model, cells, images, identifiers)
        world = compose(cameras, model.plan(cells), 3)
    leaders = [0, 2, 3]
    for t in (1, 2):
        motion = inverse(world[:, leaders[t - 1]]) @ world[:, leaders[t]]
        torch.testing.assert_close(
            motion, cameras.previous_from_leader[:, t], atol=1e-5, rtol=1e-4
        )
    for cell, leader in ((1, 0), (4, 3)):
        within = inverse(world[:, leader]) @ world[:, cell]
        torch.testing.assert_close(
            within, cameras.leader_from_camera[:, cell], atol=1e-5, rtol=1e-4
        )


def test_cached_features_and_newest_cells_give_the_full_run() -> None:
    model = network()
    cells = layout(2, 3)
    images, identifiers = clip(cells)
    tables, plan, newest = model.tables(HEIGHT, WIDTH), model.plan(cells), slice(-2, None)
    with torch.no_grad():
        full = model.encode(images, tables)
        features = model.trunk(full.tokens, plan, tables, identifiers)
        everything = model.decode(features, full)
        # Old frames come from a cache that was filled one frame at a time.
        tokens = [model.encode(images[:, i : i + 1], tables).tokens for i in range(4)]
        new = model.encode(images[:, newest], tables)
        cached = model.trunk(torch.cat([*tokens, new.tokens], 1), plan, tables, identifiers)
        decoded = model.decode(cached, new, newest)
    assert error(cached, features) < 1e-6
    for name, value in vars(decoded).items():
        assert error(value, getattr(everything, name)[:, newest]) < 1e-6, name


def test_unknown_calibration_stamps_and_cameras_have_their_own_meaning() -> None:
    model = network()
    cells = layout(2, 2)
    images, identifiers = clip(cells)
    unknown = Identifiers(torch.full_like(identifiers.intrinsics, torch.nan))
    flagged = Identifiers(
        unknown.intrinsics,
        torch.full((1, 4), -1),
        torch.full((1, 4), torch.nan, dtype=torch.float64),
    )
    with torch.no_grad():
        base, _ = read(model, cells, images, identifiers)
        nothing, _ = read(model, cells, images, unknown)
        same, _ = read(model, cells, images, flagged)
        assert error(same, nothing) == 0
        assert nothing.patches.isfinite().all()
        for change in ('intrinsics', 'cameras', 'seconds'):
            told = replace(identifiers, **{change: getattr(flagged, change)})
            assert error(read(model, cells, images, told)[0], base) > 1e-4, change


def test_a_network_told_nothing_new_yet_ignores_calibration() -> None:
    """The rays start at zero: a fresh network answers alike with and without intrinsics."""
    torch.manual_seed(0)
    model = FourdSmall(network().config).eval()
    cells = layout(2, 2)
    images, identifiers = clip(cells)
    with torch.no_grad():
        base, _ = read(model, cells, images, identifiers)
        blind = replace(identifiers, intrinsics=torch.full((1, 4, 3, 3), torch.nan))
        assert error(read(model, cells, images, blind)[0], base) == 0


def test_rays_point_where_the_camera_looks() -> None:
    pixels = patch_points(2, 3, 'cpu')
    k = torch.tensor([[50.0, 0, 20], [0, 40, 10], [0, 0, 1]])
    rays = ray_directions(k, pixels)
    assert rays.shape == (6, 5, 2)
    # Patch (row 1, column 2) spans pixels 31.5 .. 47.5 and 15.5 .. 31.5.
    assert pixels[5].tolist() == [
        [39.5, 23.5], [31.5, 15.5], [47.5, 15.5], [31.5, 31.5], [47.5, 31.5]
    ]  # fmt: skip
    points = torch.cat([rays, torch.ones(6, 5, 1)], -1) @ k.T
    torch.testing.assert_close(points[..., :2], pixels)


def test_own_field_of_view_stands_in_for_unknown_intrinsics() -> None:
    given = torch.full((1, 2, 3, 3), torch.nan)
    given[:, 1] = torch.tensor([[50.0, 0, 20], [0, 40, 10], [0, 0, 1]])
    field = torch.tensor([[[torch.pi / 3, torch.pi / 2]] * 2])
    used = used_intrinsics(given, field, 32, 48)
    assert used[0, 1].equal(given[0, 1])
    # Half the image seen under half the field, from the middle.
    torch.testing.assert_close(used[0, 0, 0, 0], torch.tensor(24.0))
    torch.testing.assert_close(used[0, 0, 1, 1], torch.tensor(16 * 3**0.5))
    assert used[0, 0, :2, 2].tolist() == [23.5, 15.5]


def test_time_bias_equals_the_plain_matrix() -> None:
    torch.manual_seed(0)
    bias = TimeBias(3)
    torch.nn.init.normal_(bias.weight)
    # Hours into a recording, unevenly; differences are what counts.
    seconds = 9000.0 + torch.rand(2, 6, dtype=torch.float64) * 3
    queries, keys = bias.queries_keys(time_waves(seconds))
    difference = seconds[:, None, :, None] - seconds[:, None, None, :]  # query minus key
    plain = torch.zeros(2, 3, 6, 6, dtype=torch.float64)
    for i, period in enumerate(PERIODS):
        angle = 2 * torch.pi / period * difference
        a, b = bias.weight.double()[:, :, i, None, None].unbind(1)
        plain += a * angle.cos() + b * angle.sin()
    torch.testing.assert_close((queries @ keys.mT).double(), plain, atol=1e-5, rtol=1e-5)


def test_attention_with_the_bias_inside_equals_masked_attention() -> None:
    model = network()
    block = model.global_blocks[0].attn
    cells = layout(2, 2)
    _, identifiers = clip(cells)
    x = torch.randn(1, 4, 5, model.config.dim)
    reading_waves = time_waves(identifiers.seconds)
    with torch.no_grad():
        fast = block(x, None, Reading(model.plan(cells), reading_waves))
        q, k, v = block.queries_keys_values(x.flatten(1, 2), None)
        queries, keys = block.time_bias.queries_keys(reading_waves)
        mask = (queries @ keys.mT).repeat_interleave(5, -1).repeat_interleave(5, -2)
        slow = block.merge(F.scaled_dot_product_attention(q, k, v, attn_mask=mask)).view_as(x)
    assert mask.std() > 0.1
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=1e-5)


def whole_loss(model: FourdSmall) -> torch.Tensor:
    """Random weights on every output there is, for two clips of 2 x 3 cells."""
    cells = layout(2, 3)
    images, identifiers = clip(cells, batch=2)
    identifiers = replace(identifiers, cameras=identifiers.cameras.clone())
    identifiers.cameras[1] = -1
    tables, plan = model.tables(HEIGHT, WIDTH), model.plan(cells)
    frames = model.encode(images, tables)
    features = model.trunk(frames.tokens, plan, tables, identifiers)
    cameras = model.cameras(features, plan, identifiers)
    decoded = model.decode(features, frames)
    world = compose(cameras, plan, 2)
    used = used_intrinsics(identifiers.intrinsics, cameras.field_of_view, HEIGHT, WIDTH)
    depth = decoded.log_depth.exp()
    other = OtherFrame(
        torch.randn(4, 2, HEIGHT, WIDTH),
        torch.zeros(4, 1, HEIGHT, WIDTH),
        torch.zeros(4, 1, HEIGHT, WIDTH, dtype=torch.bool),
        depth[:, 2:4].flatten(0, 1),
        used[:, 2:4].flatten(0, 1),
        (inverse(world[:, 2:4]) @ world[:, :2]).flatten(0, 1),
    )
    mask = model.mask_head(
        decoded.features[:, :2].flatten(0, 1),
        depth[:, :2].flatten(0, 1),
        used[:, :2].flatten(0, 1),
        (other, None),
    )
    outputs = (world, cameras.field_of_view, decoded.log_depth, decoded.log_sigma, mask)
    return sum((out * torch.randn_like(out)).mean() for out in outputs)


def test_a_gradient_reaches_every_parameter() -> None:
    model = network().train()
    whole_loss(model).backward()
    missed = zero_parameters(model)
    # Without rotation this shifts all products of one query alike, which the softmax drops; what
    # is left of the gradient is rounding.
    pose_key_bias = {f'camera_head.blocks.{i}.attn.k_norm.bias' for i in range(2)}
    assert set(missed) <= pose_key_bias
    seen = {0, 1, model.config.cameras}
    rows = model.camera_identity.weight.grad.any(1).nonzero().flatten().tolist()
    assert set(rows) == seen


def test_learns_the_depth_of_one_clip() -> None:
    """A hundred steps halve the depth error of a textured slope seen by a moving camera."""
    torch.manual_seed(0)
    model = FourdSmall(network().config)
    cells = layout(1, 3)
    _, identifiers = clip(cells)
    y = torch.linspace(-1, 1, HEIGHT)[:, None].expand(HEIGHT, WIDTH)
    x = torch.linspace(-1, 1, WIDTH).expand(HEIGHT, WIDTH)
    target = torch.stack([0.5 * y + 0.3 * torch.sin(3 * x + t) for t in range(3)])[None]
    images = torch.stack([target, (6 * target).sin(), (9 * x + y).sin().expand(1, 3, -1, -1)], 2)
    images = (images + 1) / 2
    tables, plan = model.tables(HEIGHT, WIDTH), model.plan(cells)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    losses = []
    for _ in range(100):
        frames = model.encode(images, tables)
        decoded = model.decode(model.trunk(frames.tokens, plan, tables, identifiers), frames)
        loss = (decoded.log_depth - target).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_compiles_as_one_graph() -> None:
    """Encoder, trunk, cameras and decoder, each without a break; same numbers."""
    model = network()
    cells = layout(2, 2)
    images, identifiers = clip(cells)
    tables = model.tables(HEIGHT, WIDTH)
    encode, trunk, cameras, decode = (
        torch.compile(stage, fullgraph=True, backend='aot_eager')
        for stage in (model.encode, model.trunk, model.cameras, model.decode)
    )
    with torch.no_grad():
        frames = encode(images, tables)
        assert error(frames, model.encode(images, tables)) < 1e-5
        for band in (None, 1):
            plan = model.plan(cells, band)
            features = trunk(frames.tokens, plan, tables, identifiers)
            assert error(features, model.trunk(frames.tokens, plan, tables, identifiers)) < 1e-5
            poses = cameras(features, plan, identifiers)
            assert error(poses, model.cameras(features, plan, identifiers)) < 1e-5
        assert error(decode(features, frames), model.decode(features, frames)) < 1e-5


@pytest.mark.parametrize('whole', [False, True], ids=['autocast', 'weights'])
def test_bf16_stays_close_and_poses_keep_their_digits(whole: bool) -> None:
    cells = layout(2, 3)
    images, identifiers = clip(cells)

    def outputs(model: FourdSmall, images: torch.Tensor) -> dict[str, torch.Tensor]:
        tables, plan = model.tables(HEIGHT, WIDTH), model.plan(cells)
        frames = model.encode(images, tables)
        features = model.trunk(frames.tokens, plan, tables, identifiers)
        cameras = model.cameras(features, plan, identifiers)
        depth = model.decode(features, frames).log_depth
        return {**vars(cameras), 'log_depth': depth}

    with torch.no_grad():
        exact = outputs(network(), images)
        if whole:
            short = outputs(network().bfloat16(), images.bfloat16())
        else:
            with torch.autocast('cpu', torch.bfloat16):
                short = outputs(network(), images)
    for name, value in short.items():
        assert value.dtype == torch.float32, name
        assert (value - exact[name]).norm() < 0.03 * exact[name].norm(), name


def test_views_beyond_the_table_are_unknown_cameras() -> None:
    """A rig of many cameras runs; some of them have no identity of their own."""
    model = network(cameras=3)
    assert model.camera_identities(layout(5, 1)).tolist() == [[0, 1, 2, -1, -1]]


def test_sizes_that_patches_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match='50x32.*multiples of 16'):
        network().tables(32, 50)
    with pytest.raises(ValueError, match='window 4'):
        network(window=4)

"""What makes the networks fast changes no number, and no forward waits for the device."""

from __future__ import annotations

from dataclasses import replace

from fourd_perception.model.cell_layout import CellLayout
from fourd_perception.model.network import Network
from fourd_perception.model.precision import default_precision, placed
from fourd_perception.model.presets import (
    CameraHeadConfig,
    DenseHeadConfig,
    EncoderConfig,
    NetworkConfig,
    TrackHeadConfig,
    TrunkConfig,
)
from fourd_perception.model.untrained import untrained_network
import pytest
import torch

DENSE = DenseHeadConfig(16, (8, 12, 16, 16))
SMALL = NetworkConfig(
    trunk=TrunkConfig(
        dim=32,
        depth=5,
        heads=2,
        encoder=EncoderConfig(dim=32, depth=1, heads=2, image_size=56),
        taps=(0, 1, 2, 4),
    ),
    camera=CameraHeadConfig(depth=1, heads=4),
    depth=DENSE,
    points=DENSE,
    mask=DENSE,
    temporal='window_attention',
)
# Two cameras, three instants, the newest frame of the second one missing.
LAYOUT = CellLayout((0, 1, 0, 1, 0), (0, 0, 1, 1, 2), reference=1)
HEIGHT, WIDTH = 28, 42


@pytest.fixture(scope='module')
def network() -> Network:
    return untrained_network(SMALL, 0)


def images() -> torch.Tensor:
    return torch.rand(1, len(LAYOUT), 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


def error(a: torch.Tensor, b: torch.Tensor) -> float:
    """Largest |a - b| / max(1, |b|)."""
    assert a.shape == b.shape and b.std() > 1e-3
    return float(((a - b).abs() / b.abs().clamp(min=1)).max())


def test_cached_encoder_features_give_the_numbers_of_the_full_run(network):
    tables = network.tables(HEIGHT, WIDTH)
    full = network.trunk(network.encode(images(), tables), LAYOUT, tables)
    one_by_one = [network.encode(images()[:, i : i + 1], tables) for i in range(len(LAYOUT))]
    cached = network.trunk(torch.cat(one_by_one, dim=1), LAYOUT, tables)
    for tap in SMALL.trunk.taps:
        assert error(cached.fused[tap], full.fused[tap]) < 1e-6
    assert error(network.cameras(cached)[-1], network.cameras(full)[-1]) < 1e-6
    assert error(network.depth(cached, tables)[0], network.depth(full, tables)[0]) < 1e-6


@pytest.mark.parametrize('head', ['depth_head', 'point_head', 'mask_head'])
@pytest.mark.parametrize('cells', [slice(3, None), [4, 0]])
def test_maps_of_some_cells_are_those_of_the_full_run(network, head, cells):
    tables = network.tables(HEIGHT, WIDTH)
    features = network.trunk(network.encode(images(), tables), LAYOUT, tables)
    whole = network.dense(head, features, tables)
    assert error(network.dense(head, features, tables, cells), whole[:, cells]) < 1e-6


def test_cameras_of_the_newest_cells_alone_are_other_cameras(network):
    """Why the camera head always reads all cells: it attends over them."""
    tables = network.tables(HEIGHT, WIDTH)
    features = network.trunk(network.encode(images(), tables), LAYOUT, tables)
    alone = {tap: values[:, 3:] for tap, values in features.spatial.items()}
    newest = network.cameras(replace(features, spatial=alone))[-1]
    assert (newest - network.cameras(features)[-1][:, 3:]).abs().max() > 1e-3


@pytest.mark.parametrize(
    'temporal, spatial_mask', [('window_attention', 'none'), (None, 'same_time')]
)
def test_compiles_to_one_graph_with_the_same_numbers(temporal, spatial_mask):
    trunk = replace(SMALL.trunk, depth=4, taps=(0, 1, 2, 3), spatial_mask=spatial_mask)
    camera = CameraHeadConfig(depth=1, heads=4, iterations=2)
    config = replace(SMALL, trunk=trunk, camera=camera, temporal=temporal)
    network = untrained_network(config, 0)
    tables = network.tables(HEIGHT, WIDTH)

    def whole(x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        features = network.trunk(network.encode(x, tables), LAYOUT, tables)
        return network.cameras(features)[-1], network.dense('depth_head', features, tables, [3, 4])

    compiled = torch.compile(whole, fullgraph=True, backend='aot_eager')
    for ours, plain in zip(compiled(images()), whole(images()), strict=True):
        assert error(ours, plain) < 1e-5


@pytest.mark.parametrize('temporal', [None, 'window_attention', 'gru', 'conv'])
@pytest.mark.parametrize('spatial_mask', ['none', 'same_time'])
def test_a_forward_never_asks_the_device_for_a_value(temporal, spatial_mask):
    """Tensors on the meta device have none: whatever looks at one, raises."""
    trunk = replace(SMALL.trunk, spatial_mask=spatial_mask)
    tracks = TrackHeadConfig(DENSE, levels=2, radius=1, latent=16, hidden=16, depth=1, heads=2)
    network = Network(replace(SMALL, temporal=temporal, trunk=trunk, tracks=tracks)).to('meta')
    tables = network.tables(HEIGHT, WIDTH)
    with torch.no_grad():
        patches = network.eval().encode(images().to('meta'), tables)
        features = network.trunk(patches, LAYOUT, tables)
        assert network.cameras(features)[-1].shape == (1, 5, 9)
        assert network.depth(features, tables)[0].shape == (1, 5, HEIGHT, WIDTH)
        queries = torch.zeros(1, 2, 2, device='meta')
        assert network.tracks(features, tables, queries, 0)[0][-1].shape == (1, 5, 2, 2)


def test_only_the_taps_are_kept(network):
    tables = network.tables(HEIGHT, WIDTH)
    features = network.trunk(network.encode(images(), tables), LAYOUT, tables)
    assert set(features.spatial) == set(features.temporal) == set(features.fused) == {0, 1, 2, 4}


@pytest.mark.parametrize('temporal', [None, 'window_attention', 'gru', 'conv'])
def test_bf16_is_what_autocast_makes_of_float32_weights(temporal):
    def answers(network: Network) -> list[torch.Tensor]:
        tables = network.tables(HEIGHT, WIDTH)
        with torch.autocast('cpu', torch.bfloat16):
            features = network.trunk(network.encode(images(), tables), LAYOUT, tables)
        assert all(tap.dtype == torch.float32 for tap in features.fused.values())
        return [network.cameras(features)[-1], network.dense('depth_head', features, tables)]

    config = replace(SMALL, temporal=temporal)
    ours = answers(placed(untrained_network(config, 0), torch.device('cpu'), 'bf16'))
    autocast = answers(untrained_network(config, 0))
    for a, b in zip(ours, autocast):
        assert a.dtype == torch.float32
        assert torch.equal(a, b)


def test_bf16_stays_near_float32(network):
    tables = network.tables(HEIGHT, WIDTH)
    exact = network.trunk(network.encode(images(), tables), LAYOUT, tables)
    half = placed(untrained_network(SMALL, 0), torch.device('cpu'), 'bf16')
    with torch.autocast('cpu', torch.bfloat16):
        rough = half.trunk(half.encode(images(), tables), LAYOUT, tables)
    far = error(
        half.dense('depth_head', rough, tables), network.dense('depth_head', exact, tables)
    )
    assert 1e-5 < far < 0.05


def test_the_cpu_runs_in_float32_unless_told_otherwise(network):
    assert default_precision(torch.device('cpu')) == 'fp32'
    with pytest.raises(ValueError, match="'fp16'; use one of fp32, bf16"):
        placed(network, torch.device('cpu'), 'fp16')
